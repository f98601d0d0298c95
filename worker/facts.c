/* worker/facts — see the header.  One line: "done 3 120 …" and a digest or "-", or a kind of error
 * and its text. */
#include "worker/facts.h"

#include <string.h>

#include "base/text.h"

void facts_write(const struct facts *f, const struct error *failure, struct buf *out)
{
    if (failure) {
        buf_addf(out, "%s %s", error_kind_name(failure->kind), failure->msg);
        return;
    }
    buf_adds(out, "done");
    for (size_t i = 0; i < FACTS; i++)
        buf_addf(out, " %llu", (unsigned long long)f->v[i]);
    buf_addf(out, " %s", f->digest[0] ? f->digest : "-");
}

static int read_failure(const char *text, struct error *err)
{
    static const enum error_kind kinds[] = {ERR_INPUT, ERR_LIMIT, ERR_REMOTE, ERR_SYSTEM};
    size_t len = strcspn(text, " ");

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *name = error_kind_name(kinds[i]);

        if (strlen(name) == len && strncmp(text, name, len) == 0 && text[len])
            return error_set(err, kinds[i], "%s", text + len + 1);
    }
    return error_set(err, ERR_SYSTEM, "read the report of a jail: it says nothing");
}

/* The next word is copied to word; false without one. */
static bool next_word(const char **at, char word[SHA256_HEX])
{
    size_t len = strcspn(*at, " ");

    if (len == 0 || len >= SHA256_HEX)
        return false;
    memcpy(word, *at, len);
    word[len] = '\0';
    *at += len + ((*at)[len] == ' ');
    return true;
}

int facts_read(const char *text, struct facts *ret, struct error *err)
{
    struct facts f = {.digest = ""};
    char word[SHA256_HEX];
    bool good;

    if (!text_starts(text, "done "))
        return read_failure(text, err);
    text += strlen("done ");
    good = true;
    for (size_t i = 0; i < FACTS && good; i++)
        good = next_word(&text, word) && text_to_u64(word, INT64_MAX, &f.v[i]);
    good = good && next_word(&text, word) && !*text;
    if (!good || (strcmp(word, "-") != 0 && !digest_is_hex(word)))
        return error_set(err, ERR_SYSTEM, "read the report of a jail: it is damaged");
    if (word[0] != '-')
        memcpy(f.digest, word, sizeof(f.digest));
    *ret = f;
    return 0;
}
