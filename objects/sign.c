/* objects/sign — see the header.
 *
 * A canonical form of the request is hashed, the hash is signed with a key that is derived from the
 * secret, the day, the region and the service. */
#include "objects/sign.h"

#include <string.h>
#include <time.h>

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define SERVICE     "s3"
#define TEXT_MAX    (64u << 10)
#define MOMENT_SIZE 17 /* 20130524T000000Z */

struct signing { /* of one request */
    const struct sign_key *key;
    const struct sign_request *request;
    char moment[MOMENT_SIZE];
    char scope[128];
    struct argv headers; /* "name:value", sorted */
    struct buf names;    /* "host;range" */
};

static void signing_release(struct signing *s)
{
    argv_release(&s->headers);
    buf_release(&s->names);
}

void sign_encode(const char *text, bool keep_slash, struct buf *out)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (const char *p = text; *p; p++) {
        if (strchr(plain, *p) || (keep_slash && *p == '/'))
            buf_addc(out, *p);
        else
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
}

/* "name: some  value " becomes "name:some value". */
static void add_canonical_header(struct argv *out, const char *line)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
    size_t name = strcspn(line, ":");
    const char *p = line + name + (line[name] == ':');

    buf_add(&text, line, name);
    buf_addc(&text, ':');
    for (p += strspn(p, " "); *p; p++)
        if (*p != ' ' || (p[1] && p[1] != ' '))
            buf_addc(&text, *p);
    argv_push1(out, buf_str(&text));
    out->failed = out->failed || text.full;
}

/* By name alone: in the order of whole lines "a-b:" would stand before "a:". */
static int compare_names(const void *a, const void *b)
{
    const char *x = *(const char *const *)a;
    const char *y = *(const char *const *)b;
    const size_t n = strcspn(x, ":="), m = strcspn(y, ":=");
    const int order = memcmp(x, y, n < m ? n : m);

    return order ? order : (n > m) - (n < m);
}

static void sort_names(struct argv *lines)
{
    if (lines->n > 0)
        qsort(lines->v, lines->n, sizeof(*lines->v), compare_names);
}

static int begin(struct signing *s, const struct sign_key *key, const struct sign_request *r,
                 const struct argv *more, struct error *err)
{
    const time_t now = (time_t)r->now;
    struct tm tm;

    *s = (struct signing){.key = key, .request = r, .names = BUF_INIT(TEXT_MAX)};
    if (!gmtime_r(&now, &tm) || !strftime(s->moment, sizeof(s->moment), "%Y%m%dT%H%M%SZ", &tm) ||
        snprintf(s->scope, sizeof(s->scope), "%.8s/%s/" SERVICE "/aws4_request", s->moment,
                 key->region) >= (int)sizeof(s->scope))
        return error_set(err, ERR_SYSTEM, "sign a request: the time or the region is impossible");
    argv_pushf(&s->headers, "host:%s", r->host);
    for (size_t i = 0; r->headers && i < r->headers->n; i++)
        add_canonical_header(&s->headers, r->headers->v[i]);
    for (size_t i = 0; more && i < more->n; i++)
        add_canonical_header(&s->headers, more->v[i]);
    sort_names(&s->headers);
    for (size_t i = 0; i < s->headers.n; i++)
        buf_addf(&s->names, "%s%.*s", i ? ";" : "", (int)strcspn(s->headers.v[i], ":"),
                 s->headers.v[i]);
    if (s->headers.failed || s->names.full)
        return error_set(err, ERR_SYSTEM, "sign a request: out of memory");
    return 0;
}

static void derive_key(const struct signing *s, unsigned char ret[SHA256_SIZE])
{
    const char *const steps[] = {s->key->region, SERVICE, "aws4_request"};
    char first[sizeof("AWS4") + sizeof(s->key->credentials->secret)];
    int n = snprintf(first, sizeof(first), "AWS4%s", s->key->credentials->secret);
    unsigned char next[SHA256_SIZE];

    digest_hmac_sha256(first, (size_t)n, s->moment, 8, ret);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        digest_hmac_sha256(ret, SHA256_SIZE, steps[i], strlen(steps[i]), next);
        memcpy(ret, next, SHA256_SIZE);
    }
    explicit_bzero(first, sizeof(first));
}

