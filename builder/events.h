/* builder/events — what the executor says, on its way out of the jail: one line each,
 *
 *   LETTER STAGE STEP NUMBER TEXT
 *
 * B begin, C cached, N note, L line (NUMBER: the stream), D done (bytes), F failed (exit code); and
 * E, whose NUMBER is an error's kind and whose TEXT its message: it is ours that failed.  STEP is
 * -1 for the export.  All that comes out of the jail is written by the executor: the user's
 * commands write to pipes of its own. */
#ifndef BUILDER_EVENTS_H
#define BUILDER_EVENTS_H

#include "builder/builder.h"

/* Inside: writes one event to standard output, whole; from any thread. */
void events_say(const struct builder_event *e);
void events_say_error(const struct error *err);

/* Outside: what has come so far. */
struct events {
    const struct builder_watch *watch; /* NULL: dropped */
    struct builder_failure failure;    /* step BUILDER_NO_STEP and reason "" until it failed */
    struct error error;                /* ERR_NONE unless it was ours that failed */
    size_t stage, step;                /* that began last; BUILDER_NO_STEP: none did */
    char title[512];                   /* of that one */
};
void events_init(struct events *e, const struct builder_watch *watch);
struct process_sink events_sink(struct events *e);

#endif
