/* api/request — what a client asked, taken apart once and for all.
 *
 * The target is the request line's second word: "/v0/images/sandbox/a%3Ab?upload=true".  Its path
 * is split at '/' first and decoded then, so that an encoded slash stays inside its segment. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"

#define API_TARGET_MAX   8192 /* bytes */
#define API_SEGMENTS_MAX 8
#define API_PARAMS_MAX   64

/* The headers that Kiln reads; all others pass unseen. */
enum api_header {
    API_HEADER_AUTHORIZATION,
    API_HEADER_X_AUTHORIZATION,
    API_HEADER_WORKSPACE,
    API_HEADER_VERSION,
    API_HEADER_ACCEPT,
    API_HEADER_HOST,
    API_HEADER_IF_NONE_MATCH,
    API_HEADER_FORWARDED_FOR,
    API_HEADERS,
};
extern const char *const api_header_names[API_HEADERS];

struct api_param {
    const char *name, *value; /* decoded; value "" when the name stood alone */
};

/* Zeroed at first.  method, headers and body are borrowed, the rest is owned. */
struct api_request {
    const char *method;
    const char *headers[API_HEADERS]; /* NULL: absent */
    const char *body;
    size_t body_len;
    struct client_address address; /* who asks */
    char *path;                    /* as it came, without the query: the operator's log shows it */
    char *words;
    const char *segments[API_SEGMENTS_MAX]; /* decoded; into words, as are the parameters */
    size_t n_segments;
    struct api_param params[API_PARAMS_MAX];
    size_t n_params;
    bool held; /* its connection keeps a thread for as long as its answer takes */
};
void api_request_release(struct api_request *r);

/* Takes the target apart.  ERR_LIMIT: longer than the limits above; ERR_INPUT: a malformed escape,
 * a control byte or what is not UTF-8 once decoded.  r->path is set even then, if memory allows. */
MUST_CHECK int api_request_target(struct api_request *r, const char *target, struct error *err);

/* The first parameter of that name, NULL if absent. */
const char *api_request_param(const struct api_request *r, const char *name);
/* The same, "" if absent. */
const char *api_request_text(const struct api_request *r, const char *name);

/* True for name=true. */
bool api_request_flag(const struct api_request *r, const char *name);

/* A decimal parameter; *ret stays when it is absent or empty.  ERR_INPUT: not a number up to max.
 */
MUST_CHECK int api_request_number(const struct api_request *r, const char *name, uint64_t max,
                                  uint64_t *ret, struct error *err);

#endif