/* query: sorted. */
static int sign(const struct signing *s, const struct argv *query, char ret[SHA256_HEX],
                struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
    unsigned char key[SHA256_SIZE], mac[SHA256_SIZE];
    char hash[SHA256_HEX];

    buf_addf(&text, "%s\n%s\n", s->request->method, s->request->path);
    for (size_t i = 0; i < query->n; i++)
        buf_addf(&text, "%s%s", i ? "&" : "", query->v[i]);
    buf_addc(&text, '\n');
    for (size_t i = 0; i < s->headers.n; i++)
        buf_addf(&text, "%s\n", s->headers.v[i]);
    buf_addf(&text, "\n%s\n%s", buf_str(&s->names), s->request->payload);
    if (buf_check(&text, "a request to be signed", err) < 0)
        return -1;
    digest_sha256_hex(buf_str(&text), text.len, hash);
    buf_clear(&text);
    buf_addf(&text, ALGORITHM "\n%s\n%s\n%s", s->moment, s->scope, hash);
    derive_key(s, key);
    digest_hmac_sha256(key, sizeof(key), buf_str(&text), text.len, mac);
    explicit_bzero(key, sizeof(key));
    digest_hex(mac, sizeof(mac), ret);
    return buf_check(&text, "a request to be signed", err);
}

static void copy_words(const struct argv *from, struct argv *to)
{
    for (size_t i = 0; from && i < from->n; i++)
        argv_push1(to, from->v[i]);
}

int sign_headers(const struct sign_key *key, const struct sign_request *r, struct argv *out,
                 struct error *err)
{
    CLEANUP(signing_release) struct signing s = {.key = NULL};
    CLEANUP(argv_release) struct argv query = ARGV_INIT;
    CLEANUP(argv_release) struct argv more = ARGV_INIT;
    const struct objects_credentials *c = key->credentials;
    const time_t now = (time_t)r->now;
    char moment[MOMENT_SIZE] = "";
    char signature[SHA256_HEX];
    struct tm tm;

    if (gmtime_r(&now, &tm))
        (void)!strftime(moment, sizeof(moment), "%Y%m%dT%H%M%SZ", &tm);
    argv_pushf(&more, "x-amz-content-sha256: %s", r->payload);
    argv_pushf(&more, "x-amz-date: %s", moment);
    if (c->token[0])
        argv_pushf(&more, "x-amz-security-token: %s", c->token);
    copy_words(r->query, &query);
    sort_names(&query);
    if (begin(&s, key, r, &more, err) < 0 || sign(&s, &query, signature, err) < 0)
        return -1;
    copy_words(&more, out);
    argv_pushf(out, "Authorization: " ALGORITHM " Credential=%s/%s,SignedHeaders=%s,Signature=%s",
               c->access, s.scope, buf_str(&s.names), signature);
    if (query.failed || more.failed || out->failed)
        return error_set(err, ERR_SYSTEM, "sign a request: out of memory");
    return 0;
}

static void add_parameter(struct argv *query, const char *name, const char *value)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TEXT_MAX);

    buf_addf(&text, "%s=", name);
    sign_encode(value, false, &text);
    argv_push1(query, buf_str(&text));
    query->failed = query->failed || text.full;
}

int sign_query(const struct sign_key *key, const struct sign_request *r, int64_t seconds,
               struct buf *out, struct error *err)
{
    CLEANUP(signing_release) struct signing s = {.key = NULL};
    CLEANUP(argv_release) struct argv query = ARGV_INIT;
    const struct objects_credentials *c = key->credentials;
    char signature[SHA256_HEX], number[24], credential[512];

    if (begin(&s, key, r, NULL, err) < 0)
        return -1;
    (void)snprintf(number, sizeof(number), "%lld", (long long)seconds);
    (void)snprintf(credential, sizeof(credential), "%s/%s", c->access, s.scope);
    copy_words(r->query, &query);
    add_parameter(&query, "X-Amz-Algorithm", ALGORITHM);
    add_parameter(&query, "X-Amz-Credential", credential);
    add_parameter(&query, "X-Amz-Date", s.moment);
    add_parameter(&query, "X-Amz-Expires", number);
    if (c->token[0])
        add_parameter(&query, "X-Amz-Security-Token", c->token);
    add_parameter(&query, "X-Amz-SignedHeaders", buf_str(&s.names));
    sort_names(&query);
    if (query.failed)
        return error_set(err, ERR_SYSTEM, "sign a URL: out of memory");
    if (sign(&s, &query, signature, err) < 0)
        return -1;
    for (size_t i = 0; i < query.n; i++)
        buf_addf(out, "%s%s", i ? "&" : "", query.v[i]);
    buf_addf(out, "&X-Amz-Signature=%s", signature);
    return buf_check(out, "a presigned URL", err);
}
