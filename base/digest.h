/* base/digest — SHA-256, HMAC, random bytes, hex and base64, by OpenSSL's libcrypto. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SHA256_SIZE 32 /* bytes */
#define SHA256_HEX  65 /* 64 lower-case hex digits and the NUL */

void digest_sha256(const void *data, size_t len, unsigned char out[SHA256_SIZE]);
void digest_sha256_hex(const void *data, size_t len, char out[SHA256_HEX]);

/* A hash over many pieces (FIPS 180-4). */
struct sha256;
MUST_CHECK int sha256_new(struct sha256 **ret, struct error *err);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE]);
void sha256_free(struct sha256 *s);
static inline void sha256_freep(struct sha256 **s)
{
    sha256_free(*s);
}

/* RFC 2104 with SHA-256. */
void digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                        unsigned char out[SHA256_SIZE]);

/* From the kernel's generator; aborts if it has none, as nothing safe can follow. */
void digest_random(void *out, size_t len);

/* n lower-case letters and digits from [a-z0-9], uniformly drawn, and a NUL: out has n + 1 bytes.
 */
void digest_random_name(char *out, size_t n);

/* out has 2 * len + 1 bytes. */
void digest_hex(const unsigned char *data, size_t len, char *out);

/* 64 lower-case hex digits; "sha256:" and as many.  NULL is neither. */
bool digest_is_hex(const char *s);
bool digest_is_sha256(const char *s);

/* In a time that depends on len only. */
bool digest_equal(const void *a, const void *b, size_t len);

/* RFC 4648 section 4, with padding. */
void digest_base64(const void *data, size_t len, struct buf *out);
/* Adds the bytes of such a text; false when it is none. */
bool digest_unbase64(const char *text, struct buf *out);
/* RFC 4648 section 5, without padding, as JWS has it. */
void digest_base64url(const void *data, size_t len, struct buf *out);

#endif
