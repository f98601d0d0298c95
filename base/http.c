/* base/http — the one user of libcurl. */
#include "base/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>

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

/* "scheme://host:port" of a URL for messages: the rest may hold secrets. */
static int origin_length(const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    return (int)(host - url + (int)strcspn(host, "/?#"));
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
    if (req->body) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, req->body);
    }
}

static int request_by_curl(void *self, const struct http_request *req, struct http_response *resp,
                           struct error *err)
{
    CLEANUP(easy_cleanup) CURL *c = curl_easy_init();
    CLEANUP(slist_free) struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    char reason[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode code;

    (void)self;
    if (!c || !headers)
        return error_set(err, ERR_SYSTEM, "start an HTTP request: out of memory");
    for (size_t i = 0; req->headers && i < req->headers->n; i++)
        if (!curl_slist_append(headers, req->headers->v[i]))
            return error_set(err, ERR_SYSTEM, "start an HTTP request: out of memory");
    set_options(c, req, headers, resp, reason);
    code = curl_easy_perform(c);
    if (resp->body.full)
        return error_set(err, ERR_REMOTE, "%s %.*s: answer is larger than %zu bytes", req->method,
                         origin_length(req->url), req->url, resp->body.max);
    if (code != CURLE_OK)
        return error_set(err, ERR_REMOTE, "%s %.*s: %s", req->method, origin_length(req->url),
                         req->url, reason[0] ? reason : curl_easy_strerror(code));
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
