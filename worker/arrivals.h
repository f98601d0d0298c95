/* worker/arrivals — notices what clients put into the object store, and queues their builds.
 *
 * A thread lists what arrived while builds wait for uploads: often at first, then more seldom.  One
 * in each `kiln serve`: what two of them find at once is accepted once. */
#ifndef WORKER_ARRIVALS_H
#define WORKER_ARRIVALS_H

#include "base/note.h"
#include "uploads/uploads.h"
#include "worker/state.h"

struct arrivals_config { /* borrowed until the stop */
    struct state *state;
    struct upload_store *uploads; /* a remote one */
    uint64_t upload_max;          /* for the message to who sent more */
    /* The operator's log, as in worker_config. */
    void (*log)(void *self, const struct note *note);
    void *log_self;
};

struct arrivals;
MUST_CHECK int arrivals_start(const struct arrivals_config *config, struct arrivals **ret,
                              struct error *err);
/* NULL is fine. */
void arrivals_stop(struct arrivals *a);

#endif
