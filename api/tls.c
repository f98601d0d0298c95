/* api/tls — see the header. */
#include "api/tls.h"

#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

#define FILE_BYTES_MAX (1u << 20)
#define CHAIN_MAX      32

const char tls_priorities[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:+AEAD"
    ":+ECDHE-ECDSA:+ECDHE-RSA:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+COMP-NULL"
    ":+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA384"
    ":+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256"
    ":+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384"
    ":+SIGN-RSA-SHA512:+CTYPE-X509:%SERVER_PRECEDENCE";

struct tls_pair {
    int64_t ends;
    gnutls_certificate_credentials_t credentials;
    atomic_uint holders;
};

/* Which bytes a file has, without reading them; all 0: there is none. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct tls {
    char *certificate, *key; /* paths */
    struct stamp stamps[2];  /* of what was read last, be it good or not */
    pthread_mutex_t lock;    /* over newest */
    struct tls_pair *newest;
};

/* ---- reading ---- */

static void release_secret(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->len);
    buf_release(b);
}

static int read_pem(const char *name, const char *path, struct buf *out, struct error *err)
{
    if (fs_read_file(AT_FDCWD, path, out, err) == 0)
        return 0;
    err->kind = ERR_INPUT;
    return error_wrap(err, "%s", name);
}

static gnutls_datum_t datum_of(const struct buf *b)
{
    return (gnutls_datum_t){.data = (unsigned char *)b->data, .size = (unsigned)b->len};
}

