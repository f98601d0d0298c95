/* dockerfile/words — blanks and quotes; JSON is in json.c. */
#include "dockerfile/words.h"

#include <string.h>

#include "dockerfile/runes.h"

void words_split(struct arena *a, const char *text, struct argv *ret_words)
{
    while (*text) {
        const char *start = text;

        while (*text && !is_blank(*text))
            text++;
        arena_push(a, ret_words, arena_string(a, start, (size_t)(text - start)));
        while (is_blank(*text))
            text++;
    }
}

/* Copies one quoted-or-not word from text to out and returns what follows it.  An escape token
 * takes the next character with it; one at the very end is dropped. */
static const char *quoted_word(const char *text, const char *end, char escape, char **out)
{
    char quote = 0;

    while (text < end) {
        uint32_t rune;
        size_t n = rune_decode(text, (size_t)(end - text), &rune);

        if (!quote && rune_is_space(rune))
            break;
        if (quote && *text == quote)
            quote = 0;
        else if (!quote && (*text == '\'' || *text == '"'))
            quote = *text;
        if (*text == escape && quote != '\'') {
            if (++text == end)
                break;
            *(*out)++ = escape;
            n = rune_decode(text, (size_t)(end - text), &rune);
        }
        memcpy(*out, text, n);
        *out += n;
        text += n;
    }
    return text;
}

void words_split_quoted(struct arena *a, const char *text, char escape, struct argv *ret_words)
{
    struct span rest = span_trim_left((struct span){text, strlen(text)});
    const char *end = rest.s + rest.len;
    char *out = arena_room(a, rest.len + 1); /* words and NULs fit where words and blanks did */

    while (out && rest.len > 0) {
        char *start = out;
        const char *next = quoted_word(rest.s, end, escape, &out);

        *out = '\0';
        if (out > start) {
            arena_push(a, ret_words, start);
            out++;
        }
        rest = span_trim_left((struct span){next, (size_t)(end - next)});
    }
}
