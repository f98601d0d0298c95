/* templates/storage_lease — the lock and the sessions of a store in an object store.
 *
 *   lock         an object that is put only where none is; its holder puts it again every few
 *                seconds, over the ETag it had, and deletes it
 *   sessions/X   what a session may refer to, put again every few minutes
 *
 * Who died is known by the age of what it left, by the object store's own clock: after two minutes
 * somebody else puts the lock over that ETag, after an hour a session counts for nothing.  A living
 * holder renews long before, by how much time has passed for itself; it changes nothing once it has
 * failed to.  So no two machines' clocks are ever compared.  objects is a hasty one: what it does
 * within 15 s of a renewal is over, or given up, before the lock is two minutes old. */
#ifndef TEMPLATES_STORAGE_LEASE_H
#define TEMPLATES_STORAGE_LEASE_H

#include <pthread.h>

#include "base/argv.h"
#include "objects/objects.h"

struct lease_session;

struct lease {
    struct objects *objects;
    pthread_mutex_t turn;  /* held with the lock: by one thread of this process */
    pthread_mutex_t mutex; /* over all that follows */
    bool held;
    pthread_t owner;
    char token[25]; /* what the lock holds when it is ours */
    char etag[OBJECT_ETAG];
    int64_t renewed; /* on the monotonic clock, before the put was sent */
    struct lease_session *sessions;
    size_t n_sessions;
    int next_id;
};

void lease_init(struct lease *l, struct objects *objects);
void lease_release(struct lease *l);

MUST_CHECK int lease_lock(struct lease *l, struct error *err);
void lease_unlock(struct lease *l);

/* To be called before each act of the store: renews what is due.  ERR_REMOTE when the lock that
 * this thread holds was lost. */
MUST_CHECK int lease_touch(struct lease *l, struct error *err);

MUST_CHECK int lease_session_begin(struct lease *l, const char *text, int *ret, struct error *err);
void lease_session_end(struct lease *l, int session);
/* -1 when a session of this process may have been taken for dead: nothing may be published. */
MUST_CHECK int lease_sessions_live(struct lease *l, struct error *err);
/* The lines of every living session; those of the dead are removed. */
MUST_CHECK int lease_sessions(struct lease *l, struct argv *ret, struct error *err);

/* For tests: as if the last renewals had been so much earlier. */
void lease_test_age(struct lease *l, int64_t seconds);

#endif
