/* api/keys — API keys and service accounts, for the admins of what they open. */
#include <string.h>

#include "api/call.h"

static const char *const role_names[] = {[ROLE_MEMBER] = "member", [ROLE_ADMIN] = "admin"};

/* The workspace of the call; NULL: the whole account. */
static const char *call_workspace(const struct api_call *c)
{
    return *c->key.workspace ? c->key.workspace : NULL;
}

/* What a kind of key is called in an answer. */
struct words {
    enum key_kind kind;
    const char *id, *secret;
    const char *what; /* for messages */
};
static const struct words api_key_words = {KEY_API, "id", "apiKey", "API key"};
static const struct words client_words = {KEY_CLIENT, "client_id", "client_secret",
                                          "service account"};

static json_t *key_json(const struct words *w, const struct api_key *k)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:o, s:o, s:b}", w->id, k->id, "name", k->label,
                     "role", role_names[k->role], "accountId", k->account, "workspace",
                     *k->workspace ? k->workspace : NULL, "createdAt", api_json_time(k->created),
                     "expiresAt", api_json_time(k->expires), "revoked", k->revoked != 0);
}

/* ---- list ---- */

struct listing {
    const struct words *words;
    json_t *array;
    int bad;
};

static void add_key(void *self, const struct api_key *k)
{
    struct listing *l = self;

    if (k->kind == l->words->kind)
        l->bad |= json_array_append_new(l->array, key_json(l->words, k));
}

static int list(struct api_call *c, const struct words *words, struct error *err)
{
    json_auto_t *array = json_array();
    struct listing l = {.words = words, .array = array};

    if (state_key_list(c->config->state, c->key.account, call_workspace(c), add_key, &l, err) < 0 ||
        api_json_check(l.bad, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, array, err);
}

/* ---- create ---- */

/* name, role ("member" if it is left out) and expiresIn (seconds).  False: refused. */
static bool read_draft(struct api_call *c, const json_t *body, struct key_draft *draft)
{
    const char *role = json_string_value(json_object_get(body, "role"));
    json_t *expires = json_object_get(body, "expiresIn");

    draft->label = json_string_value(json_object_get(body, "name"));
    if (!draft->label || !*draft->label || strlen(draft->label) >= NAME_SIZE) {
        api_refuse(c->resp, 400, "invalid_name", "The field name must have 1 to %d bytes.",
                   NAME_SIZE - 1);
        return false;
    }
    if (role && strcmp(role, "member") != 0 && strcmp(role, "admin") != 0) {
        api_refuse(c->resp, 400, "invalid_role", "The field role is \"member\" or \"admin\".");
        return false;
    }
    draft->role = role && strcmp(role, "admin") == 0 ? ROLE_ADMIN : ROLE_MEMBER;
    draft->seconds = json_integer_value(expires);
    if (expires &&
        (!json_is_integer(expires) || draft->seconds < 0 || draft->seconds > 3650LL * 86400)) {
        api_refuse(c->resp, 400, "invalid_expiry",
                   "The field expiresIn is a number of seconds, of ten years at most; 0: never.");
        return false;
    }
    return true;
}

static int create(struct api_call *c, const struct words *words, struct error *err)
{
    json_auto_t *body = api_body(c);
    json_auto_t *answer = NULL;
    struct key_draft draft = {
        .account = c->key.account, .workspace = call_workspace(c), .kind = words->kind};
    char text[API_KEY_TEXT];
    struct api_key key;

    if (!body || !read_draft(c, body, &draft))
        return 0;
    if (state_key_create(c->config->state, &draft, text, &key, err) < 0)
        return -1;
    answer = key_json(words, &key);
    if (api_json_check(!answer || json_object_set_new(answer, words->secret, json_string(text)),
                       err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

/* ---- revoke ---- */

static int revoke_key(struct api_call *c, const struct words *words, struct error *err)
{
    json_auto_t *answer = NULL;
    enum presence presence;

    if (state_key_revoke(c->config->state, c->key.account, call_workspace(c), c->args[0], &presence,
                         err) < 0)
        return -1;
    if (presence == ABSENT) {
        api_refuse(c->resp, 404, "not_found", "No valid %s has that id here.", words->what);
        return 0;
    }
    answer = json_pack("{s:s, s:b}", words->id, c->args[0], "revoked", 1);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

int api_list_keys(struct api_call *c, struct error *err)
{
    return list(c, &api_key_words, err);
}

int api_post_key(struct api_call *c, struct error *err)
{
    return create(c, &api_key_words, err);
}

int api_delete_key(struct api_call *c, struct error *err)
{
    return revoke_key(c, &api_key_words, err);
}

int api_list_service_accounts(struct api_call *c, struct error *err)
{
    return list(c, &client_words, err);
}

int api_post_service_account(struct api_call *c, struct error *err)
{
    return create(c, &client_words, err);
}

int api_delete_service_account(struct api_call *c, struct error *err)
{
    return revoke_key(c, &client_words, err);
}
