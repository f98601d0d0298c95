/* registry — blobs: whether they are there, from another repository, and to here. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "registry/exchange.h"

#define ANSWER_MAX (64u << 10)
#define STALL_MS   60000

static int make_url(const struct registry *r, const char *repository, const char *digest,
                    char ret[REGISTRY_URL_MAX], struct error *err)
{
    if (registry_check_blob(repository, digest, err) < 0)
        return -1;
    if (snprintf(ret, REGISTRY_URL_MAX, "%s/v2/%s/blobs/%s", r->url, repository, digest) >=
        REGISTRY_URL_MAX)
        return error_set(err, ERR_SYSTEM, "the registry's URL is too long");
    return 0;
}

/* ---- there or not ---- */

int registry_has_blob(const struct registry *r, const char *repository, const char *digest,
                      enum registry_presence *ret, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    char url[REGISTRY_URL_MAX];

    if (make_url(r, repository, digest, url, err) < 0 ||
        registry_ask(r, &(struct http_request){.method = "HEAD", .url = url}, &resp, err) < 0)
        return error_wrap(err, "look for %s in %s", digest, repository);
    if (resp.status != 200 && resp.status != 404) {
        (void)registry_unexpected(&resp, err);
        return error_wrap(err, "look for %s in %s", digest, repository);
    }
    *ret = resp.status == 200 ? REGISTRY_PRESENT : REGISTRY_ABSENT;
    return 0;
}

/* A registry that does not mount opens an upload instead, which nobody will use. */
static void close_upload(const struct registry *r, const struct http_response *opened)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    char location[REGISTRY_LOCATION_MAX];
    struct error ignored;

    if (registry_location(r, opened, location, &ignored) == 0)
        (void)!registry_exchange(r, &(struct http_request){.method = "DELETE", .url = location},
                                 &resp, &ignored);
}

static int mount(const struct registry *r, const char *repository, const char *digest,
                 const char *from_repository, bool *ret_mounted, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    char url[REGISTRY_URL_MAX];

    if (registry_check_blob(repository, digest, err) < 0 ||
        registry_check_blob(from_repository, digest, err) < 0)
        return -1;
    if (snprintf(url, sizeof(url), "%s/v2/%s/blobs/uploads/?mount=%s&from=%s", r->url, repository,
                 digest, from_repository) >= (int)sizeof(url))
        return error_set(err, ERR_SYSTEM, "the registry's URL is too long");
    if (registry_ask(r, &(struct http_request){.method = "POST", .url = url}, &resp, err) < 0)
        return -1;
    *ret_mounted = resp.status == 201;
    if (resp.status == 202)
        close_upload(r, &resp);
    else if (resp.status == 201)
        return registry_check_said_digest(&resp, digest, err);
    /* A token that is not good for the other repository: it may still be for sending. */
    else if (resp.status != 401 && resp.status != 403 && resp.status != 404)
        return registry_unexpected(&resp, err);
    return 0;
}

int registry_mount_blob(const struct registry *r, const char *repository, const char *digest,
                        const char *from_repository, bool *ret_mounted, struct error *err)
{
    bool mounted = false;

    if (mount(r, repository, digest, from_repository, &mounted, err) < 0)
        return error_wrap(err, "mount %s from %s in %s", digest, from_repository, repository);
    *ret_mounted = mounted;
    return 0;
}

/* ---- to here ---- */

struct download {
    const struct registry_blob_sink *sink;
    uint64_t size;
    uint64_t offset; /* so much the sink has, and is hashed */
    uint64_t skip;   /* bytes of the current answer that it has already */
    struct sha256 *hash;
    bool begun;    /* a piece of the current answer was taken */
    bool hopeless; /* another try will bring the same */
};

/* "bytes 100-199/200": begins where we are. */
static bool continues(const struct download *d, const struct http_response *resp)
{
    const char *range = http_header(resp, "content-range");
    char expected[48];

    (void)snprintf(expected, sizeof(expected), "bytes %" PRIu64 "-", d->offset);
    return range && text_starts(range, expected);
}

