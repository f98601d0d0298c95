/* builder/cache — what steps of earlier builds of a workspace left for later ones.
 *
 *   records/<key>   what the step with that key came to (JSON); its time is that of its last use
 *   inputs/<key>, builds/<hex>   what it was made of, to say why another was not found
 *                   (builder/cache_inputs.h)
 *   diffs/<key>     the files it added, changed and removed: a lower directory of an overlay
 *   blobs/<hex>     a layer made of a diff, as it is pushed
 *   packages/<name> what a layer says of packages (builder/packages.h): by the diff's key, or the
 *                   diff_id of a base's layer
 *   mounts/<hex>    a cache mount of RUN
 *   tmp/<job>/      what a build is working on, and its context
 *
 * A record is written after what it speaks of, and by rename, so a step that was killed leaves
 * nothing but its tmp.  Builds of one workspace share a cache and may do the same step at once: the
 * first one's diff stays.  Files here are written from inside jails of the workspace's builds, so a
 * reader believes no more of them than it would of the workspace's user. */
#ifndef BUILDER_CACHE_H
#define BUILDER_CACHE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/digest.h"
#include "builder/layer.h"

struct cache {
    int records, inputs, builds, diffs, blobs, packages, mounts, tmp; /* directory descriptors */
    char path[4096];
    char job[65]; /* the name in tmp */
};

#define CACHE_INIT                                                                                 \
    {                                                                                              \
        .records = -1, .inputs = -1, .builds = -1, .diffs = -1, .blobs = -1, .packages = -1,       \
        .mounts = -1, .tmp = -1                                                                    \
    }

/* Opens it and makes what is missing. */
MUST_CHECK int cache_open(const char *path, const char *job, struct cache *ret, struct error *err);
/* tmp/<job> stays: it goes with the job. */
void cache_close(struct cache *c);

/* Until *ret_fd is closed, the keeper removes no record and nothing that one names
 * (builder/cache_keeper.h): for as long as it takes to look something up and to note that it is
 * used, or to put something there and to write its record.  Never for longer. */
MUST_CHECK int cache_hold(const struct cache *c, int *ret_fd, struct error *err);

struct cache_record {
    char key[SHA256_HEX]; /* the step's own, which later steps build on, whatever it was found by */
    char diff[SHA256_HEX]; /* whose files they are: a key, often its own; "": the step changed none
                            */
    uint64_t bytes;        /* of the files written */
    uint64_t disk;         /* that the diff takes, about */
    bool has_layer;
    struct layer layer;
    bool away; /* its files are not in this cache: builder/cache_remote.h; never written to one */
};

/* A record as JSON; NULL: out of memory. */
json_t *cache_record_json(const struct cache_record *r);
/* False: it is none. */
bool cache_record_read(const json_t *o, struct cache_record *ret);
/* Likewise a layer that has entries. */
json_t *cache_layer_json(const struct layer *layer);
bool cache_layer_read(const json_t *o, struct layer *ret);

/* Looks a step up, and notes that it was used.  *ret_found false: it is not known, or its files are
 * gone. */
MUST_CHECK int cache_find(const struct cache *c, const char *key, bool *ret_found,
                          struct cache_record *ret, struct error *err);

/* Reads the file of a record.  False: it is none. */
bool cache_read(int records, const char *key, struct cache_record *ret);

MUST_CHECK int cache_store(const struct cache *c, const char *key, const struct cache_record *r,
                           struct error *err);

/* Writes dir/name (dir: one of the cache's), whole, by rename. */
MUST_CHECK int cache_write(const struct cache *c, int dir, const char *name, const void *data,
                           size_t len, struct error *err);

/* Makes tmp/<job>/<n> with the directories diff and work; path holds its absolute path. */
#define CACHE_PATH 4400
MUST_CHECK int cache_begin(struct cache *c, unsigned n, char path[CACHE_PATH], struct error *err);
/* Makes its diff that of key. */
MUST_CHECK int cache_keep(const struct cache *c, const char *path, const char *key,
                          struct error *err);

/* Stores the record, under its own key, with the layer in it that was just made, if its blob is
 * still there. */
MUST_CHECK int cache_store_layer(const struct cache *c, struct cache_record *r, struct error *err);

/* Makes the layer of its diff, and stores the record with it. */
MUST_CHECK int cache_make_layer(const struct cache *c, struct cache_record *r,
                                const struct layer_options *options, struct error *err);

/* The absolute path of a diff. */
void cache_diff_path(const struct cache *c, const char *key, char path[CACHE_PATH]);

/* Opens a diff, to read. */
MUST_CHECK int cache_open_diff(const struct cache *c, const char *key, int *ret_fd,
                               struct error *err);

#endif
