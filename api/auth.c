/* api/auth — what a key opens: one workspace, or every one of its account; and what for, as its
 * role allows (PROTOCOL.md 4.2, PRODUCT.md "Access"). */
#include <string.h>

#include "api/call.h"
#include "api/credentials.h"
#include "api/route.h"

static void refuse_key(struct api_call *c, const char *message)
{
    api_refuse(c->resp, 401, "unauthorized", "%s", message);
    api_response_header(c->resp, "WWW-Authenticate", "Bearer");
}

/* ---- the workspace ---- */

/* The one that the client names; "" if none.  NULL: it names two, of which one is wrong. */
static const char *named_workspace(struct api_call *c)
{
    const char *header = c->req->headers[API_HEADER_WORKSPACE];
    const char *param = api_request_param(c->req, "workspace");

    if (!header || !*header)
        return param ? param : "";
    if (param && *param && strcmp(param, header) != 0) {
        api_refuse(c->resp, 403, "forbidden",
                   "X-Blaxel-Workspace and ?workspace= name different workspaces.");
        return NULL;
    }
    return header;
}

static void refuse_workspace(struct api_call *c)
{
    api_refuse(
        c->resp, 403, "forbidden",
        "This API key belongs to another workspace. Use a key of the workspace you named, or "
        "name the workspace of the key.");
}

/* For a key of a whole account: the workspace of the call becomes the one that was named. */
static int choose_workspace(struct api_call *c, const char *named, bool *ret_allowed,
                            struct error *err)
{
    enum presence presence;
    struct workspace w;

    *ret_allowed = !*named && c->route->account;
    if (*ret_allowed)
        return 0;
    if (!*named) {
        api_refuse(c->resp, 400, "workspace_required",
                   "This key opens every workspace of the account %s: name one in the header "
                   "X-Blaxel-Workspace.",
                   c->key.account);
        return 0;
    }
    if (state_workspace_get(c->config->state, named, &presence, &w, err) < 0)
        return -1;
    *ret_allowed = presence == PRESENT && strcmp(w.account, c->key.account) == 0;
    if (*ret_allowed)
        memcpy(c->key.workspace, w.name, sizeof(w.name));
    else
        refuse_workspace(c);
    return 0;
}

static int check_workspace(struct api_call *c, bool *ret_allowed, struct error *err)
{
    const char *named = named_workspace(c);

    *ret_allowed = false;
    if (!named)
        return 0;
    c->whole_account = !*c->key.workspace;
    if (c->whole_account)
        return choose_workspace(c, named, ret_allowed, err);
    *ret_allowed = !*named || strcmp(named, c->key.workspace) == 0;
    if (!*ret_allowed)
        refuse_workspace(c);
    return 0;
}

/* ---- the role ---- */

static bool check_role(struct api_call *c)
{
    if (!c->route->admin || c->key.role == ROLE_ADMIN)
        return true;
    api_refuse(c->resp, 403, "forbidden",
               "Only an admin may do this, and this key is a member's. `kiln key create --role "
               "admin` makes an admin's.");
    return false;
}

int api_authorize(struct api_call *c, bool *ret_allowed, struct error *err)
{
    const char *token = api_bearer(c->req->headers[API_HEADER_X_AUTHORIZATION]);
    enum key_verdict verdict;

    *ret_allowed = false;
    if (!token)
        token = api_bearer(c->req->headers[API_HEADER_AUTHORIZATION]);
    if (!token || !*token) {
        if (!api_rate_address(c))
            return 0;
        refuse_key(c, "This request needs an API key. Send the header \"Authorization: Bearer "
                      "<key>\"; \"kiln key create\" makes one.");
        return 0;
    }
    if (!api_login_may_try(c, token))
        return 0;
    if (state_key_check(c->config->state, token, &verdict, &c->key, err) < 0)
        return -1;
    if (verdict != KEY_VALID) {
        api_login_refused(c);
        refuse_key(c, "This API key is not known here, has expired or was revoked. Ask for a new "
                      "one; \"kiln key create\" makes it.");
        return 0;
    }
    api_login_passed(c, token);
    if (check_workspace(c, ret_allowed, err) < 0)
        return -1;
    memcpy(c->resp->workspace, c->key.workspace, sizeof(c->resp->workspace));
    memcpy(c->resp->key, c->key.id, sizeof(c->resp->key));
    *ret_allowed = *ret_allowed && api_rate_key(c) && check_role(c);
    return 0;
}
