/* dockerfile/runes — decoding, encoding and trimming; the letters are in letters.c. */
#include "dockerfile/runes.h"

#include "base/text.h"

size_t rune_decode(const char *s, size_t len, uint32_t *ret_rune)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t rune = n == 1 ? p[0] : p[0] & (0x7fU >> n);

    if (n > len || (n == 2 && p[0] < 0xc0)) {
        *ret_rune = 0xfffd;
        return 1;
    }
    for (size_t i = 1; i < n; i++)
        rune = rune << 6 | (p[i] & 0x3fU);
    *ret_rune = rune;
    return n;
}

size_t rune_decode_any(const char *s, size_t len, uint32_t *ret_rune)
{
    size_t n = rune_decode(s, len, ret_rune);

    if (n == 1 && (unsigned char)*s < 0x80)
        return n;
    if (n > 1 && text_is_utf8(s, n))
        return n;
    *ret_rune = 0xfffd;
    return 1;
}

void rune_add(struct buf *out, uint32_t rune)
{
    char s[4];

    if (rune < 0x80) {
        buf_addc(out, (char)rune);
    } else if (rune < 0x800) {
        s[0] = (char)(0xc0 | rune >> 6);
        s[1] = (char)(0x80 | (rune & 0x3f));
        buf_add(out, s, 2);
    } else if (rune < 0x10000) {
        s[0] = (char)(0xe0 | rune >> 12);
        s[1] = (char)(0x80 | (rune >> 6 & 0x3f));
        s[2] = (char)(0x80 | (rune & 0x3f));
        buf_add(out, s, 3);
    } else {
        s[0] = (char)(0xf0 | rune >> 18);
        s[1] = (char)(0x80 | (rune >> 12 & 0x3f));
        s[2] = (char)(0x80 | (rune >> 6 & 0x3f));
        s[3] = (char)(0x80 | (rune & 0x3f));
        buf_add(out, s, 4);
    }
}

bool rune_is_space(uint32_t rune)
{
    if (rune < 0x80)
        return rune == ' ' || (rune >= '\t' && rune <= '\r');
    return rune == 0x85 || rune == 0xa0 || rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200a) ||
           rune == 0x2028 || rune == 0x2029 || rune == 0x202f || rune == 0x205f || rune == 0x3000;
}

/* Bytes of the white space character at s, 0 if it is none. */
static size_t space_length(const char *s, size_t len)
{
    uint32_t rune;
    size_t n;

    if ((unsigned char)*s < 0x80)
        return is_ascii_space(*s);
    n = rune_decode(s, len, &rune);
    return rune_is_space(rune) ? n : 0;
}

struct span span_trim_left(struct span text)
{
    while (text.len > 0) {
        size_t n = space_length(text.s, text.len);

        if (n == 0)
            break;
        text.s += n;
        text.len -= n;
    }
    return text;
}

struct span span_trim_right(struct span text)
{
    while (text.len > 0) {
        size_t start = text.len - 1;

        while (start > 0 && ((unsigned char)text.s[start] & 0xc0) == 0x80)
            start--;
        if (space_length(text.s + start, text.len - start) == 0)
            break;
        text.len = start;
    }
    return text;
}

struct span span_trim(struct span text)
{
    return span_trim_right(span_trim_left(text));
}
