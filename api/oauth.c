/* api/oauth — access tokens for service accounts (RFC 6749, 4.4; PROTOCOL.md 4.2). */
#include <string.h>

#include "api/call.h"
#include "api/credentials.h"

#define TOKEN_SECONDS 7200

static int refuse_client(struct api_call *c)
{
    api_login_refused(c);
    api_refuse(c->resp, 401, "invalid_client",
               "Client id and secret are not known here or were revoked. Send them as "
               "\"Authorization: Basic base64(id:secret)\"; `kiln key create --client` makes a "
               "pair.");
    api_response_header(c->resp, "WWW-Authenticate", "Basic realm=\"kiln\"");
    return 0;
}

/* A field of a body that is JSON or, as the RFC has it, a form; NULL if it is not there. */
static int read_grant(struct api_call *c, char ret[64])
{
    static const char form[] = "grant_type=";
    const char *body = c->req->body ? c->req->body : "";
    json_auto_t *json = NULL;
    const char *value = NULL;

    if (c->req->body_len > strlen(form) && strncmp(body, form, strlen(form)) == 0) {
        (void)snprintf(ret, 64, "%.*s", (int)strcspn(body + strlen(form), "&\r\n"),
                       body + strlen(form));
        return 0;
    }
    json = api_body(c);
    if (!json)
        return -1;
    value = json_string_value(json_object_get(json, "grant_type"));
    (void)snprintf(ret, 64, "%s", value ? value : "");
    return 0;
}

static int give_token(struct api_call *c, const struct api_key *client, struct error *err)
{
    const struct key_draft draft = {
        .account = client->account,
        .workspace = *client->workspace ? client->workspace : NULL,
        .label = client->label,
        .parent = client->id,
        .kind = KEY_TOKEN,
        .role = client->role,
        .seconds = TOKEN_SECONDS,
    };
    json_auto_t *answer = NULL;
    char text[API_KEY_TEXT];
    struct api_key token;

    c->key = *client; /* who did it */
    if (state_key_create(c->config->state, &draft, text, &token, err) < 0)
        return -1;
    answer = json_pack("{s:s, s:s, s:i}", "access_token", text, "token_type", "Bearer",
                       "expires_in", TOKEN_SECONDS);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

int api_post_token(struct api_call *c, struct error *err)
{
    struct api_key client;
    enum key_verdict verdict;
    struct api_basic basic;
    char grant[64];

    if (read_grant(c, grant) < 0)
        return 0;
    if (strcmp(grant, "client_credentials") != 0) {
        api_refuse(c->resp, 400, "unsupported_grant_type",
                   "The one grant_type here is client_credentials.");
        return 0;
    }
    if (!api_basic_read(c->req->headers[API_HEADER_AUTHORIZATION], &basic))
        return refuse_client(c);
    if (!api_login_may_try(c, basic.password))
        return 0;
    if (state_client_check(c->config->state, basic.user, basic.password, &verdict, &client, err) <
        0)
        return -1;
    if (verdict != KEY_VALID)
        return refuse_client(c);
    api_login_passed(c, basic.password);
    return give_token(c, &client, err);
}
