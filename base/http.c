/* base/http — the one user of libcurl. */
#include "base/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#define TIMEOUT_MS_DEFAULT 60000
#define CONNECT_MS         10000
#define HEADERS_MAX        200
#define SEND_SIZE          (256L << 10)

struct exchange { /* what libcurl's callbacks know */
    CURL *curl;
    const struct http_request *req;
    struct http_response *resp;
    uint64_t sent;          /* of req->source */
    struct error own_error; /* of this side, which ended the exchange */
};

static void easy_cleanup(CURL **c)
{
    curl_easy_cleanup(*c);
}

static void slist_free(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

static void note_status(struct exchange *x)
{
    long status = 0;

    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    x->resp->status = (int)status;
}

static size_t on_body(char *data, size_t size, size_t n, void *self)
{
    struct exchange *x = self;
    const struct http_sink *sink = x->req->sink;

    note_status(x);
    if (sink && x->resp->status / 100 == 2)
        return sink->take(sink->self, x->resp, data, size * n, &x->own_error) < 0 ? 0 : size * n;
    buf_add(&x->resp->body, data, size * n);
    return x->resp->body.full ? 0 : size * n;
}

static size_t on_read(char *data, size_t size, size_t n, void *self)
{
    struct exchange *x = self;
    const struct http_source *from = x->req->source;
    uint64_t left = from->len - x->sent;
    size_t want = size * n < left ? size * n : (size_t)left;
    ssize_t got;

    do
        got = want ? pread(from->fd, data, want, (off_t)(from->offset + x->sent)) : 0;
    while (got < 0 && errno == EINTR);
    if (got < 0)
        (void)error_errno(&x->own_error, errno, "read what is to be sent");
    else if (got == 0 && want)
        (void)error_set(&x->own_error, ERR_SYSTEM, "what is to be sent is shorter than it was");
    if (x->own_error.kind != ERR_NONE)
        return CURL_READFUNC_ABORT;
    x->sent += (uint64_t)got;
    return (size_t)got;
}

/* libcurl sends a body again when a kept connection turned out to be dead. */
static int on_seek(void *self, curl_off_t offset, int origin)
{
    struct exchange *x = self;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->req->source->len)
        return CURL_SEEKFUNC_FAIL;
    x->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *self, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    struct exchange *x = self;

    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    if (!cancel_is_thrown(x->req->cancel))
        return 0;
    (void)error_set(&x->own_error, ERR_SYSTEM, "cancelled");
    return 1;
}

/* Keeps "name: value" with the name lowered; a status line begins a new answer. */
static size_t on_header(char *data, size_t size, size_t n, void *self)
{
    struct exchange *x = self;
    struct http_response *resp = x->resp;
    size_t len = size * n;
    char *colon = memchr(data, ':', len);

    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
        len--;
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        argv_release(&resp->headers);
        return size * n;
    }
    if (!colon || resp->headers.n >= HEADERS_MAX)
        return size * n;
    argv_pushf(&resp->headers, "%.*s", (int)len, data);
    if (!resp->headers.failed)
        for (char *p = resp->headers.v[resp->headers.n - 1]; *p && *p != ':'; p++)
            *p = (char)tolower((unsigned char)*p);
    return size * n;
}

/* The "host:port" of a URL, without the user and password before it. */
static const char *find_host(const char *url, int *ret_len)
{
    const char *host = strstr(url, "://");
    const char *end;
    const char *at;

    host = host ? host + 3 : url;
    end = host + strcspn(host, "/?#");
    at = memrchr(host, '@', (size_t)(end - host));
    if (at)
        host = at + 1;
    *ret_len = (int)(end - host);
    return host;
}

/* A proxy from the environment cannot reach what listens on our own loopback. */
static bool is_loopback(const char *url)
{
    int len;
    const char *host = find_host(url, &len);

    return text_starts(host, "127.") || text_starts(host, "[::1]") ||
           (text_starts(host, "localhost") && strchr(":/?#", host[9]));
}

/* Messages name the host and nothing more: the rest of a URL may hold secrets. */
static int fail(const struct http_request *req, const char *reason, struct error *err)
{
    int len;
    const char *host = find_host(req->url, &len);

    return error_set(err, ERR_REMOTE, "%s %.*s: %s", req->method, len, host, reason);
}

/* The caller's headers, after taking back two that libcurl would add to a body on its own. */
static int make_headers(const struct argv *lines, struct curl_slist **ret)
{
    *ret = curl_slist_append(NULL, "Expect:");
    if (!*ret || !curl_slist_append(*ret, "Content-Type:"))
        return -1;
    for (size_t i = 0; lines && i < lines->n; i++)
        if (!curl_slist_append(*ret, lines->v[i]))
            return -1;
    return lines && lines->failed ? -1 : 0;
}

static void set_limits(CURL *c, const struct http_request *req)
{
    int64_t timeout = req->timeout_ms ? req->timeout_ms : req->stall_ms ? 0 : TIMEOUT_MS_DEFAULT;

    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    if (req->stall_ms) {
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)((req->stall_ms + 999) / 1000));
    }
}

