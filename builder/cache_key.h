/* builder/cache_key — what a step's result depends on, as one digest: equal keys, equal results.
 *
 * Words go in with their lengths, so that no two lists of words are the same bytes. */
#ifndef BUILDER_CACHE_KEY_H
#define BUILDER_CACHE_KEY_H

#include "base/argv.h"
#include "base/digest.h"

struct cache_key {
    struct sha256 *hash;
};

/* A key that begins with what it is of ("run 1": a new number when its meaning changes) and the key
 * of the step before. */
MUST_CHECK int cache_key_begin(struct cache_key *k, const char *what, const char *before,
                               struct error *err);
void cache_key_release(struct cache_key *k);

void cache_key_add(struct cache_key *k, const void *data, size_t len);
void cache_key_add_word(struct cache_key *k, const char *word); /* NULL is another than "" */
void cache_key_add_words(struct cache_key *k, const struct argv *words);
void cache_key_add_number(struct cache_key *k, int64_t number);

/* Ends it. */
void cache_key_end(struct cache_key *k, char ret[SHA256_HEX]);

#endif
