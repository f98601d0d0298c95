/* builder/cache_remote — steps that other workers did: found by their keys in the index that the
 * workspace's registry has (builder/cache_index.h), which is asked for when a step is first missed
 * here.  Inside the jail.
 *
 * Such a step's record is `away`: the step is not run, and its layer is in the registry already.
 * Its files come here only when a later step has to see them; then it is a step of this cache. */
#ifndef BUILDER_CACHE_REMOTE_H
#define BUILDER_CACHE_REMOTE_H

#include <stdatomic.h>

#include "builder/cache_index.h"
#include "builder/cache_link.h"
#include "builder/stack.h"

/* One in a stack, by its number there. */
struct cache_away {
    unsigned number;
    bool is_here; /* by now */
    struct cache_record record;
};

struct cache_remote {
    struct cache_link link;
    pthread_mutex_t lock;
    bool asked; /* for the index */
    struct cache_index index;
    struct cache_away *away;
    size_t n_away, cap;
    pthread_mutex_t bringing; /* taken before lock */
    atomic_bool failed;       /* what it promised could not be had */
    atomic_bool silent;       /* … because nobody answers */
    char lost[SHA256_HEX];    /* … whose diff that is */
    unsigned n_lost;
};

/* Takes the document from standard input, too. */
MUST_CHECK int cache_remote_open(struct cache_remote *r, int *ret_document, struct error *err);
void cache_remote_close(struct cache_remote *r);

/* Looks a key up that c does not have.  whole: only one that has all that an image needs.  What is
 * wrong with the index is told as a note, and nothing is found. */
bool cache_remote_find(struct cache_remote *r, const struct cache *c, const char *key, bool whole,
                       struct cache_record *ret);

/* The layer of the record with that key, for which no files need to be here. */
bool cache_remote_layer(struct cache_remote *r, const char *key, struct layer *ret);

/* Notes that the topmost directory of a stack is that of a record that is away. */
MUST_CHECK int cache_remote_expect(struct cache_remote *r, const struct stack *files,
                                   const struct cache_record *record, struct error *err);

/* Fetches and unpacks what of the stack is not here.  n_tmp numbers directories.  ERR_REMOTE: it
 * could not be had, and failed is set. */
MUST_CHECK int cache_remote_bring(struct cache_remote *r, struct cache *c,
                                  const struct stack *files, bool userxattr, atomic_uint *n_tmp,
                                  struct error *err);

/* After a failure: what failed is found no more, and nothing is awaited.  Where nobody answers, or
 * it is not the first few, nothing is found any more. */
void cache_remote_give_up(struct cache_remote *r);

/* Fills the empty directory diff with what another worker saved of the cache mount.  False: nothing
 * was, or it is of no use; then diff may hold a part of it.  work: an empty directory. */
bool cache_remote_mount(struct cache_remote *r, const char *name, bool userxattr, int work,
                        int diff);

#endif
