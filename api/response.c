/* api/response — see the header; the error bodies are in errors.c. */
#include "api/response.h"

#include <string.h>

void api_response_release(struct api_response *r)
{
    argv_release(&r->headers);
    buf_release(&r->body);
    api_stream_release(&r->stream);
}

void api_stream_release(struct api_stream *s)
{
    if (s->free)
        s->free(s->self);
    *s = (struct api_stream){.read = NULL};
}

void api_response_header(struct api_response *r, const char *name, const char *value)
{
    argv_push(&r->headers, name, value, NULL);
}

const char *api_response_find(const struct api_response *r, const char *name)
{
    for (size_t i = 0; i + 1 < r->headers.n; i += 2)
        if (strcmp(r->headers.v[i], name) == 0)
            return r->headers.v[i + 1];
    return NULL;
}

void api_response_usual(struct api_response *r)
{
    if (!api_response_find(r, "Cache-Control"))
        api_response_header(r, "Cache-Control", "no-store");
    api_response_header(r, "X-Content-Type-Options", "nosniff");
}

static int append(const char *text, size_t len, void *self)
{
    struct buf *out = self;

    buf_add(out, text, len);
    return out->full ? -1 : 0;
}

int api_response_json(struct api_response *r, int status, const json_t *body, struct error *err)
{
    buf_clear(&r->body);
    if (json_dump_callback(body, append, &r->body, JSON_COMPACT) < 0)
        return error_set(err, ERR_SYSTEM, "write a JSON answer: too large or out of memory");
    buf_addc(&r->body, '\n');
    r->status = status;
    api_response_header(r, "Content-Type", "application/json");
    return 0;
}

int api_json_check(int bad, struct error *err)
{
    return bad ? error_set(err, ERR_SYSTEM, "build a JSON answer: out of memory or not UTF-8") : 0;
}
