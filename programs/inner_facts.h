/* programs/inner_facts — what the inner mains about templates and volumes share. */
#ifndef PROGRAMS_INNER_FACTS_H
#define PROGRAMS_INNER_FACTS_H

#include "templates/templates.h"
#include "worker/worker.h"

#define INNER_STORE "/kiln/store" /* the workspace's template store */
#define INNER_OUT   "/kiln/out"   /* where a volume is written */

/* Writes the facts, or the failure unless that is NULL, to descriptor 1; the exit code. */
int inner_end(const struct facts *f, const struct error *failure);

/* Part done, rate and remaining time, now and then, on stderr. */
struct inner_progress {
    struct template_progress progress;
    int64_t started, next; /* monotonic */
};
void inner_progress_init(struct inner_progress *p);

#endif
