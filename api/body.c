/* api/body — JSON that comes in, and the names in it. */
#include <string.h>

#include "api/call.h"

json_t *api_body(struct api_call *c)
{
    json_error_t where;
    json_t *body;

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
