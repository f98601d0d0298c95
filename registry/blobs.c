/* registry — blobs: whether they are there, from another repository, and to here. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

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
    int fd;
    uint64_t size;
    uint64_t offset; /* so much is in fd, and hashed */
    struct sha256 *hash;
    bool begun;    /* a piece of the current answer was taken */
    bool hopeless; /* another try will bring the same */
};

static int start_over(struct download *d, struct error *err)
{
    sha256_free(d->hash);
    d->hash = NULL;
    d->offset = 0;
    if (ftruncate(d->fd, 0) < 0)
        return error_errno(err, errno, "empty the file");
    return sha256_new(&d->hash, err);
}

/* "bytes 100-199/200": begins where we are. */
static bool continues(const struct download *d, const struct http_response *resp)
{
    const char *range = http_header(resp, "content-range");
    char expected[48];

    (void)snprintf(expected, sizeof(expected), "bytes %" PRIu64 "-", d->offset);
    return range && text_starts(range, expected);
}

static int begin_answer(struct download *d, const struct http_response *resp, struct error *err)
{
    d->begun = true;
    if (resp->status == 206 && !continues(d, resp)) {
        d->hopeless = true;
        return error_set(err, ERR_REMOTE, "the registry sends another range than was asked for");
    }
    return resp->status == 206 || d->offset == 0 ? 0 : start_over(d, err);
}

static int take(void *self, const struct http_response *resp, const void *data, size_t len,
                struct error *err)
{
    struct download *d = self;

    if (!d->begun && begin_answer(d, resp, err) < 0)
        return -1;
    if (len > d->size - d->offset) {
        d->hopeless = true;
        return error_set(err, ERR_REMOTE, "it has more than %" PRIu64 " bytes", d->size);
    }
    sha256_add(d->hash, data, len);
    if (fs_pwrite(d->fd, data, len, d->offset) < 0)
        return error_errno(err, errno, "write it");
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

int registry_get_blob(const struct registry *r, const char *repository, const char *digest,
                      uint64_t size, int fd, enum registry_presence *ret, struct error *err)
{
    struct download d = {.fd = fd, .size = size};
    enum registry_presence presence = REGISTRY_ABSENT;
    char url[REGISTRY_URL_MAX];
    int result = make_url(r, repository, digest, url, err);

    if (result == 0)
        result = start_over(&d, err);
    if (result == 0)
        result = download(r, url, &d, digest, &presence, err);
    sha256_free(d.hash);
    if (result < 0 || presence == REGISTRY_ABSENT)
        (void)!ftruncate(fd, 0);
    if (result < 0)
        return error_wrap(err, "fetch %s from %s", digest, repository);
    *ret = presence;
    return 0;
}
