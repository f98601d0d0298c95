/* base/es256 — see the header. */
#include "base/es256.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"

#define PEM_MAX  8192 /* bytes of a key's file */
#define DAY      86400L
#define HALF     (ES256_SIGNATURE / 2)
#define ID_BYTES 30

struct es256_key {
    EVP_PKEY *pkey;
    char id[ES256_ID];
    unsigned char secret[ES256_SECRET];
};

static void pkey_release(EVP_PKEY **p)
{
    EVP_PKEY_free(*p);
}

static void bio_release(BIO **b)
{
    BIO_free_all(*b);
}

/* ---- the file ---- */

/* The key of a PEM text.  No passphrase is asked for. */
static EVP_PKEY *parse_pem(const struct buf *pem)
{
    CLEANUP(bio_release) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    CLEANUP(pkey_release)
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
    char group[32] = "";
    size_t len;

    if (!pkey || EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) != 1 ||
        strcmp(group, "prime256v1") != 0)
        return NULL;
    return TAKE(pkey);
}

static int add_bio(struct buf *out, BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    if (len <= 0)
        return -1;
    buf_add(out, data, (size_t)len);
    return 0;
}

static int generate(struct buf *out, struct error *err)
{
    CLEANUP(pkey_release) EVP_PKEY *pkey = EVP_EC_gen("P-256");
    CLEANUP(bio_release) BIO *bio = BIO_new(BIO_s_mem());

    if (!pkey || !bio || PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) != 1 ||
        add_bio(out, bio) < 0)
        return error_set(err, ERR_SYSTEM, "make a P-256 key: libcrypto refused");
    return buf_check(out, "a key", err);
}

/* Written whole under another name and linked: who comes second finds the first one's. */
static int make_file(const char *path, struct error *err)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT(PEM_MAX);
    CLEANUP(buf_release) struct buf name = BUF_INIT(4096);
    char unique[17];
    int made;

    digest_random_name(unique, sizeof(unique) - 1);
    buf_addf(&name, "%s.%s", path, unique);
    if (generate(&pem, err) < 0 || buf_check(&name, "a path", err) < 0 ||
        fs_write_file(AT_FDCWD, buf_str(&name), pem.data, pem.len, 0600, err) < 0)
        return -1;
    made = link(buf_str(&name), path) == 0 || errno == EEXIST ? 0 : errno;
    (void)unlink(buf_str(&name));
    return made ? error_errno(err, made, "make %s", path) : fs_sync_parent(AT_FDCWD, path, err);
}

/* libtrust's fingerprint: 240 bits in base32 (RFC 4648, 6) need no padding. */
static int name_key(struct es256_key *k, struct error *err)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(k->pkey, &der);
    unsigned char hash[SHA256_SIZE];
    char *out = k->id;

    if (len <= 0)
        return error_set(err, ERR_SYSTEM, "name a key: libcrypto refused");
    digest_sha256(der, (size_t)len, hash);
    OPENSSL_free(der);
    for (unsigned bit = 0; bit < 8 * ID_BYTES; bit += 5) {
        unsigned pair = (unsigned)hash[bit / 8] << 8 | hash[bit / 8 + 1];

        if (bit && bit % 20 == 0)
            *out++ = ':';
        *out++ = alphabet[pair >> (11 - bit % 8) & 31];
    }
    *out = '\0';
    return 0;
}

/* A MAC with the private key, of a text that says what for. */
static int derive_secret(struct es256_key *k, struct error *err)
{
    static const char purpose[] = "kiln: a key for other uses";
    unsigned char *der = NULL;
    int len = i2d_PrivateKey(k->pkey, &der);

    if (len <= 0)
        return error_set(err, ERR_SYSTEM, "read a key: libcrypto refused");
    digest_hmac_sha256(der, (size_t)len, purpose, strlen(purpose), k->secret);
    OPENSSL_clear_free(der, (size_t)len);
    return 0;
}

int es256_open(const char *path, struct es256_key **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT(PEM_MAX);
    struct es256_key *k;

    if (access(path, F_OK) < 0 && errno == ENOENT && make_file(path, err) < 0)
        return -1;
    if (fs_read_file(AT_FDCWD, path, &pem, err) < 0)
        return -1;
    k = calloc(1, sizeof(*k));
    if (!k)
        return error_set(err, ERR_SYSTEM, "read %s: out of memory", path);
    k->pkey = parse_pem(&pem);
    if (!k->pkey)
        (void)error_set(err, ERR_INPUT,
                        "%s: no P-256 private key is in there; `openssl genpkey -algorithm EC "
                        "-pkeyopt ec_paramgen_curve:P-256` makes one",
                        path);
    if (!k->pkey || name_key(k, err) < 0 || derive_secret(k, err) < 0) {
        es256_free(k);
        return -1;
    }
    *ret = k;
    return 0;
}

void es256_free(struct es256_key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

const char *es256_id(const struct es256_key *k)
{
    return k->id;
}

const unsigned char *es256_secret(const struct es256_key *k)
{
    return k->secret;
}

/* ---- the certificate ---- */

static void x509_release(X509 **x)
{
    X509_free(*x);
}

static bool fill_certificate(X509 *x, const struct es256_key *k, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(x);

    return X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x), -DAY) &&
           X509_gmtime_adj(X509_getm_notAfter(x), 3650 * DAY) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, k->pkey) == 1 &&
           X509_sign(x, k->pkey, EVP_sha256()) > 0;
}

int es256_certificate(const struct es256_key *k, const char *common_name, struct buf *out,
                      struct error *err)
{
    CLEANUP(x509_release) X509 *x = X509_new();
    CLEANUP(bio_release) BIO *bio = BIO_new(BIO_s_mem());

    if (!x || !bio || !fill_certificate(x, k, common_name) || PEM_write_bio_X509(bio, x) != 1 ||
        add_bio(out, bio) < 0)
        return error_set(err, ERR_SYSTEM, "make a certificate: libcrypto refused");
    return buf_check(out, "a certificate", err);
}

/* ---- signatures ---- */

static void md_release(EVP_MD_CTX **c)
{
    EVP_MD_CTX_free(*c);
}

static void sig_release(ECDSA_SIG **s)
{
    ECDSA_SIG_free(*s);
}

int es256_sign(const struct es256_key *k, const void *data, size_t len,
               unsigned char ret[ES256_SIGNATURE], struct error *err)
{
    CLEANUP(md_release) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CLEANUP(sig_release) ECDSA_SIG *sig = NULL;
    unsigned char der[128];
    const unsigned char *at = der;
    size_t der_len = sizeof(der);

    if (ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
        EVP_DigestSign(ctx, der, &der_len, data, len) == 1)
        sig = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, HALF) != HALF ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + HALF, HALF) != HALF)
        return error_set(err, ERR_SYSTEM, "sign: libcrypto refused");
    return 0;
}
