/* base/argv — see the header. */
#include "base/argv.h"

#include <stdarg.h>
#include <string.h>

void argv_release(struct argv *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->v[i]);
    free(a->v);
    *a = (struct argv)ARGV_INIT;
}

static void push_owned(struct argv *a, char *word)
{
    if (word && a->n + 2 > a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 16;
        char **v = realloc(a->v, cap * sizeof(*v));

        if (v) {
            a->v = v;
            a->cap = cap;
        }
    }
    if (!word || a->n + 2 > a->cap) {
        free(word);
        a->failed = true;
        return;
    }
    a->v[a->n++] = word;
    a->v[a->n] = NULL;
}

void argv_push1(struct argv *a, const char *word)
{
    push_owned(a, strdup(word));
}

void argv_push(struct argv *a, ...)
{
    va_list ap;

    va_start(ap, a);
    for (const char *word = va_arg(ap, const char *); word; word = va_arg(ap, const char *))
        argv_push1(a, word);
    va_end(ap);
}

void argv_pushf(struct argv *a, const char *fmt, ...)
{
    char *word = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&word, fmt, ap) < 0)
        word = NULL;
    va_end(ap);
    push_owned(a, word);
}

bool argv_contains(const struct argv *a, const char *word)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], word) == 0)
            return true;
    return false;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void argv_sort(struct argv *a)
{
    if (a->n > 1)
        qsort(a->v, a->n, sizeof(*a->v), compare_words);
}
