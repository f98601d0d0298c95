/* worker/state_copy — all of the state in a file, as a backup has it, and back. */
#ifndef WORKER_STATE_COPY_H
#define WORKER_STATE_COPY_H

#include "worker/state.h"

/* The version of the schema that this program has. */
int state_schema_version(void);

/* Copies the state as it is at one moment into a new SQLite file, beside everybody who uses it.
 * begun is called at that moment, with the keys of the archives that unfinished builds need: they
 * may be removed as these end.  each as db_copy calls it. */
struct state_copying {
    int (*begun)(void *self, const struct argv *archives, struct error *err);
    void (*each)(void *self, const char *table, uint64_t rows);
    void *self;
};
MUST_CHECK int state_copy_out(struct state *s, const char *path, const struct state_copying *with,
                              struct error *err);

/* A state that was copied is to go on: running builds, whose workers are gone, are queued again,
 * and those fail whose archive is not there any more. */
struct state_resumed {
    int64_t requeued, failed;
};
MUST_CHECK int state_resume(struct state *s, bool (*has_archive)(void *self, const char *key),
                            void *self, struct state_resumed *ret, struct error *err);

/* Whether state_copy_in would do anything but refuse. */
MUST_CHECK int state_copy_allowed(struct state *s, const char *mark, struct error *err);

/* Copies the file's state into an empty one, in one transaction.  mark: a word that says who did;
 * one that is there with this very mark is left as it is.  ERR_INPUT: there is another in it. */
MUST_CHECK int state_copy_in(struct state *s, const char *path, const char *mark,
                             void (*each)(void *self, const char *table, uint64_t rows), void *self,
                             struct error *err);

#endif
