/* builder/progress — follows what a pull says, and what it ended on. */
#ifndef BUILDER_PROGRESS_H
#define BUILDER_PROGRESS_H

#include "base/process.h"
#include "builder/builder.h"

struct progress {
    const struct process_sink *next; /* every line goes on to it; NULL: dropped */
    char fault[2048];                /* the last "Error: …" line, without the word; "" */
    char last[512];                  /* the last line on stderr */
};

/* A sink that feeds p, which must outlive it. */
void progress_init(struct progress *p, const struct process_sink *next);
struct process_sink progress_sink(struct progress *p);

/* Says one line of ours on the sink, as if the program had written it to stderr. */
void progress_say(const struct progress *p, const char *fmt, ...) PRINTF(2, 3);

#endif
