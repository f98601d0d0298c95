/* registry — a blob is sent (distribution specification 1.1, "pushing blobs").
 *
 * POST opens an upload, and one PUT brings all of it; or PATCHes bring it in pieces, where one
 * request may not be so large, and an empty PUT closes it.  When one is cut off, the upload is
 * asked where it stands: then PATCH brings the rest.  docker-registry forgets an upload that was
 * cut off within a request, and says so; then all begins anew. */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "registry/exchange.h"

#define ANSWER_MAX (64u << 10)
#define STALL_MS   120000 /* the registry may be busy with the digest after the last byte */

struct upload {
    const struct registry *r;
    const char *repository, *digest;
    int fd;
    uint64_t size;
    uint64_t offset; /* so much the registry has */
    uint64_t piece;  /* bytes of one request */
    bool open;       /* there is a location; it changes with every answer */
    char location[REGISTRY_LOCATION_MAX];
    bool resumed;              /* what the registry makes of this one may be better for a new one */
    struct http_response resp; /* the last; status 0: there was none */
};

/* One request.  -1 when there was no answer, or not this status. */
static int expect(struct upload *u, struct http_request req, int status, struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;

    http_response_release(&u->resp);
    u->resp = (struct http_response)HTTP_RESPONSE_INIT(ANSWER_MAX);
    if (req.source)
        argv_push1(&headers, "Content-Type: application/octet-stream");
    if (req.source && strcmp(req.method, "PATCH") == 0)
        argv_pushf(&headers, "Content-Range: %" PRIu64 "-%" PRIu64, u->offset,
                   u->offset + req.source->len - 1);
    req.headers = &headers;
    req.stall_ms = STALL_MS;
    if (registry_exchange(u->r, &req, &u->resp, err) < 0) {
        u->resp.status = 0;
        return -1;
    }
    return u->resp.status == status ? 0 : registry_unexpected(&u->resp, err);
}

/* Bytes of one request: as configured, but no less than the registry takes. */
static uint64_t piece_of(const struct upload *u)
{
    const char *said = http_header(&u->resp, "oci-chunk-min-length");
    uint64_t min = 0;

    if (said)
        (void)text_to_u64(said, INT64_MAX, &min);
    return u->r->chunk == 0 ? u->size : u->r->chunk > min ? u->r->chunk : min;
}

static int begin(struct upload *u, struct error *err)
{
    char url[REGISTRY_URL_MAX];

    if (snprintf(url, sizeof(url), "%s/v2/%s/blobs/uploads/", u->r->url, u->repository) >=
        (int)sizeof(url))
        return error_set(err, ERR_SYSTEM, "the registry's URL is too long");
    u->offset = 0;
    u->resumed = false;
    if (expect(u, (struct http_request){.method = "POST", .url = url}, 202, err) < 0 ||
        registry_location(u->r, &u->resp, u->location, err) < 0)
        return -1;
    u->open = true;
    u->piece = piece_of(u);
    return 0;
}

static int send_piece(struct upload *u, struct error *err)
{
    const uint64_t rest = u->size - u->offset;
    const struct http_source source = {
        .fd = u->fd, .offset = u->offset, .len = rest < u->piece ? rest : u->piece};
    const struct http_request req = {.method = "PATCH", .url = u->location, .source = &source};

    if (expect(u, req, 202, err) < 0)
        return -1;
    u->offset += source.len;
    return registry_location(u->r, &u->resp, u->location, err);
}

static int finish(struct upload *u, struct error *err)
{
    const struct http_source all = {.fd = u->fd, .offset = u->offset, .len = u->size - u->offset};
    char url[REGISTRY_LOCATION_MAX];

    if (snprintf(url, sizeof(url), "%s%cdigest=%s", u->location,
                 strchr(u->location, '?') ? '&' : '?', u->digest) >= (int)sizeof(url))
        return error_set(err, ERR_REMOTE, "a Location is too long");
    if (expect(u, (struct http_request){.method = "PUT", .url = url, .source = &all}, 201, err) < 0)
        return -1;
    return registry_check_said_digest(&u->resp, u->digest, err);
}

static int send_once(struct upload *u, struct error *err)
{
    if (!u->open && begin(u, err) < 0)
        return -1;
    while (u->offset < u->size && (u->offset > 0 || u->piece < u->size))
        if (send_piece(u, err) < 0)
            return -1;
    return finish(u, err);
}

/* The upload as it is after a failure: "Range: 0-99" is 100 bytes.  "0-0" may be none, and then is
 * one that the registry has taken as none. */
static bool read_range(const struct http_response *resp, uint64_t size, uint64_t *ret)
{
    const char *range = http_header(resp, "range");
    uint64_t last = 0;

    if (range && text_starts(range, "bytes="))
        range += strlen("bytes=");
    if (!range || !text_starts(range, "0-") || !text_to_u64(range + 2, UINT64_MAX / 2, &last) ||
        last >= size)
        return false;
    *ret = last > 0 ? last + 1 : 0;
    return true;
}

/* What an upload that was resumed is told when the registry has no use for it any more. */
static bool is_refused(const struct upload *u)
{
    return u->resumed && (u->resp.status == 400 || u->resp.status == 404 || u->resp.status == 416);
}

/* Where to go on; at the worst, from the beginning.  True when bytes have arrived since. */
static bool look_where_it_stands(struct upload *u)
{
    const struct http_request req = {.method = "GET", .url = u->location};
    struct error ignored = ERROR_INIT;
    uint64_t before = u->offset;
    bool known = u->open && !is_refused(u);

    known =
        known && expect(u, req, 204, &ignored) == 0 && read_range(&u->resp, u->size, &u->offset);
    if (known && http_header(&u->resp, "location"))
        known = registry_location(u->r, &u->resp, u->location, &ignored) == 0;
    u->open = known;
    u->resumed = known;
    return known && u->offset > before;
}

/* After a failure the blob may be there all the same: only the answer was lost. */
static bool arrived(const struct upload *u)
{
    enum registry_presence presence = REGISTRY_ABSENT;
    struct registry once = *u->r;
    struct error ignored;

    once.tries = 1;
    return registry_has_blob(&once, u->repository, u->digest, &presence, &ignored) == 0 &&
           presence == REGISTRY_PRESENT;
}

static int send_all(struct upload *u, struct error *err)
{
    struct registry_tries t = {.r = u->r};
    uint64_t best = 0; /* a registry that forgets uploads makes no progress */

    for (;;) {
        struct error now = ERROR_INIT;

        if (send_once(u, &now) == 0)
            return 0;
        if (u->offset > best) {
            best = u->offset;
            t.made = 0;
        }
        if (!(is_refused(u) || http_may_recover(&u->resp, &now)) ||
            !registry_try_again(&t, &u->resp))
            return registry_give_up(u->r, &now, err);
        if (u->open && arrived(u))
            return 0;
        if (look_where_it_stands(u))
            t.made = 0;
    }
}

int registry_put_blob(const struct registry *r, const char *repository, const char *digest, int fd,
                      uint64_t size, struct error *err)
{
    struct upload u = {.r = r,
                       .repository = repository,
                       .digest = digest,
                       .fd = fd,
                       .size = size,
                       .resp = HTTP_RESPONSE_INIT(ANSWER_MAX)};
    int result = registry_check_blob(repository, digest, err);

    if (result == 0)
        result = send_all(&u, err);
    http_response_release(&u.resp);
    return result < 0 ? error_wrap(err, "send %s to %s", digest, repository) : 0;
}
