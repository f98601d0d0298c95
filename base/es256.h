/* base/es256 — ECDSA over P-256 with SHA-256 (RFC 7518, 3.4): a private key in a file, its
 * signatures, and a certificate by which others know them. */
#ifndef BASE_ES256_H
#define BASE_ES256_H

#include "base/buf.h"

#define ES256_SIGNATURE 64 /* bytes: r and s, as JWS has them */
#define ES256_ID        60 /* 12 groups of 4 with colons between, and the NUL */

struct es256_key;

/* The PEM file at path (PKCS #8 or SEC 1), made with mode 0600 if it is not there; of several that
 * make it at once, all get the same.  ERR_INPUT: it holds no P-256 private key. */
MUST_CHECK int es256_open(const char *path, struct es256_key **ret, struct error *err);
void es256_free(struct es256_key *k);

/* The key's name in a token's header ("kid"), as docker-registry computes it: libtrust's
 * fingerprint, base32 of the first 30 bytes of the SHA-256 of the DER SubjectPublicKeyInfo. */
const char *es256_id(const struct es256_key *k);

/* ES256_SECRET bytes that only who has the private key can know, for use as another key. */
#define ES256_SECRET 32
const unsigned char *es256_secret(const struct es256_key *k);

/* Adds a self-signed certificate of the key, PEM, good for ten years from yesterday. */
MUST_CHECK int es256_certificate(const struct es256_key *k, const char *common_name,
                                 struct buf *out, struct error *err);

MUST_CHECK int es256_sign(const struct es256_key *k, const void *data, size_t len,
                          unsigned char ret[ES256_SIGNATURE], struct error *err);

#endif
