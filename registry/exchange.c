/* registry/exchange — see the header. */
#include "registry/exchange.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "registry/manifest.h"
#include "registry/names.h"

#define ERROR_MAX     512
#define LOCATION_ROOM 200 /* for what is added to a location */

int registry_exchange(const struct registry *r, const struct http_request *req,
                      struct http_response *resp, struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    struct http_request sent = *req;

    sent.cancel = r->cancel;
    sent.ca_file = r->ca_file;
    if (r->signer) {
        if (registry_authorize(r, req, &headers, err) < 0)
            return -1;
        sent.headers = &headers;
    }
    if (r->login)
        return registry_login_exchange(r, &sent, resp, err);
    return r->http->request(r->http->self, &sent, resp, err);
}

int registry_unexpected(const struct http_response *resp, struct error *err)
{
    CLEANUP(buf_release) struct buf why = BUF_INIT(ERROR_MAX);

    registry_error_read(buf_str(&resp->body), resp->body.len, &why);
    return error_set(err, ERR_REMOTE, "HTTP %d%s%s", resp->status, why.len ? " " : "",
                     buf_str(&why));
}

int registry_check_said_digest(const struct http_response *resp, const char *digest,
                               struct error *err)
{
    const char *said = http_header(resp, "docker-content-digest");

    if (said && strcspn(said, " \t") != strlen(digest))
        return error_set(err, ERR_REMOTE, "the registry names another digest than %s", digest);
    if (said && strncmp(said, digest, strlen(digest)) != 0)
        return error_set(err, ERR_REMOTE, "the registry says %.71s, but sent %s", said, digest);
    return 0;
}

int registry_check_blob(const char *repository, const char *digest, struct error *err)
{
    if (!registry_repository_is_valid(repository))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no valid repository name", repository);
    if (!registry_digest_is_valid(digest))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no sha256 digest", digest);
    return 0;
}

/* ---- locations ---- */

size_t registry_origin_length(const char *url)
{
    const char *host = strstr(url, "://");

    if (!host || strcspn(url, "/?#") != (size_t)(host + 1 - url))
        return 0;
    return (size_t)(host + 3 - url) + strcspn(host + 3, "/?#");
}

int registry_own_url(const struct registry *r, const char *said, char ret[REGISTRY_LOCATION_MAX],
                     struct error *err)
{
    size_t origin = registry_origin_length(r->url);
    int n;

    if (strlen(said) + origin + LOCATION_ROOM >= REGISTRY_LOCATION_MAX)
        return error_set(err, ERR_REMOTE, "the registry's answer has a long Location");
    if (text_has_control(said, strlen(said)) || strpbrk(said, " #\\"))
        return error_set(err, ERR_REMOTE, "the registry's answer has a Location that is no URL");
    if (said[0] == '/' && said[1] != '/') {
        n = snprintf(ret, REGISTRY_LOCATION_MAX, "%.*s%s", (int)origin, r->url, said);
    } else if (registry_origin_length(said) == origin && strncasecmp(said, r->url, origin) == 0) {
        n = snprintf(ret, REGISTRY_LOCATION_MAX, "%s", said);
    } else {
        return error_set(err, ERR_REMOTE,
                         "the registry's answer leads to another host, and nothing is sent there "
                         "(if it is the same, its configured URL must be as clients see it)");
    }
    return n < REGISTRY_LOCATION_MAX ? 0 : error_set(err, ERR_REMOTE, "a Location is too long");
}

int registry_location(const struct registry *r, const struct http_response *resp,
                      char ret[REGISTRY_LOCATION_MAX], struct error *err)
{
    const char *said = http_header(resp, "location");

    if (!said)
        return error_set(err, ERR_REMOTE, "the registry's answer has no Location");
    return registry_own_url(r, said, ret, err);
}

/* ---- another try ---- */

bool registry_try_again(struct registry_tries *t, const struct http_response *resp)
{
    struct http_tries tries = {
        .max = t->r->tries, .wait_ms = t->r->wait_ms, .cancel = t->r->cancel, .made = t->made};
    bool again = http_try_again(&tries, resp);

    t->made = tries.made;
    return again;
}

int registry_give_up(const struct registry *r, const struct error *last, struct error *err)
{
    if (r->cancel && cancel_is_thrown(r->cancel))
        return error_set(err, ERR_SYSTEM, "cancelled");
    *err = *last;
    return -1;
}

static int ask(const struct registry *r, const struct http_request *req, bool tags,
               struct http_response *resp, struct error *err)
{
    struct registry_tries t = {.r = r};
    const size_t max = resp->body.max;

    for (;;) {
        struct error now = ERROR_INIT;

        http_response_release(resp);
        *resp = (struct http_response)HTTP_RESPONSE_INIT(max);
        if (tags && r->may_tag && r->may_tag(r->may_tag_self, err) < 0)
            return -1;
        if (registry_exchange(r, req, resp, &now) < 0)
            resp->status = 0;
        if (http_may_recover(resp, &now) && registry_try_again(&t, resp))
            continue;
        if (resp->status == 0 || (r->cancel && cancel_is_thrown(r->cancel)))
            return registry_give_up(r, &now, err);
        return 0;
    }
}

int registry_ask(const struct registry *r, const struct http_request *req,
                 struct http_response *resp, struct error *err)
{
    return ask(r, req, false, resp, err);
}

int registry_ask_to_tag(const struct registry *r, const struct http_request *req,
                        struct http_response *resp, struct error *err)
{
    return ask(r, req, true, resp, err);
}