/* The chain, the server's own certificate first; *n of them. */
static int parse_chain(const char *path, const struct buf *pem, gnutls_x509_crt_t chain[CHAIN_MAX],
                       unsigned *n, struct error *err)
{
    const gnutls_datum_t text = datum_of(pem);
    int rc;

    *n = CHAIN_MAX;
    rc = gnutls_x509_crt_list_import(chain, n, &text, GNUTLS_X509_FMT_PEM,
                                     GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (rc > 0)
        return 0;
    return error_set(err, ERR_INPUT,
                     "tls_certificate: %s is not a PEM file with the server's certificate and then "
                     "those between it and its authority: %s",
                     path, gnutls_strerror(rc));
}

static int parse_key(const char *path, const struct buf *pem, struct error *err)
{
    const gnutls_datum_t text = datum_of(pem);
    gnutls_x509_privkey_t key;
    int rc;

    if (gnutls_x509_privkey_init(&key) < 0)
        return error_set(err, ERR_SYSTEM, "read the TLS key: out of memory");
    rc = gnutls_x509_privkey_import2(key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_x509_privkey_deinit(key);
    if (rc >= 0)
        return 0;
    return error_set(err, ERR_INPUT,
                     "tls_key: %s is not a private key as PEM without a password: %s", path,
                     gnutls_strerror(rc));
}

static void pair_free(struct tls_pair *p)
{
    if (!p)
        return;
    if (p->credentials)
        gnutls_certificate_free_credentials(p->credentials);
    free(p);
}

static void pair_freep(struct tls_pair **p)
{
    pair_free(*p);
}

static int pair_of(const char *certificate_path, const struct buf *certificate,
                   const char *key_path, const struct buf *key, struct tls_pair **ret,
                   struct error *err)
{
    const gnutls_datum_t certificate_text = datum_of(certificate), key_text = datum_of(key);
    CLEANUP(pair_freep) struct tls_pair *p = calloc(1, sizeof(*p));
    int rc;

    if (!p || gnutls_certificate_allocate_credentials(&p->credentials) < 0)
        return error_set(err, ERR_SYSTEM, "read the TLS certificate: out of memory");
    rc = gnutls_certificate_set_x509_key_mem(p->credentials, &certificate_text, &key_text,
                                             GNUTLS_X509_FMT_PEM);
    if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return error_set(err, ERR_INPUT,
                         "tls_key: %s is not the key of the first certificate of tls_certificate, "
                         "%s",
                         key_path, certificate_path);
    if (rc < 0)
        return error_set(err, ERR_INPUT, "tls_certificate: %s with the key %s: %s",
                         certificate_path, key_path, gnutls_strerror(rc));
    atomic_init(&p->holders, 1);
    *ret = TAKE(p);
    return 0;
}

static void chain_free(gnutls_x509_crt_t *chain, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(chain[i]);
}

static void note_facts(gnutls_x509_crt_t certificate, const char *host, struct api_tls_facts *ret)
{
    ret->begins = (int64_t)gnutls_x509_crt_get_activation_time(certificate) * NS_PER_SEC;
    ret->ends = (int64_t)gnutls_x509_crt_get_expiration_time(certificate) * NS_PER_SEC;
    ret->names_host = !host || gnutls_x509_crt_check_hostname(certificate, host);
}

static int read_pair(const char *certificate_path, const char *key_path, const char *host,
                     struct api_tls_facts *ret_facts, struct tls_pair **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf certificate = BUF_INIT(FILE_BYTES_MAX);
    CLEANUP(release_secret) struct buf key = BUF_INIT(FILE_BYTES_MAX);
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned n;

    if (read_pem("tls_certificate", certificate_path, &certificate, err) < 0 ||
        read_pem("tls_key", key_path, &key, err) < 0 ||
        parse_chain(certificate_path, &certificate, chain, &n, err) < 0)
        return -1;
    if (ret_facts)
        note_facts(chain[0], host, ret_facts);
    chain_free(chain, n);
    if (parse_key(key_path, &key, err) < 0)
        return -1;
    return pair_of(certificate_path, &certificate, key_path, &key, ret, err);
}

int api_tls_examine(const char *certificate, const char *key, const char *host,
                    struct api_tls_facts *ret, struct error *err)
{
    CLEANUP(pair_freep) struct tls_pair *pair = NULL;

    return read_pair(certificate, key, host, ret, &pair, err);
}

/* ---- the newest ---- */

static struct stamp stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct stamp){.size = 0};
    return (struct stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

int tls_reload(struct tls *t, bool always, bool *ret_renewed, struct error *err)
{
    /* Before they are read: what is written meanwhile makes other stamps. */
    const struct stamp stamps[2] = {stamp_of(t->certificate), stamp_of(t->key)};
    struct api_tls_facts facts;
    struct tls_pair *pair, *old;

    if (!always && is_same(&stamps[0], &t->stamps[0]) && is_same(&stamps[1], &t->stamps[1])) {
        *ret_renewed = false;
        return 0;
    }
    memcpy(t->stamps, stamps, sizeof(stamps));
    if (read_pair(t->certificate, t->key, NULL, &facts, &pair, err) < 0)
        return -1;
    pair->ends = facts.ends;
    pthread_mutex_lock(&t->lock);
    old = t->newest;
    t->newest = pair;
    pthread_mutex_unlock(&t->lock);
    tls_release(old);
    *ret_renewed = true;
    return 0;
}

int tls_new(const char *certificate, const char *key, struct tls **ret, struct error *err)
{
    struct tls *t = calloc(1, sizeof(*t));
    bool renewed;

    if (!t)
        return error_set(err, ERR_SYSTEM, "start TLS: out of memory");
    pthread_mutex_init(&t->lock, NULL);
    t->certificate = strdup(certificate);
    t->key = strdup(key);
    if (!t->certificate || !t->key) {
        tls_free(t);
        return error_set(err, ERR_SYSTEM, "start TLS: out of memory");
    }
    if (tls_reload(t, true, &renewed, err) < 0) {
        tls_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    tls_release(t->newest);
    pthread_mutex_destroy(&t->lock);
    free(t->certificate);
    free(t->key);
    free(t);
}

int64_t tls_ends(struct tls *t)
{
    struct tls_pair *p = tls_hold(t);
    int64_t ends = p->ends;

    tls_release(p);
    return ends;
}

struct tls_pair *tls_hold(struct tls *t)
{
    struct tls_pair *p;

    if (!t)
        return NULL;
    pthread_mutex_lock(&t->lock);
    p = t->newest;
    atomic_fetch_add(&p->holders, 1);
    pthread_mutex_unlock(&t->lock);
    return p;
}

void tls_release(struct tls_pair *p)
{
    if (p && atomic_fetch_sub(&p->holders, 1) == 1)
        pair_free(p);
}

/* ---- a connection ---- */

void tls_serve(struct tls_pair *p, void *session)
{
    (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, p->credentials);
}

/* Never asked: tls_serve gives every session its certificate. */
static int no_certificate(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                          gnutls_pcert_st **chain, unsigned *n, gnutls_ocsp_data_st **ocsp,
                          unsigned *n_ocsp, gnutls_privkey_t *key, unsigned *flags)
{
    (void)session, (void)info, (void)chain, (void)n, (void)ocsp, (void)n_ocsp, (void)key;
    (void)flags;
    return -1;
}

tls_callback *tls_no_certificate(void)
{
    return (tls_callback *)no_certificate;
}

void tls_bye(void *session)
{
    (void)gnutls_bye(session, GNUTLS_SHUT_WR);
}
