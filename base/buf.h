/* base/buf — a growing byte buffer with a ceiling, always NUL-terminated.
 *
 * The error is sticky: once an append would pass the ceiling or memory runs out, later appends do
 * nothing, and buf_check says so.  So code builds text with many appends and one check. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len; /* bytes, without the terminating NUL */
    size_t cap;
    size_t max; /* ceiling for len */
    bool full;  /* an append was refused */
};

/* max: most bytes it may hold. */
#define BUF_INIT(ceiling)                                                                          \
    {                                                                                              \
        .max = (ceiling)                                                                           \
    }

void buf_release(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

/* Keeps the memory, forgets content and error. */
void buf_clear(struct buf *b);

/* The content as a string; "" when empty.  Valid until the next append. */
const char *buf_str(const struct buf *b);

/* Hands the content over as a string for the caller to free; the buffer is empty again.
 * NULL when memory ran out. */
char *buf_take(struct buf *b);

/* -1, ERR_LIMIT "<what> is larger than N bytes" when an append was refused. */
MUST_CHECK int buf_check(const struct buf *b, const char *what, struct error *err);

#endif
