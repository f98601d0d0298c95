/* builder/cache_index — the records of an image's steps, as they lie in the workspace's registry
 * for other workers: JSON,
 *
 *   {"version": 1, "steps": [{"key": …, "used": seconds since 1970, "record": {…}}, …]}
 *
 * with records as in the cache's own files.  One with files but no layer tells only what the step
 * came to: later steps can be found by it, but nobody can have its files. */
#ifndef BUILDER_CACHE_INDEX_H
#define BUILDER_CACHE_INDEX_H

#include "builder/cache.h"

#define CACHE_INDEX_BYTES (4U << 20)
#define CACHE_INDEX_STEPS 4000
#define CACHE_INDEX_KEPT  (30 * 24 * 3600) /* seconds after the last use */

struct cache_entry {
    char key[SHA256_HEX];
    int64_t used; /* seconds since 1970 */
    struct cache_record record;
};

struct cache_index { /* zeroed: empty */
    struct cache_entry *v;
    size_t n, cap;
};
void cache_index_release(struct cache_index *x);

/* Adds those of a text, which comes from outside.  ERR_INPUT: it is no index. */
MUST_CHECK int cache_index_read(const char *text, size_t len, struct cache_index *x,
                                struct error *err);

/* Adds one, or puts it in place of the one with that key. */
MUST_CHECK int cache_index_add(struct cache_index *x, const struct cache_entry *entry,
                               struct error *err);

/* NULL: there is none. */
const struct cache_entry *cache_index_find(const struct cache_index *x, const char *key);
/* Removes those with the files of that diff. */
void cache_index_forget(struct cache_index *x, const char *diff);

/* Sorts, those used last first; drops what was not used for CACHE_INDEX_KEPT before now, and what
 * is beyond CACHE_INDEX_STEPS; and takes the layers from those beyond max bytes of layers. */
void cache_index_trim(struct cache_index *x, int64_t now, uint64_t max);

MUST_CHECK int cache_index_write(const struct cache_index *x, struct buf *out, struct error *err);

#endif
