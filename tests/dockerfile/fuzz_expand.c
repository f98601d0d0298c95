/* Anything may come as a word with variables: the value of $V up to a NUL, then the word. */
#include <stdint.h>
#include <string.h>

#include "dockerfile/expand.h"
#include "dockerfile/vars.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void expand(struct vars *vars, const char *word, unsigned flags)
{
    struct expander x = {
        .escape = flags & 1 ? '`' : '\\',
        .raw_quotes = flags & 2,
        .raw_escapes = flags & 4,
        .keep_quotes = flags & 8,
        .keep_unset = flags & 16,
        .get = vars_get,
        .self = vars,
        .work = 1 << 20,
    };
    struct buf out = BUF_INIT(1 << 16);
    struct argv words = ARGV_INIT;
    struct error err = ERROR_INIT;
    size_t len = 0;

    if (expand_word(&x, word, &out, &err) < 0)
        must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT);
    if (expand_words(&x, word, &words, &err) == 0)
        for (size_t i = 0; i < words.n; i++)
            len += strlen(words.v[i]);
    must(x.work <= 1 << 20 && len <= 1 << 20);
    argv_release(&words);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    size_t len = text ? strlen(text) : 0;
    char *word = len < size ? strndup((const char *)data + len + 1, size - len - 1) : strdup("$V");
    struct arena arena = {.blocks = NULL};
    struct vars vars = {.arena = &arena};
    struct error err;

    must(text && word && vars_set(&vars, "V", 1, text, &err) == 0);
    for (unsigned flags = 0; flags < 32; flags += 3)
        expand(&vars, word, flags);
    arena_release(&arena);
    free(word);
    free(text);
    return 0;
}
