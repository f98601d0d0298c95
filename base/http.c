/* base/http — the one user of libcurl. */
#include "base/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>

#include "base/text.h"

#define TIMEOUT_MS_DEFAULT 60000
#define CONNECT_MS         10000
#define HEADERS_MAX        200

static void easy_cleanup(CURL **c)
{
    curl_easy_cleanup(*c);
}

static void slist_free(struct curl_slist **l)
{
    curl_slist_free_all(*l);
}

static size_t on_body(char *data, size_t size, size_t n, void *self)
{
    struct http_response *resp = self;

    buf_add(&resp->body, data, size * n);
    return resp->body.full ? 0 : size * n;
}

/* Keeps "name: value" with the name lowered; a status line begins a new answer. */
static size_t on_header(char *data, size_t size, size_t n, void *self)
{
    struct http_response *resp = self;
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

static void set_options(CURL *c, const struct http_request *req, struct curl_slist *headers,
                        struct http_response *resp, char *reason)
{
    curl_easy_setopt(c, CURLOPT_URL, req->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, req->method);
    curl_easy_setopt(c, CURLOPT_NOBODY, strcmp(req->method, "HEAD") == 0 ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS,
                     (long)(req->timeout_ms ? req->timeout_ms : TIMEOUT_MS_DEFAULT));
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, resp);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, resp);
    if (req->ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, req->ca_file);
    if (is_loopback(req->url))
        curl_easy_setopt(c, CURLOPT_PROXY, "");
    if (req->body || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(req->body ? req->body_len : 0));
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, req->body ? req->body : "");
    }
}

static int request_by_curl(void *self, const struct http_request *req, struct http_response *resp,
                           struct error *err)
{
    CLEANUP(easy_cleanup) CURL *c = curl_easy_init();
    CLEANUP(slist_free) struct curl_slist *headers = NULL;
    char reason[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode code;

    (void)self;
    if (!c || make_headers(req->headers, &headers) < 0)
        return error_set(err, ERR_SYSTEM, "start an HTTP request: out of memory");
    set_options(c, req, headers, resp, reason);
    code = curl_easy_perform(c);
    if (resp->body.full)
        (void)snprintf(reason, sizeof(reason), "answer is larger than %zu bytes", resp->body.max);
    else if (code != CURLE_OK && !reason[0])
        (void)snprintf(reason, sizeof(reason), "%s", curl_easy_strerror(code));
    if (resp->body.full || code != CURLE_OK)
        return fail(req, reason, err);
    if (resp->headers.failed)
        return error_set(err, ERR_SYSTEM, "read an HTTP answer: out of memory");
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    resp->status = (int)status;
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
