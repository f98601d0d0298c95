/* base/digest — see the header. */
#include "base/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

struct sha256 {
    EVP_MD_CTX *ctx;
};

void digest_sha256(const void *data, size_t len, unsigned char out[SHA256_SIZE])
{
    if (EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

void digest_sha256_hex(const void *data, size_t len, char out[SHA256_HEX])
{
    unsigned char raw[SHA256_SIZE];

    digest_sha256(data, len, raw);
    digest_hex(raw, sizeof(raw), out);
}

int sha256_new(struct sha256 **ret, struct error *err)
{
    struct sha256 *s = calloc(1, sizeof(*s));

    if (s)
        s->ctx = EVP_MD_CTX_new();
    if (!s || !s->ctx || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) {
        sha256_free(s);
        return error_set(err, ERR_SYSTEM, "start a SHA-256 hash: out of memory");
    }
    *ret = s;
    return 0;
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
    if (EVP_DigestUpdate(s->ctx, data, len) != 1)
        abort();
}

void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE])
{
    if (EVP_DigestFinal_ex(s->ctx, out, NULL) != 1)
        abort();
}

void sha256_free(struct sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->ctx);
    free(s);
}

void digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                        unsigned char out[SHA256_SIZE])
{
    if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, out, NULL))
        abort();
}

void digest_random(void *out, size_t len)
{
    unsigned char *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

void digest_random_name(char *out, size_t n)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    const unsigned fair = 256 - 256 % (sizeof(alphabet) - 1); /* larger draws would lean low */

    for (size_t i = 0; i < n;) {
        unsigned char draw;

        digest_random(&draw, 1);
        if (draw < fair)
            out[i++] = alphabet[draw % (sizeof(alphabet) - 1)];
    }
    out[n] = '\0';
}

void digest_hex(const unsigned char *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

bool digest_is_hex(const char *s)
{
    return s && strlen(s) == SHA256_HEX - 1 && strspn(s, "0123456789abcdef") == SHA256_HEX - 1;
}

bool digest_is_sha256(const char *s)
{
    return s && strncmp(s, "sha256:", 7) == 0 && digest_is_hex(s + 7);
}

bool digest_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void digest_base64(const void *data, size_t len, struct buf *out)
{
    const unsigned char *p = data;
    unsigned char text[5];

    for (size_t i = 0; i < len; i += 3) {
        int n = EVP_EncodeBlock(text, p + i, len - i < 3 ? (int)(len - i) : 3);

        buf_add(out, text, (size_t)n);
    }
}

void digest_base64url(const void *data, size_t len, struct buf *out)
{
    const unsigned char *p = data;
    unsigned char text[5];

    for (size_t i = 0; i < len; i += 3) {
        int n = EVP_EncodeBlock(text, p + i, len - i < 3 ? (int)(len - i) : 3);

        for (int c = 0; c < n && text[c] != '='; c++)
            buf_addc(out, text[c] == '+' ? '-' : text[c] == '/' ? '_' : (char)text[c]);
    }
}

bool digest_unbase64(const char *text, struct buf *out)
{
    size_t len = strlen(text);
    unsigned char three[3];

    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        size_t pad = i + 4 == len ? (text[i + 2] == '=') + (size_t)(text[i + 3] == '=') : 0;

        if (strspn(text + i, BASE64) < 4 - pad ||
            EVP_DecodeBlock(three, (const unsigned char *)text + i, 4) != 3)
            return false;
        buf_add(out, three, 3 - pad);
    }
    return true;
}