/* A registry that knows no ranges begins at the beginning. */
static int begin_answer(struct download *d, const struct http_response *resp, struct error *err)
{
    d->begun = true;
    d->skip = resp->status == 206 ? 0 : d->offset;
    if (resp->status == 206 && !continues(d, resp)) {
        d->hopeless = true;
        return error_set(err, ERR_REMOTE, "the registry sends another range than was asked for");
    }
    if (d->offset > 0 && d->sink->resume)
        d->sink->resume(d->sink->self, d->skip ? 0 : d->offset);
    return 0;
}

static int take(void *self, const struct http_response *resp, const void *data, size_t len,
                struct error *err)
{
    struct download *d = self;
    const char *at = data;
    size_t skip;

    if (!d->begun && begin_answer(d, resp, err) < 0)
        return -1;
    skip = len < d->skip ? len : (size_t)d->skip;
    d->skip -= skip;
    len -= skip;
    if (len > d->size - d->offset) {
        d->hopeless = true;
        return error_set(err, ERR_REMOTE, "it has more than %" PRIu64 " bytes", d->size);
    }
    if (len == 0)
        return 0;
    sha256_add(d->hash, at + skip, len);
    if (d->sink->take(d->sink->self, d->offset, at + skip, len, err) < 0)
        return -1;
    d->offset += len;
    return 0;
}

/* One request for what is missing.  resp->status 0: no answer, or a part of one. */
static int fetch(const struct registry *r, const char *url, struct download *d,
                 struct http_response *resp, struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    const struct http_sink sink = {.take = take, .self = d};
    const struct http_request req = {
        .method = "GET", .url = url, .headers = &headers, .sink = &sink, .stall_ms = STALL_MS};

    http_response_release(resp);
    *resp = (struct http_response)HTTP_RESPONSE_INIT(ANSWER_MAX);
    d->begun = false;
    if (d->offset > 0)
        argv_pushf(&headers, "Range: bytes=%" PRIu64 "-", d->offset);
    if (registry_exchange(r, &req, resp, err) == 0 &&
        (resp->status / 100 != 2 || d->offset == d->size))
        return 0;
    if (resp->status / 100 == 2 && err->kind == ERR_NONE)
        (void)error_set(err, ERR_REMOTE, "it has %" PRIu64 " bytes of %" PRIu64, d->offset,
                        d->size);
    resp->status = 0;
    return -1;
}

static int check(struct download *d, const char *digest, struct error *err)
{
    unsigned char raw[SHA256_SIZE];
    char hex[SHA256_HEX];

    sha256_end(d->hash, raw);
    digest_hex(raw, sizeof(raw), hex);
    if (strcmp(hex, strchr(digest, ':') + 1) != 0)
        return error_set(err, ERR_REMOTE, "the registry sent sha256:%s", hex);
    return 0;
}

static int download(const struct registry *r, const char *url, struct download *d,
                    const char *digest, enum registry_presence *ret, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    struct registry_tries t = {.r = r};

    for (;;) {
        uint64_t before = d->offset;
        struct error now = ERROR_INIT;
        int result = fetch(r, url, d, &resp, &now);

        if (d->offset > before)
            t.made = 0;
        if (!d->hopeless && http_may_recover(&resp, &now) && registry_try_again(&t, &resp))
            continue;
        if (result < 0)
            return registry_give_up(r, &now, err);
        *ret = resp.status == 404 ? REGISTRY_ABSENT : REGISTRY_PRESENT;
        if (resp.status == 404)
            return 0;
        return resp.status == 200 || resp.status == 206 ? check(d, digest, err)
                                                        : registry_unexpected(&resp, err);
    }
}

int registry_stream_blob(const struct registry *r, const char *repository, const char *digest,
                         uint64_t size, const struct registry_blob_sink *sink,
                         enum registry_presence *ret, struct error *err)
{
    struct download d = {.sink = sink, .size = size};
    char url[REGISTRY_URL_MAX];
    int result = make_url(r, repository, digest, url, err);

    if (result == 0)
        result = sha256_new(&d.hash, err);
    if (result == 0)
        result = download(r, url, &d, digest, ret, err);
    sha256_free(d.hash);
    return result < 0 ? error_wrap(err, "fetch %s from %s", digest, repository) : 0;
}

