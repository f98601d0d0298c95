/* registry/login — how a registry that is not Kiln's is asked: it says itself what it wants to see
 * (RFC 9110 section 11.6.1; distribution specification, "Token Authentication"), and may lead
 * elsewhere.
 *
 * Credentials are shown to the registry, where it wants them itself (Basic), and to the place that
 * it names for tokens (Bearer), as every client does; not to where a redirect leads, and by plain
 * HTTP only where the registry is spoken to so. */
#include <jansson.h>
#include <pthread.h>
#include <string.h>

#include "base/text.h"
#include "registry/challenge.h"
#include "registry/exchange.h"

#define REDIRECTS_MAX 5
#define ADDRESS_MAX   8192 /* of a redirect: signed addresses are long */
#define HEADER_MAX    16384
#define TOKEN_ANSWER  (64u << 10)

struct registry_login {
    char *credentials; /* base64; NULL: none */
    pthread_mutex_t lock;
    struct buf header; /* "Authorization: …"; empty: nothing was wanted yet */
    unsigned turn;     /* counts what was in header */
};

int registry_login_new(const char *credentials, struct registry_login **ret, struct error *err)
{
    struct registry_login *l = calloc(1, sizeof(*l));

    if (l && credentials)
        l->credentials = strdup(credentials);
    if (!l || (credentials && !l->credentials)) {
        free(l);
        return error_set(err, ERR_SYSTEM, "log in to a registry: out of memory");
    }
    (void)pthread_mutex_init(&l->lock, NULL);
    l->header = (struct buf)BUF_INIT(HEADER_MAX);
    *ret = l;
    return 0;
}

void registry_login_free(struct registry_login *l)
{
    if (!l)
        return;
    (void)pthread_mutex_destroy(&l->lock);
    buf_release(&l->header);
    free(l->credentials);
    free(l);
}

/* ---- redirects ---- */

static bool same_origin(const char *a, const char *b)
{
    const size_t len = registry_origin_length(a);

    return len > 0 && registry_origin_length(b) == len && strncasecmp(a, b, len) == 0;
}

static int lead_to(struct buf *url, const char *location, struct error *err)
{
    const bool secure = text_starts(buf_str(url), "https:");

    if (http_resolve(url, location, err) < 0)
        return -1;
    if (secure && !text_starts(buf_str(url), "https:"))
        return error_set(err, ERR_INPUT, "the registry leads from HTTPS to plain HTTP");
    return 0;
}

/* The request, to wherever it is sent on; secret: one more header, for where it begins alone. */
static int follow(const struct registry *r, const struct http_request *req, const char *secret,
                  struct http_response *resp, struct error *err)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(ADDRESS_MAX);
    const size_t body_max = resp->body.max;

    buf_adds(&url, req->url);
    for (int n = 0; n <= REDIRECTS_MAX; n++) {
        CLEANUP(argv_release) struct argv headers = ARGV_INIT;
        struct http_request sent = *req;
        const char *location;

        for (size_t i = 0; req->headers && i < req->headers->n; i++)
            argv_push1(&headers, req->headers->v[i]);
        if (*secret && same_origin(buf_str(&url), req->url))
            argv_push1(&headers, secret);
        sent.url = buf_str(&url);
        sent.headers = &headers;
        http_response_release(resp);
        *resp = (struct http_response)HTTP_RESPONSE_INIT(body_max);
        if (buf_check(&url, "the address of a redirect", err) < 0 ||
            r->http->request(r->http->self, &sent, resp, err) < 0)
            return -1;
        location = http_header(resp, "location");
        if (resp->status / 100 != 3 || !location)
            return 0;
        if (lead_to(&url, location, err) < 0)
            return -1;
    }
    return error_set(err, ERR_REMOTE, "more than %d redirects", REDIRECTS_MAX);
}

/* ---- tokens ---- */

static int read_token(const struct http_response *resp, struct buf *header, struct error *err)
{
    json_auto_t *o = json_loadb(buf_str(&resp->body), resp->body.len, 0, NULL);
    const char *token = json_string_value(json_object_get(o, "token"));

    if (!token)
        token = json_string_value(json_object_get(o, "access_token"));
    if (!token || !*token || text_has_control(token, strlen(token)))
        return error_set(err, ERR_REMOTE, "the registry's server for tokens gave none");
    buf_addf(header, "Authorization: Bearer %s", token);
    return buf_check(header, "a token", err);
}

static int make_address(const struct registry *r, const struct registry_challenge *c,
                        struct buf *url, struct error *err)
{
    if (text_starts(r->url, "https:") && !text_starts(c->realm, "https:"))
        return error_set(err, ERR_INPUT, "the registry wants tokens that come by plain HTTP");
    if (!text_starts(c->realm, "https:") && !text_starts(c->realm, "http:"))
        return error_set(err, ERR_REMOTE, "the registry's server for tokens has no address");
    buf_adds(url, c->realm);
    if (*c->service && http_add_query(url, "service", c->service, err) < 0)
        return -1;
    return *c->scope ? http_add_query(url, "scope", c->scope, err) : 0;
}

/* Nothing in header: it is refused. */
static int fetch_token(const struct registry *r, const struct registry_challenge *c,
                       struct buf *header, struct error *err)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(TOKEN_ANSWER);
    CLEANUP(buf_release) struct buf url = BUF_INIT(ADDRESS_MAX);
    CLEANUP(buf_release) struct buf secret = BUF_INIT(HEADER_MAX);
    struct http_request req = {.method = "GET", .cancel = r->cancel, .ca_file = r->ca_file};

    if (make_address(r, c, &url, err) < 0)
        return -1;
    if (r->login->credentials)
        buf_addf(&secret, "Authorization: Basic %s", r->login->credentials);
    if (buf_check(&secret, "credentials", err) < 0)
        return -1;
    req.url = buf_str(&url);
    if (follow(r, &req, buf_str(&secret), &resp, err) < 0)
        return -1;
    if (resp.status == 401 || resp.status == 403)
        return 0;
    if (resp.status != 200)
        return registry_unexpected(&resp, err);
    return read_token(&resp, header, err);
}

