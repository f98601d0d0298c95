/* objects/object — one object: head, put, get, copy, delete, and a URL for somebody else's put. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/fs.h"
#include "base/retry.h"
#include "base/text.h"
#include "objects/sign.h"
#include "objects/store.h"

#define ANSWER_MAX (64u << 10)
#define META       "x-amz-meta-"
#define EXPIRY_MAX (7 * 24 * 3600)

/* ---- head ---- */

static int take_etag(const struct objects *o, const struct http_response *resp,
                     char ret[OBJECT_ETAG], struct error *err)
{
    const char *etag = http_header(resp, "etag");

    if (!etag || strlen(etag) >= OBJECT_ETAG)
        return error_set(err, ERR_REMOTE, "%s: an object without an ETag", o->where);
    (void)snprintf(ret, OBJECT_ETAG, "%s", etag);
    return 0;
}

static int read_info(const struct objects *o, const struct http_response *resp,
                     struct object_info *ret, struct error *err)
{
    const char *length = http_header(resp, "content-length");

    if (!length || !text_to_u64(length, INT64_MAX, &ret->size))
        return error_set(err, ERR_REMOTE, "%s: an object without a size", o->where);
    if (take_etag(o, resp, ret->etag, err) < 0)
        return -1;
    ret->age = store_age(resp, store_date(http_header(resp, "last-modified")));
    for (size_t i = 0; i < resp->headers.n; i++)
        if (text_starts(resp->headers.v[i], META))
            argv_push1(&ret->labels, resp->headers.v[i] + strlen(META));
    ret->there = true;
    return 0;
}

int objects_head(struct objects *o, const char *key, struct object_info *ret, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    const struct store_request r = {.method = "HEAD", .key = key};

    *ret = (struct object_info){.there = false};
    if (store_exchange(o, &r, &resp, err) < 0)
        return -1;
    if (resp.status == 404)
        return 0;
    return resp.status == 200 ? read_info(o, &resp, ret, err) : store_refused(o, &resp, err);
}

/* ---- put ---- */

int objects_put(struct objects *o, const char *key, const char *match, const void *data, size_t len,
                char ret_etag[OBJECT_ETAG], bool *ret_refused, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    CLEANUP(buf_release) struct buf sum = BUF_INIT(64);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX];
    struct store_request r = {.method = "PUT",
                              .key = key,
                              .headers = &headers,
                              .body = data,
                              .body_len = len,
                              .payload = hex};

    digest_sha256(data, len, hash);
    digest_hex(hash, sizeof(hash), hex);
    digest_base64(hash, sizeof(hash), &sum);
    argv_pushf(&headers, "x-amz-checksum-sha256: %s", buf_str(&sum));
    argv_push1(&headers, "x-amz-sdk-checksum-algorithm: SHA256");
    if (match)
        argv_pushf(&headers, "%s: %s",
                   strcmp(match, OBJECT_ABSENT) == 0 ? "if-none-match" : "if-match", match);
    if (headers.failed)
        return error_set(err, ERR_SYSTEM, "put an object: out of memory");
    if (store_exchange(o, &r, &resp, err) < 0)
        return -1;
    /* With a condition on what is there, 404 is that nothing is. */
    *ret_refused =
        resp.status == 412 || (match && resp.status == 404 && !store_says(&resp, "NoSuchBucket"));
    if (*ret_refused)
        return 0;
    if (resp.status != 200)
        return store_refused(o, &resp, err);
    return ret_etag ? take_etag(o, &resp, ret_etag, err) : 0;
}

/* ---- get ---- */

struct arrival { /* of a range, to a descriptor */
    int fd;
    uint64_t offset, end; /* what is still to come */
    bool whole;           /* also an answer that is not of a range will do: it is the object */
};

static int take(void *self, const struct http_response *resp, const void *data, size_t len,
                struct error *err)
{
    struct arrival *a = self;
    const char *range = http_header(resp, "content-range");
    char expected[64];

    (void)snprintf(expected, sizeof(expected), "bytes %" PRIu64 "-", a->offset);
    /* The header is of the whole answer, so it is looked at when its first piece comes. */
    if (!a->whole && (resp->status != 206 || !range || !text_starts(range, expected)))
        return error_set(err, ERR_REMOTE, "the answer is not the range that was asked for");
    a->whole = true;
    if (len > a->end - a->offset)
        return error_set(err, ERR_REMOTE, "the answer is longer than what was asked for");
    if (fs_pwrite(a->fd, data, len, a->offset) < 0)
        return error_errno(err, errno, "write what was read of an object");
    a->offset += len;
    return 0;
}

static int get_once(struct objects *o, const char *key, const char *etag, struct arrival *a,
                    struct http_response *resp, struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    const struct http_sink sink = {.take = take, .self = a};
    const struct store_request r = {
        .method = "GET", .key = key, .headers = &headers, .sink = &sink};

    a->whole = false;
    argv_pushf(&headers, "range: bytes=%" PRIu64 "-%" PRIu64, a->offset, a->end - 1);
    if (etag)
        argv_pushf(&headers, "if-match: %s", etag);
    if (headers.failed)
        return error_set(err, ERR_SYSTEM, "get an object: out of memory");
    return store_exchange(o, &r, resp, err);
}

