/* api/auth — an API key belongs to one workspace, and opens nothing else (PROTOCOL.md 4.2). */
#include <string.h>
#include <strings.h>

#include "api/call.h"

/* The token of "Bearer <token>" (RFC 6750, 2.1), NULL if the header is something else. */
static const char *bearer(const char *header)
{
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    header += 7;
    return header + strspn(header, " ");
}

static void refuse_key(struct api_call *c, const char *message)
{
    api_refuse(c->resp, 401, "unauthorized", "%s", message);
    api_response_header(c->resp, "WWW-Authenticate", "Bearer");
}

static bool names_other(const char *workspace, const struct api_key *key)
{
    return workspace && *workspace && strcmp(workspace, key->workspace) != 0;
}

static bool check_workspace(struct api_call *c)
{
    if (!names_other(c->req->headers[API_HEADER_WORKSPACE], &c->key) &&
        !names_other(api_request_param(c->req, "workspace"), &c->key))
        return true;
    api_refuse(
        c->resp, 403, "forbidden",
        "This API key belongs to another workspace. Use a key of the workspace you named, or "
        "name the workspace of the key.");
    return false;
}

int api_authorize(struct api_call *c, bool *ret_allowed, struct error *err)
{
    const char *token = bearer(c->req->headers[API_HEADER_X_AUTHORIZATION]);
    enum key_verdict verdict;

    if (!token)
        token = bearer(c->req->headers[API_HEADER_AUTHORIZATION]);
    if (!token || !*token) {
        refuse_key(c, "This request needs an API key. Send the header \"Authorization: Bearer "
                      "<key>\"; \"kiln key create\" makes one.");
        *ret_allowed = false;
        return 0;
    }
    if (state_key_check(c->config->state, token, &verdict, &c->key, err) < 0)
        return -1;
    if (verdict != KEY_VALID) {
        refuse_key(c,
                   "This API key is not known here or was revoked. Ask for a new one; \"kiln key "
                   "create\" makes it.");
        *ret_allowed = false;
        return 0;
    }
    memcpy(c->resp->workspace, c->key.workspace, sizeof(c->resp->workspace));
    *ret_allowed = check_workspace(c);
    return 0;
}