/* ---- what is wanted ---- */

static void find_challenge(const struct http_response *resp, struct registry_challenge *ret)
{
    static const char name[] = "www-authenticate:";

    *ret = (struct registry_challenge){.kind = REGISTRY_CHALLENGE_NONE};
    for (size_t i = 0; i < resp->headers.n && ret->kind != REGISTRY_CHALLENGE_BEARER; i++)
        if (text_starts(resp->headers.v[i], name))
            registry_challenge_read(resp->headers.v[i] + sizeof(name) - 1, ret);
}

static int make_header(const struct registry *r, const struct http_response *resp,
                       struct buf *header, struct error *err)
{
    const char *credentials = r->login->credentials;
    struct registry_challenge challenge;

    find_challenge(resp, &challenge);
    if (challenge.kind == REGISTRY_CHALLENGE_BEARER)
        return fetch_token(r, &challenge, header, err);
    if (challenge.kind == REGISTRY_CHALLENGE_BASIC && credentials)
        buf_addf(header, "Authorization: Basic %s", credentials);
    return buf_check(header, "credentials", err);
}

/* With the lock.  *ret_changed false: nothing better than what was sent at that turn is to be had.
 */
static int renew(const struct registry *r, const struct http_response *resp, unsigned turn,
                 bool *ret_changed, struct error *err)
{
    struct registry_login *l = r->login;
    CLEANUP(buf_release) struct buf header = BUF_INIT(HEADER_MAX);

    *ret_changed = l->turn != turn; /* another thread has seen to it */
    if (*ret_changed)
        return 0;
    if (make_header(r, resp, &header, err) < 0)
        return error_wrap(err, "ask for a token");
    *ret_changed = header.len > 0;
    if (!*ret_changed)
        return 0;
    buf_clear(&l->header);
    buf_adds(&l->header, buf_str(&header));
    l->turn++;
    return 0;
}

static unsigned copy_header(struct registry_login *l, struct buf *out)
{
    unsigned turn;

    buf_clear(out);
    (void)pthread_mutex_lock(&l->lock);
    buf_adds(out, buf_str(&l->header));
    turn = l->turn;
    (void)pthread_mutex_unlock(&l->lock);
    return turn;
}

static int refused(struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "access denied: the registry wants other credentials, or there is no such "
                     "image");
}

int registry_login_exchange(const struct registry *r, const struct http_request *req,
                            struct http_response *resp, struct error *err)
{
    CLEANUP(buf_release) struct buf header = BUF_INIT(HEADER_MAX);

    for (int n = 0;; n++) {
        const unsigned turn = copy_header(r->login, &header);
        bool changed = false;
        int result;

        if (follow(r, req, buf_str(&header), resp, err) < 0)
            return -1;
        if (resp->status == 403 || (resp->status == 401 && n > 0))
            return refused(err);
        if (resp->status != 401)
            return 0;
        (void)pthread_mutex_lock(&r->login->lock);
        result = renew(r, resp, turn, &changed, err);
        (void)pthread_mutex_unlock(&r->login->lock);
        if (result < 0)
            return -1;
        if (!changed)
            return refused(err);
    }
}

/* ---- credentials ---- */

/* The names of Docker Hub are one. */
static const char *one_name(const char *host)
{
    static const char *const hub[] = {"index.docker.io", "registry-1.docker.io", NULL};

    return text_is_among(host, hub) ? "docker.io" : host;
}

/* "https://index.docker.io/v1/" is how old clients name a registry. */
static void read_key(const char *key, char ret[512])
{
    const char *scheme = strstr(key, "://");
    const char *host = scheme ? scheme + 3 : key;
    char authority[512];

    (void)snprintf(authority, sizeof(authority), "%.*s", (int)strcspn(host, "/"), host);
    if (scheme || strcmp(one_name(authority), authority) != 0)
        (void)snprintf(ret, 512, "%s", one_name(authority));
    else
        (void)snprintf(ret, 512, "%s", key);
}

/* How much of the repository's name the key covers, in bytes; 0: none. */
static size_t covers(const char *key, const char *repository)
{
    char name[512];
    size_t len;

    read_key(key, name);
    len = strlen(name);
    while (len > 0 && name[len - 1] == '/')
        len--;
    return strncmp(name, repository, len) == 0 && (!repository[len] || repository[len] == '/') ? len
                                                                                               : 0;
}

void registry_login_find(const char *docker_config, size_t len, const char *repository,
                         struct buf *ret)
{
    json_auto_t *root = json_loadb(docker_config, len, 0, NULL);
    const size_t host = strcspn(repository, "/");
    const char *found = NULL;
    char name[1400], authority[256];
    size_t best = 0;
    const char *key;
    const json_t *entry;

    (void)snprintf(authority, sizeof(authority), "%.*s", (int)host, repository);
    (void)snprintf(name, sizeof(name), "%s%s", one_name(authority), repository + host);
    json_object_foreach (json_object_get(root, "auths"), key, entry) {
        const char *auth = json_string_value(json_object_get(entry, "auth"));
        const size_t n = covers(key, name);

        if (auth && n > best && !text_has_control(auth, strlen(auth))) {
            best = n;
            found = auth;
        }
    }
    if (found)
        buf_adds(ret, found);
}
