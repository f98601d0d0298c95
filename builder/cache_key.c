/* builder/cache_key — see the header. */
#include "builder/cache_key.h"

#include <string.h>

int cache_key_begin(struct cache_key *k, const char *what, const char *before, struct error *err)
{
    k->hash = NULL;
    if (sha256_new(&k->hash, err) < 0)
        return -1;
    cache_key_add_word(k, what);
    cache_key_add_word(k, before);
    return 0;
}

void cache_key_release(struct cache_key *k)
{
    sha256_free(k->hash);
    k->hash = NULL;
}

void cache_key_add_number(struct cache_key *k, int64_t number)
{
    sha256_add(k->hash, &number, sizeof(number));
}

void cache_key_add(struct cache_key *k, const void *data, size_t len)
{
    cache_key_add_number(k, (int64_t)len);
    sha256_add(k->hash, data, len);
}

void cache_key_add_word(struct cache_key *k, const char *word)
{
    if (word)
        cache_key_add(k, word, strlen(word));
    else
        cache_key_add_number(k, -1);
}

void cache_key_add_words(struct cache_key *k, const struct argv *words)
{
    cache_key_add_number(k, (int64_t)words->n);
    for (size_t i = 0; i < words->n; i++)
        cache_key_add_word(k, words->v[i]);
}

void cache_key_end(struct cache_key *k, char ret[SHA256_HEX])
{
    unsigned char digest[SHA256_SIZE];

    sha256_end(k->hash, digest);
    digest_hex(digest, sizeof(digest), ret);
}
