/* base/http — HTTP requests to other machines, by libcurl, with every answer bounded.
 *
 * The network is a test seam: code takes a struct http and calls http->request. */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/process.h"

struct http_response {
    int status;          /* 100…599 */
    struct argv headers; /* "name: value", name in lower case, of the last answer */
    struct buf body;     /* the caller sets its ceiling; ERR_REMOTE when the answer is larger */
};

/* A body that is sent from a descriptor by pread, which leaves its position alone. */
struct http_source {
    int fd;
    uint64_t offset;
    uint64_t len; /* exactly so much is sent; -1 when fd has less */
};

/* Takes the body of a 2xx answer piece by piece; of any other, it goes to the response as ever. */
struct http_sink {
    /* The answer's status and headers are known by now.  -1 with err ends the exchange. */
    int (*take)(void *self, const struct http_response *resp, const void *data, size_t len,
                struct error *err);
    void *self;
};

struct http_request {
    const char *method;         /* "GET", "HEAD", "PUT"… */
    const char *url;            /* http or https only */
    const struct argv *headers; /* "Name: value"; NULL: none */
    const void *body;           /* sent as it is; NULL: none */
    size_t body_len;
    const struct http_source *source; /* instead of body; NULL: none */
    const struct http_sink *sink;     /* NULL: none */
    int64_t timeout_ms;  /* for the whole exchange; 0: 60 s, or none where stall_ms is set */
    int64_t stall_ms;    /* ends when no byte moved for so long (whole seconds); 0: not watched */
    const char *ca_file; /* extra trusted certificates, PEM; NULL: the system's alone */
    const struct cancel *cancel; /* looked at once a second at least; NULL: none */
};

#define HTTP_RESPONSE_INIT(body_max)                                                               \
    {                                                                                              \
        .headers = ARGV_INIT, .body = BUF_INIT(body_max)                                           \
    }

struct http {
    int (*request)(void *self, const struct http_request *req, struct http_response *resp,
                   struct error *err);
    void *self;
};

/* The real one.  Redirects are not followed.  Any answer is a success, whatever its status;
 * ERR_REMOTE when there was none, the message naming the host and never the query string;
 * ERR_SYSTEM when it was cancelled, or a source or sink did not work. */
extern const struct http http_curl;

/* The value of a header (name in lower case), NULL if absent; borrowed from resp. */
const char *http_header(const struct http_response *resp, const char *name);

/* Milliseconds that its Retry-After asks for (RFC 9110, 10.2.3: seconds, or a date); 0: it asks for
 * nothing. */
int64_t http_retry_after(const struct http_response *resp);

/* Makes url what a Location header in its answer points to (RFC 3986 section 5).  ERR_INPUT: that
 * is no address, or not of http or https. */
MUST_CHECK int http_resolve(struct buf *url, const char *location, struct error *err);

/* Adds name=value, escaped, to the query of url.  ERR_INPUT: url is none. */
MUST_CHECK int http_add_query(struct buf *url, const char *name, const char *value,
                              struct error *err);

void http_response_release(struct http_response *resp);

/* Once, before any thread is started. */
MUST_CHECK int http_setup(struct error *err);

#endif
