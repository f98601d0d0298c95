/* builder/progress — follows what buildah says: which instruction it is at, and what it ended on.
 */
#ifndef BUILDER_PROGRESS_H
#define BUILDER_PROGRESS_H

#include "base/process.h"
#include "builder/builder.h"

struct progress {
    const struct process_sink *next; /* every line goes on to it; NULL: dropped */
    bool hide_queries;               /* cut "?…" off URLs: redirects carry signatures */
    int stage;                       /* from 0; -1: none seen */
    int step, steps;                 /* from 1, of how many; 0: none seen */
    char text[512];                  /* the instruction */
    int signal;                      /* that ended the command of a RUN; 0: none did */
    char fault[2048];                /* the last "Error: …" line, without the word; "" */
    char last[512];                  /* the last line on stderr */
};

/* A sink that feeds p, which must outlive it. */
void progress_init(struct progress *p, const struct process_sink *next);
struct process_sink progress_sink(struct progress *p);

/* Says one line of ours on the sink, as if buildah had written it to stderr. */
void progress_say(const struct progress *p, const char *fmt, ...) PRINTF(2, 3);

/* Reads the instruction and the command's exit code out of the fault. */
void progress_read_failure(const struct progress *p, struct builder_failure *ret);

/* The failed step's process was killed by SIGKILL, which no build does to itself by accident: the
 * kernel did when memory ran out, or an operator. */
bool progress_was_killed(const struct progress *p);

#endif
