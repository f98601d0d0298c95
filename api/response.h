/* api/response — the answer to one request: status, headers, body. */
#ifndef API_RESPONSE_H
#define API_RESPONSE_H

#include <jansson.h>

#include "base/argv.h"
#include "base/buf.h"
#include "worker/worker.h"

#define API_RESPONSE_MAX (256u << 20) /* bytes of body */

/* A body that comes bit by bit, while its connection is open. */
struct api_stream {
    /* Appends what has come since the last call, or a part of it; *ret_ended: that was all.  Never
     * waits.  NULL: the body is no stream. */
    int (*read)(void *self, struct buf *out, bool *ret_ended, struct error *err);
    /* Appends what shows that the connection lives, where nothing has come for long. */
    void (*beat)(void *self, struct buf *out);
    void (*free)(void *self);
    void *self;
};

struct api_response {
    int status;
    struct argv headers; /* name, value, name, value… */
    struct buf body;
    struct api_stream stream; /* what follows body */
    /* Whose request it was, for the operator's log; "" unknown. */
    char workspace[NAME_SIZE], key[17];
};
#define API_RESPONSE_INIT                                                                          \
    {                                                                                              \
        .headers = ARGV_INIT, .body = BUF_INIT(API_RESPONSE_MAX)                                   \
    }
void api_response_release(struct api_response *r);
void api_stream_release(struct api_stream *s);

void api_response_header(struct api_response *r, const char *name, const char *value);
/* The value of a header (its case counts), NULL if absent. */
const char *api_response_find(const struct api_response *r, const char *name);

/* The headers that every answer has. */
void api_response_usual(struct api_response *r);

/* Status and a JSON body.  ERR_SYSTEM: out of memory. */
MUST_CHECK int api_response_json(struct api_response *r, int status, const json_t *body,
                                 struct error *err);

/* The error body of PROTOCOL.md 6.4 in place of whatever was there: code is one snake_case word, or
 * text where a client reads it; the message is a sentence that says what to do. */
void api_refuse(struct api_response *r, int status, const char *code, const char *fmt, ...)
    PRINTF(4, 5);

/* The same for an error of a library: INPUT 400, LIMIT 413, REMOTE 502, SYSTEM 500.  The text of
 * the last two stays inside: the caller logs it. */
void api_refuse_error(struct api_response *r, const struct error *err);

/* Failures of jansson's builders add up in one flag; this is what it means in the end. */
MUST_CHECK int api_json_check(int bad, struct error *err);

#endif
