/* api/exchange — one request from its headers to its answer, with its body in between.
 *
 *   exchange_new → exchange_begin → exchange_data… → exchange_end → answer → exchange_free
 *
 * It knows nothing of sockets.  Bodies are bounded here: JSON is kept in memory up to
 * EXCHANGE_BODY_MAX, of which a stranger has EXCHANGE_OPEN_MAX, an upload goes to the store as it
 * comes. */
#ifndef API_EXCHANGE_H
#define API_EXCHANGE_H

#include "api/receive.h"

#define EXCHANGE_BODY_MAX    (1u << 20)  /* bytes of JSON */
#define EXCHANGE_OPEN_MAX    (64u << 10) /* of them, from who has no key */
#define EXCHANGE_HEADERS_MAX 100         /* the largest request of a known client has 20 */
#define EXCHANGE_DRAIN_MAX   (64u << 20) /* bytes read of a body that was refused half-way */

/* What the headers said about the body. */
struct exchange_head {
    const char *method;
    const uint64_t *length; /* NULL: no Content-Length */
    unsigned headers;       /* how many there are */
    bool chunked;           /* how long the body is, is not known */
    bool ambiguous;         /* two lengths, or a length and an encoding: where it ends is a guess */
};

struct exchange {
    const struct api_config *config;
    struct api_request req;
    struct api_response resp;
    struct buf body;
    struct receipt *receipt; /* of an upload on its way */
    struct error target_error;
    int64_t started;           /* monotonic, ns */
    int64_t slow_after;        /* ns; after that a body must come at EXCHANGE_RATE_MIN */
    uint64_t received;         /* bytes of body */
    uint64_t refused_at;       /* of them, when the answer was known */
    const struct route *route; /* NULL: none matches */
    bool begun, refused;
    bool answered_early; /* before the body was read */
    size_t sent;         /* bytes of the answer's body */
};

#define EXCHANGE_RATE_MIN 1024 /* bytes a second */

/* target: the request line's.  NULL when memory ran out. */
struct exchange *exchange_new(const struct api_config *config, const char *target,
                              int64_t slow_after);
void exchange_free(struct exchange *x);

/* The headers are in x->req.  True: read on.  False: resp holds the answer already. */
bool exchange_begin(struct exchange *x, const struct exchange_head *head);

/* False: cut the connection, nothing sensible comes over it. */
bool exchange_data(struct exchange *x, const void *data, size_t len);

/* The request is whole; afterwards resp holds the answer. */
void exchange_end(struct exchange *x);

/* The request is counted, and told in the operator's line: method, path, status, bytes of body in
 * and out, ms, workspace.  lost: the client went away before its answer. */
void exchange_log(const struct exchange *x, bool lost);

#endif
