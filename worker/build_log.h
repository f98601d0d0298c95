/* worker/build_log — the log of a build whose stages run beside each other: each step is a vertex
 * with a number and a clock of its own, in BuildKit's plain form (worker/plain_log.h). */
#ifndef WORKER_BUILD_LOG_H
#define WORKER_BUILD_LOG_H

#include "builder/builder.h"
#include "worker/plain_log.h"

struct build_vertex;

struct build_log {
    struct plain_log *log; /* whose numbers go on */
    struct build_vertex *v;
    size_t n, cap;
};
void build_log_release(struct build_log *b);

/* What is given to builder_build.  After a failure the log's number is that of the step that
 * failed. */
struct builder_watch build_log_watch(struct build_log *b);

#endif
