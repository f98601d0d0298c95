/* builder/key — see the header. */
#include "builder/key.h"

#include <string.h>

int key_begin(struct key *k, const char *what, const char *before, struct error *err)
{
    k->hash = NULL;
    if (sha256_new(&k->hash, err) < 0)
        return -1;
    key_add_word(k, what);
    key_add_word(k, before);
    return 0;
}

void key_release(struct key *k)
{
    sha256_free(k->hash);
    k->hash = NULL;
}

void key_add_number(struct key *k, int64_t number)
{
    sha256_add(k->hash, &number, sizeof(number));
}

void key_add(struct key *k, const void *data, size_t len)
{
    key_add_number(k, (int64_t)len);
    sha256_add(k->hash, data, len);
}

void key_add_word(struct key *k, const char *word)
{
    if (word)
        key_add(k, word, strlen(word));
    else
        key_add_number(k, -1);
}

void key_add_words(struct key *k, const struct argv *words)
{
    key_add_number(k, (int64_t)words->n);
    for (size_t i = 0; i < words->n; i++)
        key_add_word(k, words->v[i]);
}

void key_end(struct key *k, char ret[SHA256_HEX])
{
    unsigned char digest[SHA256_SIZE];

    sha256_end(k->hash, digest);
    digest_hex(digest, sizeof(digest), ret);
}
