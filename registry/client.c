/* registry — manifests and tags. */
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "registry/client.h"
#include "registry/exchange.h"
#include "registry/manifest.h"
#include "registry/names.h"

/* docker-registry refuses larger manifests, and so do most. */
#define MANIFEST_MAX (4 << 20)
#define URL_MAX      1024
#define HEAD_MS      5000

/* ---- one exchange ---- */

static int check_names(const char *repository, const char *reference, struct error *err)
{
    if (!registry_repository_is_valid(repository))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no valid repository name", repository);
    if (!registry_tag_is_valid(reference) && !registry_digest_is_valid(reference))
        return error_set(err, ERR_INPUT, "\"%.300s\" is neither a valid tag nor a sha256 digest",
                         reference);
    return 0;
}

/* A repository on its own is a path; a tag follows with a colon, a digest with an at sign. */
static char mark(const char *reference)
{
    return registry_digest_is_valid(reference) ? '@' : ':';
}

static int wrap(struct error *err, const char *act, const char *repository, const char *reference)
{
    return error_wrap(err, "%s %s%c%s", act, repository, mark(reference), reference);
}

static int make_url(const struct registry *r, const char *repository, const char *reference,
                    char ret[URL_MAX], struct error *err)
{
    if (check_names(repository, reference, err) < 0)
        return -1;
    if (snprintf(ret, URL_MAX, "%s/v2/%s/manifests/%s", r->url, repository, reference) >= URL_MAX)
        return error_set(err, ERR_SYSTEM, "the registry's URL is too long");
    return 0;
}

/* Method and body against /v2/<repository>/manifests/<reference>, as often as it takes: each of
 * these can be done twice. */
static int ask(const struct registry *r, const char *repository, const char *reference,
               struct http_request req, struct http_response *resp, struct error *err)
{
    char url[URL_MAX];

    if (make_url(r, repository, reference, url, err) < 0)
        return -1;
    req.url = url;
    if (strcmp(req.method, "PUT") == 0 && registry_tag_is_valid(reference))
        return registry_ask_to_tag(r, &req, resp, err);
    return registry_ask(r, &req, resp, err);
}

/* ---- questions ---- */

/* The bytes are what was asked for by digest, and what the registry says they are. */
static int check_digest(const struct http_response *resp, const char *reference,
                        const struct registry_manifest *m, struct error *err)
{
    if (registry_check_said_digest(resp, m->digest, err) < 0)
        return -1;
    if (registry_digest_is_valid(reference) && strcmp(reference, m->digest) != 0)
        return error_set(err, ERR_REMOTE, "the registry sent %s", m->digest);
    return 0;
}

static int get(const struct registry *r, const char *repository, const char *reference,
               enum registry_presence *ret_presence, struct registry_manifest *ret,
               struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(MANIFEST_MAX);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    struct registry_manifest m = {.size = 0};

    argv_push1(&headers, registry_manifest_accept);
    if (ask(r, repository, reference, (struct http_request){.method = "GET", .headers = &headers},
            &resp, err) < 0)
        return -1;
    if (resp.status == 404) {
        *ret_presence = REGISTRY_ABSENT;
        return 0;
    }
    if (resp.status != 200)
        return registry_unexpected(&resp, err);
    if (registry_manifest_read(buf_str(&resp.body), resp.body.len,
                               http_header(&resp, "content-type"), &m, err) < 0 ||
        check_digest(&resp, reference, &m, err) < 0)
        return -1;
    m.body = resp.body;
    resp.body = (struct buf)BUF_INIT(0);
    *ret = m;
    *ret_presence = REGISTRY_PRESENT;
    return 0;
}

void registry_manifest_release(struct registry_manifest *m)
{
    buf_release(&m->body);
}

int registry_get_manifest(const struct registry *r, const char *repository, const char *reference,
                          enum registry_presence *ret_presence, struct registry_manifest *ret,
                          struct error *err)
{
    if (get(r, repository, reference, ret_presence, ret, err) < 0)
        return wrap(err, "read the manifest of", repository, reference);
    return 0;
}

static int head(const struct registry *r, const char *repository, const char *reference,
                enum registry_presence *ret_presence, char ret_digest[REGISTRY_DIGEST],
                struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(MANIFEST_MAX);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    char url[URL_MAX];
    const struct http_request req = {
        .method = "HEAD", .url = url, .headers = &headers, .timeout_ms = HEAD_MS};
    const char *said;

    argv_push1(&headers, registry_manifest_accept);
    if (make_url(r, repository, reference, url, err) < 0 ||
        registry_exchange(r, &req, &resp, err) < 0)
        return -1;
    if (resp.status == 404) {
        *ret_presence = REGISTRY_ABSENT;
        return 0;
    }
    if (resp.status != 200)
        return registry_unexpected(&resp, err);
    said = http_header(&resp, "docker-content-digest");
    if (!said || !registry_digest_is_valid(said))
        return error_set(err, ERR_REMOTE, "the registry does not say its digest");
    (void)snprintf(ret_digest, REGISTRY_DIGEST, "%s", said);
    *ret_presence = REGISTRY_PRESENT;
    return 0;
}

int registry_head_manifest(const struct registry *r, const char *repository, const char *reference,
                           enum registry_presence *ret_presence, char ret_digest[REGISTRY_DIGEST],
                           struct error *err)
{
    if (head(r, repository, reference, ret_presence, ret_digest, err) < 0)
        return wrap(err, "ask for the digest of", repository, reference);
    return 0;
}