static int write_to_file(void *self, uint64_t offset, const void *data, size_t len,
                         struct error *err)
{
    const int *fd = self;

    return fs_pwrite(*fd, data, len, offset) < 0 ? error_errno(err, errno, "write it") : 0;
}

int registry_get_blob(const struct registry *r, const char *repository, const char *digest,
                      uint64_t size, int fd, enum registry_presence *ret, struct error *err)
{
    const struct registry_blob_sink sink = {.take = write_to_file, .self = &fd};
    enum registry_presence presence = REGISTRY_ABSENT;
    int result;

    if (ftruncate(fd, 0) < 0)
        return error_errno(err, errno, "empty a file");
    result = registry_stream_blob(r, repository, digest, size, &sink, &presence, err);
    if (result < 0 || presence == REGISTRY_ABSENT)
        (void)!ftruncate(fd, 0);
    if (result == 0)
        *ret = presence;
    return result;
}

int registry_read_blob(const struct registry *r, const char *repository, const char *digest,
                       uint64_t size, enum registry_presence *ret_presence, struct buf *ret,
                       struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("blob", MFD_CLOEXEC);

    if (size > ret->max)
        return error_set(err, ERR_REMOTE, "fetch %s from %s: it is larger than %zu bytes", digest,
                         repository, ret->max);
    if (fd < 0)
        return error_errno(err, errno, "make room for a blob");
    if (registry_get_blob(r, repository, digest, size, fd, ret_presence, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewind a blob");
    return fs_read_fd(fd, ret, err);
}

/* ---- there, and so large ---- */

/* What the answer to a request for the last byte says of all of it. */
struct end_of_blob {
    uint64_t size;
    bool whole; /* the range was passed over, and all of it was about to come */
};

static uint64_t read_size(const struct http_response *resp)
{
    const char *range = http_header(resp, "content-range"); /* "bytes 9-9/10" */
    const char *text = range ? strchr(range, '/') : NULL;
    uint64_t size;

    text = text ? text + 1 : http_header(resp, "content-length");
    return text && text_to_u64(text, UINT64_MAX - 1, &size) ? size : UINT64_MAX;
}

static int take_end(void *self, const struct http_response *resp, const void *data, size_t len,
                    struct error *err)
{
    struct end_of_blob *e = self;

    (void)data;
    e->size = read_size(resp);
    e->whole = resp->status == 200 && len > 1;
    return e->whole ? error_set(err, ERR_SYSTEM, "enough of it") : 0;
}

static int ask_end(const struct registry *r, const char *url, uint64_t size,
                   struct end_of_blob *ret, struct http_response *resp, struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    const struct http_sink sink = {.take = take_end, .self = ret};
    const struct http_request req = {
        .method = "GET", .url = url, .headers = &headers, .sink = &sink, .stall_ms = STALL_MS};

    *ret = (struct end_of_blob){.size = 0};
    if (size > 0)
        argv_pushf(&headers, "Range: bytes=%" PRIu64 "-", size - 1);
    if (registry_ask(r, &req, resp, err) < 0 && !ret->whole)
        return -1;
    if (ret->whole) {
        *err = (struct error)ERROR_INIT;
        resp->status = 200;
    }
    return 0;
}

int registry_touch_blob(const struct registry *r, const char *repository, const char *digest,
                        uint64_t size, enum registry_presence *ret_presence, uint64_t *ret_size,
                        struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    struct end_of_blob end;
    char url[REGISTRY_URL_MAX];

    if (make_url(r, repository, digest, url, err) < 0 ||
        ask_end(r, url, size, &end, &resp, err) < 0)
        return error_wrap(err, "read %s in %s", digest, repository);
    if (resp.status != 200 && resp.status != 206 && resp.status != 404) {
        (void)registry_unexpected(&resp, err);
        return error_wrap(err, "read %s in %s", digest, repository);
    }
    *ret_presence = resp.status == 404 ? REGISTRY_ABSENT : REGISTRY_PRESENT;
    *ret_size = end.size;
    return 0;
}
