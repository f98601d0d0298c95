/* tests/fuzz/answers — see the header. */
#include "tests/fuzz/answers.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* A line without its end; *text moves behind it. */
static const char *take_line(const char **text, size_t *len)
{
    const char *line = *text;

    *len = strcspn(line, "\n");
    *text = line + *len + (line[*len] == '\n');
    return line;
}

static void give_headers(const char **text, struct http_response *resp)
{
    size_t len;

    for (const char *line = take_line(text, &len); len > 0; line = take_line(text, &len))
        if (memchr(line, ':', len))
            argv_pushf(&resp->headers, "%.*s", (int)len, line);
}

static int give_body(const char *body, size_t len, const struct http_request *req,
                     struct http_response *resp, struct error *err)
{
    if (req->sink && resp->status >= 200 && resp->status < 300)
        return len ? req->sink->take(req->sink->self, resp, body, len, err) : 0;
    buf_add(&resp->body, body, len);
    return resp->body.full ? error_set(err, ERR_REMOTE, "the answer is too large") : 0;
}

int answers_give(void *self, const struct http_request *req, struct http_response *resp,
                 struct error *err)
{
    struct answers *a = self;
    const char *text = *a->next || !a->last ? a->next : a->last;
    const char *end = strstr(text, "\n---\n");
    const size_t all = end ? (size_t)(end - text) : strlen(text);
    size_t len;

    if (++a->asked > a->asks_max)
        return error_set(err, ERR_REMOTE, "a list without end");
    if (a->url && !text_starts(req->url, a->url))
        abort();
    a->last = text;
    a->next = text + all + (end ? 5 : 0);
    resp->status = atoi(take_line(&text, &len));
    if (resp->status < 100 || resp->status > 599) {
        resp->status = 0;
        return error_set(err, ERR_REMOTE, "answers.test: connection refused");
    }
    give_headers(&text, resp);
    return give_body(text, text < a->last + all ? (size_t)(a->last + all - text) : 0, req, resp,
                     err);
}
