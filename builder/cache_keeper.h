/* builder/cache_keeper — keeps what is left for later builds within its bounds, and sound: the
 * caches and base stores of all workspaces, seen from outside of the jails.
 *
 * Whoever uses those of a workspace holds a shared lock on <cache>.lock.  Who gets an exclusive one
 * may remove anything.  Where builds run all the time, what goes is what was not used since the
 * oldest of them began (cache_items.c), so that nothing goes that a build is using or about to use.
 *
 *   cache_keeper.c    the lock, and when there is something to do
 *   cache_budget.c    what all workspaces take together
 *   cache_items.c     what is in a cache, how large it is, and what goes first
 *   cache_power.c     what a power cut may have left half written */
#ifndef BUILDER_CACHE_KEEPER_H
#define BUILDER_CACHE_KEEPER_H

#include "builder/state.h"

/* Takes the shared lock for a job; *ret_fd holds it until it is closed.  After a boot of the
 * machine what may be damaged is removed before. */
MUST_CHECK int cache_keeper_begin(const struct builder *b, const char *workspace, int *ret_fd,
                                  struct error *err);

/* Notes in the job's directory that it has begun: before that, the job may have used nothing. */
MUST_CHECK int cache_keeper_note_begin(const char *job_dir, struct error *err);

/* After a job: brings the workspace within its bounds, and all of them together within theirs, if
 * that was not done just now.  What fails is tried again later. */
void cache_keeper_end(const struct builder *b, const char *workspace);

/* The same for all workspaces, and notes what has reached the disk. */
MUST_CHECK int cache_keeper_sweep(const struct builder *b, struct error *err);

/* Has what was left reach the disk, and notes that. */
MUST_CHECK int cache_keeper_sync(const struct builder *b, struct error *err);

/* ---- cache_items.c ---- */

/* Removes what nothing names, then the records and cache mounts that were not used for the longest
 * time with all that only they name, until at most max bytes are left.  What was used at `before`
 * (nanoseconds since 1970) or later stays; INT64_MAX: nobody is at work there, whoever calls holds
 * the exclusive lock.  *ret_left: bytes that are left. */
MUST_CHECK int cache_items_trim(const struct builder *b, const char *cache, uint64_t max,
                                int64_t before, uint64_t *ret_left, struct error *err);
/* With the exclusive lock.  Removes the records that are not older than `since` (nanoseconds since
 * 1970), and what only they name. */
MUST_CHECK int cache_items_drop_since(const struct builder *b, const char *cache, int64_t since,
                                      struct error *err);

/* ---- cache_power.c ---- */

/* Whether the machine was booted since the stamp was set (by whoever held the lock), and up to when
 * (nanoseconds since 1970) everything had reached the disk then; 0: nothing did. */
MUST_CHECK int cache_power_read(const char *cache, bool *ret_booted, int64_t *ret_synced,
                                struct error *err);
MUST_CHECK int cache_power_write(const char *cache, int64_t synced, struct error *err);

/* ---- cache_budget.c ---- */

/* Bytes on the disk. */
struct cache_use {
    uint64_t cache, bases;
};

/* What is left in a workspace, as the last visit wrote it to the file of its lock; its time is that
 * of the visit.  Reading what is not there gives zeros. */
MUST_CHECK int cache_budget_write(int lock, const struct cache_use *use, struct error *err);
void cache_budget_read(int lock, struct cache_use *ret);

/* A way to bring one workspace within max. */
typedef int (*cache_budget_trim)(const struct builder *b, const char *workspace,
                                 const struct cache_use *max, struct error *err);

/* Has workspaces trimmed until all of them together are within the bound: those that were not used
 * for the longest time first. */
MUST_CHECK int cache_budget_keep(const struct builder *b, cache_budget_trim trim,
                                 struct error *err);

#endif
