/* base/argv — a list of owned strings, NULL-terminated as execve wants it.
 *
 * Also used for environments ("K=V") and any other list of words.  The error is sticky as in
 * base/buf: an argv that ran out of memory is refused by process_run. */
#ifndef BASE_ARGV_H
#define BASE_ARGV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct argv {
    char **v; /* v[n] is NULL; NULL until the first push */
    size_t n;
    size_t cap;
    bool failed;
};

#define ARGV_INIT                                                                                  \
    {                                                                                              \
        .v = NULL                                                                                  \
    }

void argv_release(struct argv *a);

/* Copies each of the words up to the NULL that ends them. */
void argv_push(struct argv *a, ...) __attribute__((sentinel));
void argv_push1(struct argv *a, const char *word);
void argv_pushf(struct argv *a, const char *fmt, ...) PRINTF(2, 3);

bool argv_contains(const struct argv *a, const char *word);

/* Puts the words in byte order. */
void argv_sort(struct argv *a);

#endif
