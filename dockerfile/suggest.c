/* dockerfile/suggest — Levenshtein distance over short names. */
#include "dockerfile/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 24 /* longer words are near to no name */
#define TOO_FAR      3  /* as in BuildKit's util/suggest */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

static size_t distance(const char *a, const char *b)
{
    size_t m = strlen(b);
    size_t row[NAME_MAX_LEN + 1] = {0};

    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];

            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

static void fold_copy(const char *s, int (*fold)(int), char out[NAME_MAX_LEN + 1])
{
    size_t i = 0;

    for (; s[i] && i < NAME_MAX_LEN; i++)
        out[i] = (char)fold((unsigned char)s[i]);
    out[i] = '\0';
}

static int same(int c)
{
    return c;
}

const char *suggest(const char *word, const char *const *names, bool fold, char text[SUGGEST_SIZE])
{
    char folded[NAME_MAX_LEN + 1] = "", upper[NAME_MAX_LEN + 1], name[NAME_MAX_LEN + 1] = "";
    const char *best = NULL;
    size_t best_distance = TOO_FAR;

    text[0] = '\0';
    if (strlen(word) > NAME_MAX_LEN)
        return text;
    fold_copy(word, fold ? tolower : same, folded);
    for (; *names; names++) {
        size_t d;

        fold_copy(*names, fold ? tolower : same, name);
        d = distance(folded, name);
        if (d < best_distance) {
            best = *names;
            best_distance = d;
        }
    }
    if (!best)
        return text;
    fold_copy(word, toupper, upper);
    fold_copy(best, !fold ? same : strcmp(word, folded) == 0 ? tolower : same, name);
    if (fold && strcmp(word, upper) == 0 && strcmp(word, folded) != 0)
        fold_copy(best, toupper, name);
    (void)snprintf(text, SUGGEST_SIZE, " (did you mean %s?)", name);
    return text;
}
