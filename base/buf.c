/* base/buf — growth by doubling up to the ceiling. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

void buf_release(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
    b->full = false;
}

static bool grow(struct buf *b, size_t more)
{
    size_t need;
    size_t cap = b->cap ? b->cap : 64;
    char *data;

    if (b->full || more > b->max || b->len > b->max - more || b->len + more == SIZE_MAX) {
        b->full = true;
        return false;
    }
    need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    data = realloc(b->data, cap);
    if (!data) {
        b->full = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

static inline bool reserve(struct buf *b, size_t more)
{
    if (!b->full && more < b->cap - b->len && b->len + more <= b->max)
        return true;
    return grow(b, more);
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (!reserve(b, len))
        return;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_addc(struct buf *b, char c)
{
    if (!reserve(b, 1))
        return;
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    size_t room = b->full || !b->data ? 0 : b->cap - b->len;
    va_list ap;
    int n;

    /* Where there is room already, printing to measure is all the printing. */
    va_start(ap, fmt);
    n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < room && (size_t)n <= b->max - b->len) {
        b->len += (size_t)n;
        return;
    }
    if (room)
        b->data[b->len] = '\0';
    if (n < 0)
        b->full = true;
    if (n < 0 || !reserve(b, (size_t)n))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->full = false;
    if (b->data)
        b->data[0] = '\0';
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
    char *data = b->data ? b->data : strdup("");

    b->data = NULL;
    buf_release(b);
    return data;
}

int buf_check(const struct buf *b, const char *what, struct error *err)
{
    if (!b->full)
        return 0;
    return error_set(err, ERR_LIMIT, "%s is larger than %zu bytes", what, b->max);
}
