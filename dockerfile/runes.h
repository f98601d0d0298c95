/* dockerfile/runes — characters of UTF-8 text, with Go's ideas of space, letter and digit, which
 * are BuildKit's. */
#ifndef DOCKERFILE_RUNES_H
#define DOCKERFILE_RUNES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Bytes of the character at s, which is valid UTF-8 and has len > 0 bytes. */
size_t rune_decode(const char *s, size_t len, uint32_t *ret_rune);

/* The same of any text: U+FFFD, and one byte, where it is not UTF-8. */
size_t rune_decode_any(const char *s, size_t len, uint32_t *ret_rune);
void rune_add(struct buf *out, uint32_t rune);

/* unicode.IsSpace, IsLetter (categories L*) and IsDigit (Nd) */
bool rune_is_space(uint32_t rune);
bool rune_is_letter(uint32_t rune);
bool rune_is_digit(uint32_t rune);

/* A piece of text that is not NUL-terminated. */
struct span {
    const char *s;
    size_t len;
};

/* strings.TrimSpace and its halves. */
struct span span_trim(struct span text);
struct span span_trim_left(struct span text);
struct span span_trim_right(struct span text);

/* [\t\v\f\r ]: what parts an instruction from its arguments, and one argument from the next. */
static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static inline bool is_ascii_space(char c)
{
    return is_blank(c) || c == '\n';
}

#endif
