/* base/text — questions about strings that come from outside. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool text_is_utf8(const char *s, size_t len);

/* Bytes of the character that s begins with; 0 if that is none. */
size_t text_utf8_length(const char *s, size_t len);

/* Holds a byte below 0x20 or 0x7f. */
bool text_has_control(const char *s, size_t len);

bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);

/* Whether s is one of the words, which end with NULL. */
bool text_is_among(const char *s, const char *const *words);

/* The whole of s as a decimal number from 0 to max; false and *ret untouched otherwise. */
bool text_to_u64(const char *s, uint64_t max, uint64_t *ret);

/* "1.5 GB", "12 B": powers of 1000, as docker and buildah print sizes.  text has TEXT_SIZE bytes.
 */
#define TEXT_SIZE 32
void text_size(uint64_t bytes, char text[TEXT_SIZE]);

/* A size that somebody set, unrounded: "4 GiB", "500 MB", "1023 B". */
void text_exact_size(uint64_t bytes, char text[TEXT_SIZE]);

/* A name in quotes, for messages: bytes that are no printable UTF-8 as \xNN, cut when long. */
#define TEXT_SHOWN 200
struct text_shown {
    char text[TEXT_SHOWN];
};
struct text_shown text_show(const char *name);

#endif