static int put(const struct registry *r, const char *repository, const struct registry_manifest *m,
               const char *tag, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(MANIFEST_MAX);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;

    argv_pushf(&headers, "Content-Type: %s", m->media_type);
    if (ask(r, repository, tag,
            (struct http_request){.method = "PUT",
                                  .headers = &headers,
                                  .body = buf_str(&m->body),
                                  .body_len = m->body.len},
            &resp, err) < 0)
        return -1;
    return resp.status == 201 ? 0 : registry_unexpected(&resp, err);
}

static int check_tag(const struct registry *r, const char *repository,
                     const struct registry_manifest *m, const char *tag, struct error *err)
{
    CLEANUP(registry_manifest_release) struct registry_manifest stored = {.size = 0};
    enum registry_presence presence = REGISTRY_ABSENT;

    if (get(r, repository, tag, &presence, &stored, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        return error_set(err, ERR_REMOTE, "the registry took the tag, but does not know it");
    if (strcmp(stored.digest, m->digest) != 0)
        return error_set(err, ERR_REMOTE, "the tag names %s and not %s", stored.digest, m->digest);
    return 0;
}

int registry_tag(const struct registry *r, const char *repository,
                 const struct registry_manifest *m, const char *tag, struct error *err)
{
    if (!registry_tag_is_valid(tag))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no valid tag", tag);
    if (put(r, repository, m, tag, err) < 0 || check_tag(r, repository, m, tag, err) < 0)
        return wrap(err, "tag", repository, tag);
    return 0;
}

/* The digest is the one of the bytes, and not less so because the registry says it. */
static int put_by(const struct registry *r, const char *repository, const char *reference,
                  const char *media_type, const void *bytes, size_t len, const char *digest,
                  bool *ret_known, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(MANIFEST_MAX);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;

    argv_pushf(&headers, "Content-Type: %s", media_type);
    if (ask(r, repository, reference,
            (struct http_request){
                .method = "PUT", .headers = &headers, .body = bytes, .body_len = len},
            &resp, err) < 0)
        return -1;
    if (resp.status != 201)
        return registry_unexpected(&resp, err);
    *ret_known = http_header(&resp, "oci-subject") != NULL;
    return registry_check_said_digest(&resp, digest, err);
}

int registry_put_seeing(const struct registry *r, const char *repository, const char *digest,
                        const char *media_type, const void *bytes, size_t len, bool *ret_known,
                        struct error *err)
{
    if (put_by(r, repository, digest, media_type, bytes, len, digest, ret_known, err) < 0)
        return wrap(err, "put the manifest", repository, digest);
    return 0;
}

int registry_put_manifest(const struct registry *r, const char *repository, const char *reference,
                          const char *media_type, const void *bytes, size_t len,
                          char ret_digest[REGISTRY_DIGEST], struct error *err)
{
    char digest[REGISTRY_DIGEST] = "sha256:";
    bool ignored;

    digest_sha256_hex(bytes, len, digest + strlen(digest));
    if (registry_digest_is_valid(reference) && strcmp(reference, digest) != 0)
        return error_set(err, ERR_INPUT, "the manifest to be put as %s is %s", reference, digest);
    if (put_by(r, repository, reference, media_type, bytes, len, digest, &ignored, err) < 0)
        return wrap(err, "put the manifest", repository, reference);
    memcpy(ret_digest, digest, sizeof(digest));
    return 0;
}

int registry_delete_manifest(const struct registry *r, const char *repository, const char *digest,
                             struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(MANIFEST_MAX);

    if (!registry_digest_is_valid(digest))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no sha256 digest", digest);
    if (ask(r, repository, digest, (struct http_request){.method = "DELETE"}, &resp, err) < 0)
        return wrap(err, "delete", repository, digest);
    if (resp.status == 404 || resp.status == 202)
        return 0;
    (void)registry_unexpected(&resp, err);
    return wrap(err, "delete", repository, digest);
}

int registry_delete_tag(const struct registry *r, const char *repository, const char *tag,
                        bool *ret_can, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(MANIFEST_MAX);

    if (!registry_tag_is_valid(tag))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no valid tag", tag);
    if (ask(r, repository, tag, (struct http_request){.method = "DELETE"}, &resp, err) < 0)
        return wrap(err, "delete", repository, tag);
    *ret_can = resp.status != 400 && resp.status != 405;
    if (!*ret_can || resp.status == 404 || resp.status == 202)
        return 0;
    (void)registry_unexpected(&resp, err);
    return wrap(err, "delete", repository, tag);
}

/* By the header of docker-registry, or by the JSON object that the others answer with. */
static bool is_registry(const struct http_response *resp)
{
    const char *version = http_header(resp, "docker-distribution-api-version");
    const char *body = buf_str(&resp->body);

    return (version && text_starts(version, "registry/2")) || body[strspn(body, " \t\r\n")] == '{';
}

int registry_ping(const struct registry *r, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(MANIFEST_MAX);
    char url[URL_MAX];
    struct http_request req = {.method = "GET", .url = url, .timeout_ms = 5000};

    if (snprintf(url, sizeof(url), "%s/v2/", r->url) >= (int)sizeof(url))
        return error_set(err, ERR_SYSTEM, "the registry's URL is too long");
    if (registry_exchange(r, &req, &resp, err) < 0)
        return error_wrap(err, "ask the registry for its version");
    if (resp.status != 200) {
        (void)registry_unexpected(&resp, err);
        return error_wrap(err, "ask the registry for its version");
    }
    if (!is_registry(&resp))
        return error_set(err, ERR_REMOTE,
                         "ask the registry for its version: what answers there is "
                         "no registry");
    return 0;
}
