/* objects/store — a bucket below a prefix, and one request to it. */
#include "objects/store.h"

#include <string.h>
#include <time.h>

#include "base/retry.h"
#include "base/text.h"
#include "objects/sign.h"

#define STALL_MS       60000
#define HASTY_TRIES    3
#define HASTY_STALL_MS 20000
#define NO_BODY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* ---- opening ---- */

/* The parts of the host that do not need saying (":443" of https) are left out, as libcurl does. */
static int set_host(struct objects *o, struct error *err)
{
    const struct objects_config *c = &o->config;
    char endpoint[256];
    char *host;
    int n = c->endpoint[0]
                ? snprintf(endpoint, sizeof(endpoint), "%s", c->endpoint)
                : snprintf(endpoint, sizeof(endpoint), "https://s3.%s.amazonaws.com", c->region);

    if (n < 0 || n >= (int)sizeof(endpoint) || !(host = strstr(endpoint, "://")))
        return error_set(err, ERR_INPUT, "s3_endpoint: it is no URL, or too long");
    if (text_starts(endpoint, "https:") && text_ends(endpoint, ":443"))
        endpoint[strlen(endpoint) - strlen(":443")] = '\0';
    if (text_starts(endpoint, "http:") && text_ends(endpoint, ":80"))
        endpoint[strlen(endpoint) - strlen(":80")] = '\0';
    host += strlen("://");
    if (c->host_style)
        n = snprintf(o->host, sizeof(o->host), "%s.%s", o->bucket, host);
    else
        n = snprintf(o->host, sizeof(o->host), "%s", host);
    if (n >= (int)sizeof(o->host) ||
        snprintf(o->origin, sizeof(o->origin), "%.*s%s", (int)(host - endpoint), endpoint,
                 o->host) >= (int)sizeof(o->origin))
        return error_set(err, ERR_INPUT, "s3_endpoint: it is too long");
    (void)snprintf(o->where, sizeof(o->where), "%s at %s", c->url, endpoint);
    return 0;
}

static void keep_config(struct objects *o, const struct objects_config *config)
{
    o->config = *config;
    o->credentials = *config->credentials;
    (void)snprintf(o->url, sizeof(o->url), "%s", config->url);
    (void)snprintf(o->endpoint, sizeof(o->endpoint), "%s", config->endpoint);
    (void)snprintf(o->region, sizeof(o->region), "%s", config->region);
    (void)snprintf(o->ca_file, sizeof(o->ca_file), "%s", config->ca_file ? config->ca_file : "");
    o->config.url = o->url;
    o->config.endpoint = o->endpoint;
    o->config.region = o->region;
    o->config.credentials = &o->credentials;
    o->config.ca_file = o->ca_file[0] ? o->ca_file : NULL;
}

int objects_open(const struct objects_config *config, struct objects **ret, struct error *err)
{
    const char *bucket = config->url + strlen(STORE_SCHEME);
    struct objects *o;
    size_t len;

    if (!objects_url_is_valid(config->url))
        return error_set(err, ERR_INPUT, "\"%.200s\" is not s3://BUCKET or s3://BUCKET/PREFIX",
                         config->url);
    o = calloc(1, sizeof(*o));
    if (!o)
        return error_set(err, ERR_SYSTEM, "open %s: out of memory", config->url);
    if (strlen(config->endpoint) >= sizeof(o->endpoint) ||
        strlen(config->region) >= sizeof(o->region)) {
        free(o);
        return error_set(err, ERR_INPUT, "s3_endpoint or s3_region: it is too long");
    }
    keep_config(o, config);
    len = strcspn(bucket, "/");
    (void)snprintf(o->bucket, sizeof(o->bucket), "%.*s", (int)len, bucket);
    if (bucket[len] && bucket[len + 1])
        (void)snprintf(o->prefix, sizeof(o->prefix), "%s/", bucket + len + 1);
    if (set_host(o, err) < 0) {
        free(o);
        return -1;
    }
    *ret = o;
    return 0;
}

int objects_open_hasty(const struct objects *o, struct objects **ret, struct error *err)
{
    struct objects_config config = o->config;

    config.tries = HASTY_TRIES;
    config.stall_ms = HASTY_STALL_MS;
    return objects_open(&config, ret, err);
}

void objects_free(struct objects *o)
{
    if (o)
        explicit_bzero(&o->credentials, sizeof(o->credentials));
    free(o);
}

const char *objects_where(const struct objects *o)
{
    return o->where;
}

/* ---- a request ---- */

int store_url(const struct objects *o, const char *key, struct buf *ret, size_t *ret_path,
              struct error *err)
{
    if (key && (!store_path_is_valid(key) || strlen(key) >= OBJECT_KEY))
        return error_set(err, ERR_SYSTEM, "\"%.100s\" is no key of an object", key);
    buf_adds(ret, o->origin);
    *ret_path = ret->len;
    if (!o->config.host_style)
        buf_addf(ret, "/%s", o->bucket);
    if (key) {
        buf_addc(ret, '/');
        sign_encode(o->prefix, true, ret);
        sign_encode(key, true, ret);
    } else if (o->config.host_style) {
        buf_addc(ret, '/');
    }
    return buf_check(ret, "the URL of an object", err);
}

