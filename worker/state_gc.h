/* worker/state_gc — when which garbage was collected, by whom; and what of it is in the database.
 */
#ifndef WORKER_STATE_GC_H
#define WORKER_STATE_GC_H

#include "base/process.h"
#include "worker/state.h"

/* ---- whose turn it is ---- */

struct gc_run {
    char task[32];
    char holder[160];     /* who does it, or did it last: worker_name_of */
    int64_t began, ended; /* ns since 1970; ended 0: it is being done, or was given up */
    int64_t lease_until;  /* while it is being done */
    int64_t items, bytes; /* what the last one that ended removed */
    char message[256];    /* why the last one failed; "": it did not */
};

/* Takes the task for lease ns, if it was begun not less than interval ns ago (0: at any time) and
 * nobody is at it.  *ret_mine false: it is not due. */
MUST_CHECK int state_gc_begin(struct state *s, const char *task, const char *holder,
                              int64_t interval, int64_t lease, bool *ret_mine, struct error *err);
MUST_CHECK int state_gc_end(struct state *s, const char *task, const char *holder, int64_t items,
                            int64_t bytes, const char *message, struct error *err);
MUST_CHECK int state_gc_list(struct state *s, void (*each)(void *self, const struct gc_run *r),
                             void *self, struct error *err);

/* ---- garbage ---- */

struct gc_found {
    int64_t items, bytes; /* about */
};

/* Events of before that moment, and those behind so many newer ones of the same target that no one
 * is shown them. */
MUST_CHECK int state_events_find_old(struct state *s, int64_t before, struct gc_found *ret,
                                     struct error *err);
/* Removes some of these, few at a time, unless cancel (may be NULL) is thrown; *ret_more: there are
 * others. */
MUST_CHECK int state_events_remove_old(struct state *s, int64_t before, const struct cancel *cancel,
                                       bool *ret_more, struct error *err);

/* Lines of logs of builds that were over before that moment (state_log_remove_old). */
MUST_CHECK int state_logs_find_old(struct state *s, int64_t before, struct gc_found *ret,
                                   struct error *err);

/* Access tokens, offers of images and a key of upload URLs whose time is over. */
MUST_CHECK int state_expired_find(struct state *s, struct gc_found *ret, struct error *err);
MUST_CHECK int state_expired_remove(struct state *s, struct error *err);

#endif
