/* api/body — JSON that comes in, and the names in it. */
#include <string.h>

#include "api/call.h"

/* jansson reads 2048 levels and takes more than 1 KiB of stack for each when it writes them. */
#define DEPTH_MAX 100

/* Counts brackets outside strings; whether the text is JSON at all is the parser's question. */
static bool is_too_deep(const char *text, size_t len)
{
    bool in_string = false;
    size_t depth = 0;

    for (size_t i = 0; i < len; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '[' || text[i] == '{') && ++depth > DEPTH_MAX)
            return true;
        else if (!in_string && (text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
    }
    return false;
}

json_t *api_body(struct api_call *c)
{
    json_error_t where;
    json_t *body;

    if (is_too_deep(c->req->body, c->req->body_len)) {
        api_refuse(c->resp, 400, "invalid_json", "The body is nested deeper than %d levels.",
                   DEPTH_MAX);
        return NULL;
    }
    body = json_loadb(c->req->body ? c->req->body : "", c->req->body_len, JSON_REJECT_DUPLICATES,
                      &where);
    if (!body) {
        api_refuse(c->resp, 400, "invalid_json",
                   "The body is not JSON: line %d, column %d: %s. Send one JSON object.",
                   where.line, where.column, where.text);
        return NULL;
    }
    if (!json_is_object(body)) {
        api_refuse(c->resp, 400, "invalid_json", "The body must be one JSON object, {…}.");
        json_decref(body);
        return NULL;
    }
    return body;
}

bool api_check_name(struct api_call *c, const char *what, const char *name)
{
    if (name && name_is_valid(name))
        return true;
    api_refuse(c->resp, 400, "invalid_name",
               "The field %s must be 1 to 49 lower-case letters, digits and single hyphens between "
               "them, such "
               "as \"my-sandbox-1\".",
               what);
    return false;
}
