/* builder/cache_mount — what the workspace's registry has of a cache mount of RUN: a layer of its
 * files, and beside it (JSON)
 *
 *   {"version": 1, "mark": …, "layer": {…}}
 *
 * where the mark is that of the names, sizes and times of the files, by which one that did not
 * change is known without reading it. */
#ifndef BUILDER_CACHE_MOUNT_H
#define BUILDER_CACHE_MOUNT_H

#include "builder/cache.h"

#define CACHE_MOUNT_BYTES 4096

struct cache_mount {
    char mark[SHA256_HEX];
    struct layer layer;
};

/* Of a text that comes from outside.  ERR_INPUT: it is none. */
MUST_CHECK int cache_mount_read(const char *text, size_t len, struct cache_mount *ret,
                                struct error *err);
/* NULL: out of memory. */
json_t *cache_mount_json(const struct cache_mount *m);

/* The mark of a directory, and about how many bytes its files have.  ERR_LIMIT: it is too deep or
 * has too many files. */
MUST_CHECK int cache_mount_mark(int dir, char ret[SHA256_HEX], uint64_t *ret_bytes,
                                struct error *err);

#endif
