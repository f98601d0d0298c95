/* builder/cache_keeper — keeps what is left for later builds within its bounds, and sound: the
 * caches and base stores of all workspaces, seen from outside of the jails.
 *
 * Whoever uses those of a workspace holds a shared lock on <cache>.lock, and whoever removes
 * something from them an exclusive one; so nothing goes that a build may be about to use.
 *
 *   cache_keeper.c    the lock, and when there is something to do
 *   cache_items.c     what is in a cache, how large it is, and what goes first
 *   cache_power.c     what a power cut may have left half written */
#ifndef BUILDER_CACHE_KEEPER_H
#define BUILDER_CACHE_KEEPER_H

#include "builder/state.h"

/* Takes the shared lock for a job; *ret_fd holds it until it is closed.  After a boot of the
 * machine what may be damaged is removed before. */
MUST_CHECK int cache_keeper_begin(const struct builder *b, const char *workspace, int *ret_fd,
                                  struct error *err);

/* After a job: brings the workspace within its bounds if that was not done just now, and if nobody
 * else is at work in it.  What fails is tried again later. */
void cache_keeper_end(const struct builder *b, const char *workspace);

/* The same for all workspaces, and notes what has reached the disk. */
MUST_CHECK int cache_keeper_sweep(const struct builder *b, struct error *err);

/* ---- for those who hold the exclusive lock ---- */

/* Removes what nothing names, then the records and cache mounts that were not used for the longest
 * time with all that only they name, until at most max bytes are left. */
MUST_CHECK int cache_items_trim(const struct builder *b, const char *cache, uint64_t max,
                                struct error *err);
/* Removes the records that are not older than `since` (nanoseconds since 1970), and what only they
 * name. */
MUST_CHECK int cache_items_drop_since(const struct builder *b, const char *cache, int64_t since,
                                      struct error *err);

/* ---- cache_power.c ---- */

/* Whether the machine was booted since the stamp was set (by whoever held the lock), and up to when
 * (nanoseconds since 1970) everything had reached the disk then; 0: nothing did. */
MUST_CHECK int cache_power_read(const char *cache, bool *ret_booted, int64_t *ret_synced,
                                struct error *err);
MUST_CHECK int cache_power_write(const char *cache, int64_t synced, struct error *err);

#endif