static void set_body(CURL *c, const struct http_request *req, struct exchange *x)
{
    if (req->source) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, SEND_SIZE);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->source->len);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, x);
    } else if (req->body || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(req->body ? req->body_len : 0));
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, req->body ? req->body : "");
    }
}

static void set_callbacks(CURL *c, struct exchange *x)
{
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    if (x->req->cancel) {
        curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    }
}

static void set_options(CURL *c, const struct http_request *req, struct curl_slist *headers,
                        struct exchange *x, char *reason)
{
    curl_easy_setopt(c, CURLOPT_URL, req->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_NOBODY, strcmp(req->method, "HEAD") == 0 ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
    if (req->ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, req->ca_file);
    if (is_loopback(req->url))
        curl_easy_setopt(c, CURLOPT_PROXY, "");
    set_limits(c, req);
    set_callbacks(c, x);
    set_body(c, req, x);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, req->method);
}

/* Why there was no answer. */
static int explain(const struct exchange *x, CURLcode code, char *reason, struct error *err)
{
    const struct http_response *resp = x->resp;

    if (x->own_error.kind != ERR_NONE) {
        (void)fail(x->req, x->own_error.msg, err);
        err->kind = x->own_error.kind;
        return -1;
    }
    if (resp->body.full)
        (void)snprintf(reason, CURL_ERROR_SIZE, "answer is larger than %zu bytes", resp->body.max);
    else if (!reason[0])
        (void)snprintf(reason, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
    return fail(x->req, reason, err);
}

static int request_by_curl(void *self, const struct http_request *req, struct http_response *resp,
                           struct error *err)
{
    CLEANUP(easy_cleanup) CURL *c = curl_easy_init();
    CLEANUP(slist_free) struct curl_slist *headers = NULL;
    struct exchange x = {.curl = c, .req = req, .resp = resp};
    char reason[CURL_ERROR_SIZE] = "";
    CURLcode code;

    (void)self;
    if (!c || make_headers(req->headers, &headers) < 0)
        return error_set(err, ERR_SYSTEM, "start an HTTP request: out of memory");
    set_options(c, req, headers, &x, reason);
    code = curl_easy_perform(c);
    if (resp->body.full || code != CURLE_OK)
        return explain(&x, code, reason, err);
    if (resp->headers.failed)
        return error_set(err, ERR_SYSTEM, "read an HTTP answer: out of memory");
    note_status(&x);
    return 0;
}

const struct http http_curl = {.request = request_by_curl};

const char *http_header(const struct http_response *resp, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < resp->headers.n; i++) {
        const char *h = resp->headers.v[i];

        if (strncmp(h, name, len) == 0 && h[len] == ':')
            return h + len + 1 + strspn(h + len + 1, " \t");
    }
    return NULL;
}

static void url_cleanup(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void string_free(char **s)
{
    curl_free(*s);
}

int http_resolve(struct buf *url, const char *location, struct error *err)
{
    CLEANUP(url_cleanup) CURLU *u = curl_url();
    CLEANUP(string_free) char *scheme = NULL;
    CLEANUP(string_free) char *whole = NULL;

    if (!u)
        return error_set(err, ERR_SYSTEM, "follow a redirect: out of memory");
    if (curl_url_set(u, CURLUPART_URL, buf_str(url), 0) != CURLUE_OK ||
        curl_url_set(u, CURLUPART_URL, location, CURLU_URLENCODE) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return error_set(err, ERR_INPUT, "a redirect to what is no address on the web");
    buf_clear(url);
    buf_adds(url, whole);
    return buf_check(url, "the address of a redirect", err);
}

int http_add_query(struct buf *url, const char *name, const char *value, struct error *err)
{
    CLEANUP(url_cleanup) CURLU *u = curl_url();
    CLEANUP(string_free) char *whole = NULL;
    CLEANUP(buf_release) struct buf part = BUF_INIT(url->max);

    buf_addf(&part, "%s=%s", name, value);
    if (!u || buf_check(&part, "an address", err) < 0)
        return u ? -1 : error_set(err, ERR_SYSTEM, "make an address: out of memory");
    if (curl_url_set(u, CURLUPART_URL, buf_str(url), 0) != CURLUE_OK ||
        curl_url_set(u, CURLUPART_QUERY, buf_str(&part), CURLU_APPENDQUERY | CURLU_URLENCODE) !=
            CURLUE_OK ||
        curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK)
        return error_set(err, ERR_INPUT, "what should be an address is none");
    buf_clear(url);
    buf_adds(url, whole);
    return buf_check(url, "an address", err);
}

void http_response_release(struct http_response *resp)
{
    argv_release(&resp->headers);
    buf_release(&resp->body);
}

int http_setup(struct error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERR_SYSTEM, "start libcurl");
    return 0;
}

int64_t http_retry_after(const struct http_response *resp)
{
    const char *said = http_header(resp, "retry-after");
    struct tm date = {.tm_sec = 0};
    uint64_t seconds = 0;
    int64_t wait = 0;

    if (!said)
        return 0;
    if (text_to_u64(said, UINT32_MAX, &seconds))
        wait = (int64_t)seconds * 1000;
    else if (strptime(said, "%a, %d %b %Y %H:%M:%S GMT", &date))
        wait = (timegm(&date) - time(NULL)) * 1000;
    return wait < 0 ? 0 : wait;
}