static int sign(const struct objects *o, const struct store_request *r, const char *path,
                struct argv *headers, struct error *err)
{
    const struct sign_key key = {o->config.credentials, o->config.region};
    const struct sign_request request = {.method = r->method,
                                         .host = o->host,
                                         .path = path,
                                         .query = r->query,
                                         .headers = r->headers,
                                         .payload = r->payload ? r->payload : NO_BODY_SHA256,
                                         .now = clock_now(o->config.clock) / NS_PER_SEC};

    for (size_t i = 0; r->headers && i < r->headers->n; i++)
        argv_push1(headers, r->headers->v[i]);
    return sign_headers(&key, &request, headers, err);
}

/* One request, signed as of now. */
static int ask(struct objects *o, const struct store_request *r, struct http_response *resp,
               struct error *err)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(8192);
    CLEANUP(buf_release) struct buf path = BUF_INIT(8192);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    struct http_request req = {.method = r->method,
                               .headers = &headers,
                               .body = r->body,
                               .body_len = r->body_len,
                               .source = r->source,
                               .sink = r->sink,
                               .stall_ms = o->config.stall_ms ? o->config.stall_ms : STALL_MS,
                               .ca_file = o->config.ca_file,
                               .cancel = o->config.cancel};
    size_t at;

    if (store_url(o, r->key, &url, &at, err) < 0)
        return -1;
    buf_adds(&path, buf_str(&url) + at);
    for (size_t i = 0; r->query && i < r->query->n; i++)
        buf_addf(&url, "%c%s", i ? '&' : '?', r->query->v[i]);
    if (buf_check(&path, "a path", err) < 0 || buf_check(&url, "a URL", err) < 0 ||
        sign(o, r, buf_str(&path), &headers, err) < 0)
        return -1;
    req.url = buf_str(&url);
    return o->config.http->request(o->config.http->self, &req, resp, err);
}

/* Two PUTs with a condition met each other: neither is told that it won. */
static bool is_conflict(const struct http_response *resp)
{
    return resp->status == 409 && store_says(resp, "ConditionalRequestConflict");
}

int store_exchange(struct objects *o, const struct store_request *r, struct http_response *resp,
                   struct error *err)
{
    struct http_tries tries = {
        .max = o->config.tries, .wait_ms = o->config.wait_ms, .cancel = o->config.cancel};
    const size_t max = resp->body.max;

    for (;;) {
        struct error now = ERROR_INIT;

        http_response_release(resp);
        *resp = (struct http_response)HTTP_RESPONSE_INIT(max);
        if (ask(o, r, resp, &now) < 0)
            resp->status = 0;
        if (!r->sink && (http_may_recover(resp, &now) || is_conflict(resp)) &&
            http_try_again(&tries, resp))
            continue;
        if (resp->status)
            return 0;
        *err = now;
        return error_wrap(err, "%s", o->where);
    }
}

/* ---- what an answer means ---- */

bool store_says(const struct http_response *resp, const char *code)
{
    struct answer_error e;

    answer_read_error(buf_str(&resp->body), resp->body.len, &e);
    return strcmp(e.code, code) == 0;
}

struct meaning {
    const char *code;
    const char *text;
};

/* What the operator can do something about: ERR_SYSTEM. */
static const struct meaning meanings[] = {
    {"InvalidAccessKeyId", "s3_credentials: it does not know this access key"},
    {"SignatureDoesNotMatch", "s3_credentials: the secret key does not belong to the access key"},
    {"InvalidToken", "s3_credentials: the session token is not valid"},
    {"ExpiredToken", "s3_credentials: the session token has expired"},
    {"AccessDenied",
     "s3_credentials: this access key may not do that; it needs GetObject, PutObject, "
     "DeleteObject, ListBucket and AbortMultipartUpload"},
    {"NoSuchBucket", "there is no such bucket: create it, or name another one"},
    {"PermanentRedirect", "the bucket is elsewhere: s3_region or s3_endpoint is another one's"},
    {"AuthorizationHeaderMalformed", "s3_region: the bucket is in another region"},
    {"RequestTimeTooSkewed",
     "the clocks of this machine and of the store are more than 15 minutes apart"},
};

int store_refused(const struct objects *o, const struct http_response *resp, struct error *err)
{
    struct answer_error e;

    answer_read_error(buf_str(&resp->body), resp->body.len, &e);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (strcmp(e.code, meanings[i].code) == 0)
            return error_set(err, ERR_SYSTEM, "%s: %s", o->where, meanings[i].text);
    if (!e.code[0] && resp->status == 403)
        return error_set(err, ERR_SYSTEM, "%s: HTTP 403: s3_credentials: access is denied",
                         o->where);
    return error_set(err, ERR_REMOTE, "%s: HTTP %d%s%s%s%s", o->where, resp->status,
                     e.code[0] ? " " : "", e.code, e.message[0] ? ": " : "", e.message);
}

int64_t store_date(const char *text)
{
    struct tm tm = {.tm_sec = 0};

    return text && strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? (int64_t)timegm(&tm) : 0;
}

int64_t store_age(const struct http_response *resp, int64_t moment)
{
    int64_t now = store_date(http_header(resp, "date"));

    return moment > 0 && now > moment ? now - moment : 0;
}
