/* api/registry_token — tokens for the registry (distribution specification, "Token
 * Authentication"): what is asked for, cut down to what the password opens.  Who may only do less
 * gets 200 and less; the registry then says what is missing. */
#include <string.h>

#include "api/call.h"
#include "api/credentials.h"
#include "base/text.h"

#define SCOPES_MAX    20
#define TOKEN_SECONDS 300

static int refuse_password(struct api_call *c)
{
    api_refuse(c->resp, 401, "unauthorized",
               "The registry's password is an API key of Kiln (any user name will do): `docker "
               "login` with one that `kiln key create` made.");
    api_response_header(c->resp, "WWW-Authenticate", "Basic realm=\"kiln\"");
    return 0;
}

/* ---- who it is ---- */

/* The workspaces whose images may be pulled: one, or each of an account. */
struct reader {
    char subject[NAME_SIZE];
    char account[NAME_SIZE];
    char workspace[NAME_SIZE];            /* "": each of the account */
    char repository[REGISTRY_REPOSITORY]; /* of a build: the only one; "": of any */
};

static int find_reader(struct api_call *c, const char *password, bool *ret_known,
                       struct reader *ret, struct error *err)
{
    struct api_key key;
    enum key_verdict verdict;

    *ret_known = registry_ticket_check(c->config->registry->signer, password, c->now,
                                       ret->workspace, ret->repository);
    if (*ret_known) {
        (void)snprintf(ret->subject, sizeof(ret->subject), "build");
        return 0;
    }
    if (state_key_check(c->config->state, password, &verdict, &key, err) < 0)
        return -1;
    *ret_known = verdict == KEY_VALID;
    ret->repository[0] = '\0';
    if (*ret_known) {
        memcpy(ret->account, key.account, sizeof(ret->account));
        memcpy(ret->workspace, key.workspace, sizeof(ret->workspace));
        (void)snprintf(ret->subject, sizeof(ret->subject), "%s", key.id);
    }
    return 0;
}

/* ---- what it may do ---- */

static int may_pull(struct api_call *c, const struct reader *reader, const char *repository,
                    bool *ret, struct error *err)
{
    *ret = false;
    if (*reader->repository && strcmp(reader->repository, repository) != 0)
        return 0;
    return *reader->workspace
               ? state_may_pull(c->config->state, reader->workspace, repository, ret, err)
               : state_account_may_pull(c->config->state, reader->account, repository, ret, err);
}

static int answer(struct api_call *c, const struct registry_claims *claims, struct error *err)
{
    CLEANUP(buf_release) struct buf token = BUF_INIT(65536);
    json_auto_t *body = NULL;
    char issued[CLOCK_TEXT];

    if (registry_token(c->config->registry->signer, claims, &token, err) < 0)
        return -1;
    clock_format(c->now, issued);
    body = json_pack("{s:s, s:s, s:i, s:s}", "token", buf_str(&token), "access_token",
                     buf_str(&token), "expires_in", claims->seconds, "issued_at", issued);
    if (api_json_check(!body, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, body, err);
}

/* Every ?scope=, of which each may hold several.  Pushing is for builds, which need no password. */
static int grant(struct api_call *c, const struct reader *reader, struct error *err)
{
    struct registry_scope scopes[SCOPES_MAX];
    struct registry_access access[SCOPES_MAX];
    struct registry_claims claims = {
        .subject = reader->subject, .access = access, .now = c->now, .seconds = TOKEN_SECONDS};
    size_t n = 0;

    for (size_t i = 0; i < c->req->n_params; i++)
        if (strcmp(c->req->params[i].name, "scope") == 0)
            n += registry_parse_scope(c->req->params[i].value, scopes + n, SCOPES_MAX - n);
    for (size_t i = 0; i < n; i++) {
        bool allowed;

        if (may_pull(c, reader, scopes[i].repository, &allowed, err) < 0)
            return -1;
        if (allowed && scopes[i].actions & REGISTRY_PULL)
            access[claims.n_access++] =
                (struct registry_access){scopes[i].repository, REGISTRY_PULL};
    }
    return answer(c, &claims, err);
}

int api_get_registry_token(struct api_call *c, struct error *err)
{
    const struct registry_signer *signer = c->config->registry->signer;
    const char *service = api_request_param(c->req, "service");
    struct reader reader = {.subject = ""};
    struct api_basic basic;
    bool known;

    if (!signer) {
        api_refuse(c->resp, 404, "not_found", "This Kiln's registry does not take its tokens.");
        return 0;
    }
    if (service && strcmp(service, signer->service) != 0) {
        api_refuse(c->resp, 400, "unknown_service", "Tokens are given here for the service %s.",
                   signer->service);
        return 0;
    }
    if (!api_basic_read(c->req->headers[API_HEADER_AUTHORIZATION], &basic))
        return refuse_password(c);
    if (!api_login_may_try(c, basic.password))
        return 0;
    if (find_reader(c, basic.password, &known, &reader, err) < 0)
        return -1;
    if (!known) {
        api_login_refused(c);
        return refuse_password(c);
    }
    api_login_passed(c, basic.password);
    return grant(c, &reader, err);
}