int objects_get(struct objects *o, const char *key, const char *etag, uint64_t offset, uint64_t len,
                int fd, struct error *err)
{
    struct http_tries tries = {.max = o->config.tries, .wait_ms = o->config.wait_ms};
    struct arrival a = {.fd = fd, .offset = offset, .end = offset + len};

    while (a.offset < a.end) {
        CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
        struct error now = ERROR_INIT;
        uint64_t before = a.offset;

        if (get_once(o, key, etag, &a, &resp, &now) < 0)
            resp.status = 0;
        if (a.offset == a.end)
            return 0;
        if (a.offset > before)
            tries.made = 0;
        if (resp.status == 412 || resp.status == 404)
            return error_set(err, ERR_REMOTE, "%s: %s is not there any more, or was replaced",
                             o->where, key);
        /* A short answer is one that was cut. */
        if (resp.status != 206 && !http_may_recover(&resp, &now)) {
            *err = now;
            return resp.status ? store_refused(o, &resp, err) : -1;
        }
        if (http_try_again(&tries, &resp))
            continue;
        if (resp.status == 206)
            return error_set(err, ERR_REMOTE, "%s: %s ends before its size", o->where, key);
        *err = now;
        return resp.status ? store_refused(o, &resp, err) : -1;
    }
    return 0;
}

/* A checksum that is of parts ("…-3") says nothing of the whole. */
static int check_sum(const struct objects *o, const char *key, const struct http_response *resp,
                     const struct buf *body, struct error *err)
{
    CLEANUP(buf_release) struct buf sum = BUF_INIT(64);
    const char *said = http_header(resp, "x-amz-checksum-sha256");
    unsigned char hash[SHA256_SIZE];

    if (!said || strchr(said, '-'))
        return 0;
    digest_sha256(buf_str(body), body->len, hash);
    digest_base64(hash, sizeof(hash), &sum);
    if (strcmp(said, buf_str(&sum)) != 0)
        return error_set(err, ERR_REMOTE, "%s: %s is not what its checksum says", o->where, key);
    return 0;
}

int objects_read(struct objects *o, const char *key, struct buf *out, bool *ret_there,
                 struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(out->max + 1024);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    const struct store_request r = {.method = "GET", .key = key, .headers = &headers};

    argv_push1(&headers, "x-amz-checksum-mode: ENABLED");
    if (headers.failed)
        return error_set(err, ERR_SYSTEM, "read an object: out of memory");
    if (store_exchange(o, &r, &resp, err) < 0)
        return -1;
    *ret_there = resp.status == 200;
    if (resp.status == 404 && !store_says(&resp, "NoSuchBucket"))
        return 0;
    if (resp.status != 200)
        return store_refused(o, &resp, err);
    if (check_sum(o, key, &resp, &resp.body, err) < 0)
        return -1;
    buf_add(out, resp.body.data, resp.body.len);
    return buf_check(out, key, err);
}

/* ---- copy and delete ---- */

int objects_copy(struct objects *o, const char *from, const char *etag, const char *to,
                 bool *ret_there, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    CLEANUP(buf_release) struct buf source = BUF_INIT(4096);
    const struct store_request r = {.method = "PUT", .key = to, .headers = &headers};
    char copied[ANSWER_VALUE];

    buf_addf(&source, "/%s/", o->bucket);
    sign_encode(o->prefix, true, &source);
    sign_encode(from, true, &source);
    argv_pushf(&headers, "x-amz-copy-source: %s", buf_str(&source));
    argv_pushf(&headers, "x-amz-copy-source-if-match: %s", etag);
    if (headers.failed || source.full)
        return error_set(err, ERR_SYSTEM, "copy an object: out of memory");
    if (store_exchange(o, &r, &resp, err) < 0)
        return -1;
    *ret_there = resp.status == 200;
    if (resp.status == 412 || (resp.status == 404 && !store_says(&resp, "NoSuchBucket")))
        return 0;
    if (resp.status != 200)
        return store_refused(o, &resp, err);
    /* A copy that goes wrong on its way is a 200 as well: what counts is the body. */
    if (answer_read_value(buf_str(&resp.body), resp.body.len, "CopyObjectResult", "ETag", copied,
                          err) < 0)
        return store_refused(o, &resp, err);
    return 0;
}

int objects_delete(struct objects *o, const char *key, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    const struct store_request r = {.method = "DELETE", .key = key};

    if (store_exchange(o, &r, &resp, err) < 0)
        return -1;
    if (resp.status == 204 || resp.status == 200 ||
        (resp.status == 404 && !store_says(&resp, "NoSuchBucket")))
        return 0;
    return store_refused(o, &resp, err);
}

/* ---- a URL ---- */

int objects_presign_put(struct objects *o, const char *key, int64_t seconds,
                        const struct argv *labels, struct buf *out, struct error *err)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(8192);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    const struct sign_key sign_with = {o->config.credentials, o->config.region};
    struct sign_request r = {.method = "PUT",
                             .host = o->host,
                             .headers = &headers,
                             .payload = SIGN_UNSIGNED,
                             .now = clock_now(o->config.clock) / NS_PER_SEC};
    size_t at;

    for (size_t i = 0; labels && i < labels->n; i++)
        argv_pushf(&headers, META "%s", labels->v[i]);
    if (headers.failed)
        return error_set(err, ERR_SYSTEM, "make an upload URL: out of memory");
    if (store_url(o, key, &url, &at, err) < 0)
        return -1;
    r.path = buf_str(&url) + at;
    buf_addf(out, "%s?", buf_str(&url));
    return sign_query(&sign_with, &r, seconds < EXPIRY_MAX ? seconds : EXPIRY_MAX, out, err);
}
