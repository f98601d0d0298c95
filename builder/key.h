/* builder/key — what a step's result depends on, as one digest: equal keys, equal results.
 *
 * Words go in with their lengths, so that no two lists of words are the same bytes. */
#ifndef BUILDER_KEY_H
#define BUILDER_KEY_H

#include "base/argv.h"
#include "base/digest.h"

struct key {
    struct sha256 *hash;
};

/* A key that begins with what it is of ("run 1": a new number when its meaning changes) and the key
 * of the step before. */
MUST_CHECK int key_begin(struct key *k, const char *what, const char *before, struct error *err);
void key_release(struct key *k);

void key_add(struct key *k, const void *data, size_t len);
void key_add_word(struct key *k, const char *word); /* NULL is another than "" */
void key_add_words(struct key *k, const struct argv *words);
void key_add_number(struct key *k, int64_t number);

/* Ends it. */
void key_end(struct key *k, char ret[SHA256_HEX]);

#endif
