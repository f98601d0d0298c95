/* builder/bases_store — which directory is a workspace's base store.
 *
 * It is bases/<workspace>.  When it has become too large while builds use it that never leave a
 * gap, another one begins beside it, bases/<workspace>.1, then .2 …: builds that begin use the
 * highest, and a lower one goes when the last build that uses it has ended.  Who uses one holds a
 * shared lock on the directory itself. */
#ifndef BUILDER_BASES_STORE_H
#define BUILDER_BASES_STORE_H

#include <limits.h>

#include "builder/builder.h"

/* For a job that begins: path is that of the store, which is made if need be with its directory of
 * blobs, and *ret_lock keeps it until it is closed.  One that has lost its blobs is renewed. */
MUST_CHECK int bases_store_enter(const struct builder *b, const char *workspace,
                                 char path[PATH_MAX], int *ret_lock, struct error *err);

struct bases_store_use {
    uint64_t bytes;  /* of all of the workspace's stores */
    uint64_t newest; /* of the one that is used by builds that begin */
    int64_t time;    /* when one was last used, nanoseconds since 1970; 0: there is none */
};
MUST_CHECK int bases_store_measure(const struct builder *b, const char *workspace,
                                   struct bases_store_use *ret, struct error *err);

/* Removes those that nobody uses and that no build will, and what is left of those whose removal
 * was killed. */
MUST_CHECK int bases_store_tidy(const struct builder *b, const char *workspace, struct error *err);

/* Begins another one, for the builds that begin; those that use the present one keep it. */
MUST_CHECK int bases_store_renew(const struct builder *b, const char *workspace, struct error *err);

/* Removes all, to be fetched anew; for whoever knows that no build is running there. */
MUST_CHECK int bases_store_drop(const struct builder *b, const char *workspace, struct error *err);

#endif
