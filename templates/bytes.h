/* templates/bytes — numbers as they lie on disk: little-endian, and LEB128 where they are small. */
#ifndef TEMPLATES_BYTES_H
#define TEMPLATES_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static inline uint32_t bytes_get32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint64_t bytes_get64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline void bytes_put32(void *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void bytes_put64(void *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static inline void bytes_add32(struct buf *b, uint32_t v)
{
    v = htole32(v);
    buf_add(b, &v, sizeof(v));
}

static inline void bytes_add64(struct buf *b, uint64_t v)
{
    v = htole64(v);
    buf_add(b, &v, sizeof(v));
}

/* Seven bits a byte, the lowest first, the high bit set on all but the last. */
static inline void bytes_add_varint(struct buf *b, uint64_t v)
{
    unsigned char text[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        text[n++] = (unsigned char)(v | 0x80);
    text[n++] = (unsigned char)v;
    buf_add(b, text, n);
}

/* What is left of bytes that are being read; bad once something was not there. */
struct bytes {
    const unsigned char *p;
    size_t left;
    bool bad;
};

/* n bytes, borrowed; NULL (and bad) when so many are not left. */
static inline const unsigned char *bytes_take(struct bytes *b, size_t n)
{
    const unsigned char *p = b->p;

    if (b->bad || n > b->left) {
        b->bad = true;
        return NULL;
    }
    b->p += n;
    b->left -= n;
    return p;
}

static inline uint64_t bytes_take64(struct bytes *b)
{
    const unsigned char *p = bytes_take(b, 8);

    return p ? bytes_get64(p) : 0;
}

/* Only the shortest form of a number is taken; 0 and bad otherwise. */
static inline uint64_t bytes_take_varint(struct bytes *b)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char *p = bytes_take(b, 1);

        if (!p)
            return 0;
        if ((shift == 63 && *p > 1) || (shift > 0 && *p == 0))
            break;
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p & 0x80))
            return v;
    }
    b->bad = true;
    return 0;
}

#endif
