/* worker/journal — a build's log on its way to the database: clean lines, in batches.
 *
 * Any thread may add; the one that ticks flushes, so lines are readable within a tick of being
 * written.  What cannot be stored is never dropped silently: the log says where it was cut. */
#ifndef WORKER_JOURNAL_H
#define WORKER_JOURNAL_H

#include <pthread.h>

#include "worker/state.h"

/* Lines, each ended by NUL in text; .text of a line is set when they are written. */
struct journal_batch {
    struct buf text;
    struct log_line *lines;
    size_t n, cap;
};

struct journal {
    struct state *state;
    struct clock clock;
    char build[BUILD_ID];
    uint64_t max; /* bytes of text in all */
    uint64_t used, used_by_errors;
    bool cut;                     /* no more is kept but errors, and it was said */
    struct argv secrets;          /* never to be written */
    pthread_mutex_t lock;         /* over all but writing */
    struct journal_batch pending; /* grows under the lock */
    struct journal_batch
        writing; /* belongs to journal_flush, which holds no lock while it writes */
};

void journal_init(struct journal *j, struct state *state, const struct clock *clock,
                  const char *build, uint64_t max);
void journal_release(struct journal *j); /* does not flush */

/* From now on every occurrence of value is written as ***.  Values under 8 bytes are left alone:
 * words like "true" would mask half the log and hide nothing. */
void journal_hide(struct journal *j, const char *value);

/* One line of any bytes: terminal escapes are taken out, control bytes and malformed UTF-8 are
 * replaced, a line beyond 8 KiB is continued on the next. */
void journal_add(struct journal *j, enum log_severity severity, const char *text, size_t len);
void journal_addf(struct journal *j, enum log_severity severity, const char *fmt, ...) PRINTF(3, 4);
/* One line that is about a step; event->skip counts bytes of the text as it is given. */
void journal_say(struct journal *j, enum log_severity severity, const struct log_event *event,
                 const char *fmt, ...) PRINTF(4, 5);
/* Each line of a text. */
void journal_add_text(struct journal *j, enum log_severity severity, const char *text);

/* Writes what is pending; on -1 the next flush writes it.  One thread at a time. */
MUST_CHECK int journal_flush(struct journal *j, struct error *err);

#endif
