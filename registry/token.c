/* registry/token — what a registry takes as proof that Kiln allows something (distribution
 * specification, "Token Authentication"): a JWT (RFC 7519) that lists repositories and actions,
 * signed by ES256.  docker-registry 2.8 wants "aud" to be a string, and finds the key by "kid". */
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "registry/exchange.h"
#include "registry/names.h"

#define TOKEN_MAX   16384 /* bytes: headers of 8 KiB and more are refused by many */
#define OWN_SECONDS 300   /* of a token for one request of Kiln's own */
#define LEEWAY      10    /* seconds that other clocks may be behind */

static const struct {
    enum registry_action action;
    const char *name;
} action_names[] = {{REGISTRY_PULL, "pull"}, {REGISTRY_PUSH, "push"}, {REGISTRY_DELETE, "delete"}};
#define N_ACTIONS (sizeof(action_names) / sizeof(action_names[0]))

const struct es256_key *registry_signer_key(const struct registry_signer *s)
{
    return s->keys ? registry_keys_current(s->keys) : s->key;
}

/* ---- the claims ---- */

static json_t *access_json(const struct registry_access *a)
{
    json_t *actions = json_array();

    for (size_t i = 0; i < N_ACTIONS; i++)
        if (a->actions & action_names[i].action)
            (void)json_array_append_new(actions, json_string(action_names[i].name));
    return json_pack("{s:s, s:s, s:o}", "type", "repository", "name", a->repository, "actions",
                     actions);
}

static json_t *claims_json(const struct registry_signer *s, const struct registry_claims *c)
{
    json_t *access = json_array();
    json_int_t now = c->now / NS_PER_SEC;
    char id[33];

    digest_random_name(id, sizeof(id) - 1);
    for (size_t i = 0; i < c->n_access; i++)
        if (c->access[i].actions)
            (void)json_array_append_new(access, access_json(&c->access[i]));
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:o}", "iss", s->issuer, "aud",
                     s->service, "sub", c->subject, "exp", now + c->seconds, "nbf", now - LEEWAY,
                     "iat", now, "jti", id, "access", access);
}

static int add_part(struct buf *out, json_t *part, struct error *err)
{
    char *text = part ? json_dumps(part, JSON_COMPACT) : NULL;

    json_decref(part);
    if (!text)
        return error_set(err, ERR_SYSTEM, "make a token: out of memory");
    digest_base64url(text, strlen(text), out);
    free(text);
    return 0;
}

int registry_token(const struct registry_signer *s, const struct registry_claims *claims,
                   struct buf *out, struct error *err)
{
    CLEANUP(buf_release) struct buf token = BUF_INIT(TOKEN_MAX);
    const struct es256_key *key = registry_signer_key(s);
    unsigned char signature[ES256_SIGNATURE];

    if (add_part(&token,
                 json_pack("{s:s, s:s, s:s}", "typ", "JWT", "alg", "ES256", "kid", es256_id(key)),
                 err) < 0)
        return -1;
    buf_addc(&token, '.');
    if (add_part(&token, claims_json(s, claims), err) < 0 ||
        buf_check(&token, "a token", err) < 0 ||
        es256_sign(key, token.data, token.len, signature, err) < 0)
        return -1;
    buf_addc(&token, '.');
    digest_base64url(signature, sizeof(signature), &token);
    if (buf_check(&token, "a token", err) < 0)
        return -1;
    buf_add(out, token.data, token.len);
    return buf_check(out, "a token", err);
}

/* ---- scopes ---- */

static unsigned parse_actions(const char *list, size_t len)
{
    unsigned actions = 0;

    while (len > 0) {
        size_t n = 0;

        while (n < len && list[n] != ',')
            n++;
        for (size_t i = 0; i < N_ACTIONS; i++)
            if (strlen(action_names[i].name) == n && memcmp(list, action_names[i].name, n) == 0)
                actions |= action_names[i].action;
        list += n + (n < len);
        len -= n + (n < len);
    }
    return actions;
}

/* "repository:name:pull,push": the name may hold a colon, so the last one divides. */
static bool parse_one(const char *scope, size_t len, struct registry_scope *ret)
{
    const char *name = memchr(scope, ':', len);
    const char *actions = memrchr(scope, ':', len);

    if (!name || actions == name)
        return false;
    name++;
    if (name - scope != 11 || memcmp(scope, "repository:", 11) != 0 ||
        (size_t)(actions - name) >= sizeof(ret->repository))
        return false;
    memcpy(ret->repository, name, (size_t)(actions - name));
    ret->repository[actions - name] = '\0';
    actions++;
    ret->actions = parse_actions(actions, len - (size_t)(actions - scope));
    return ret->actions && registry_repository_is_valid(ret->repository);
}

size_t registry_parse_scope(const char *text, struct registry_scope *ret, size_t max)
{
    size_t n = 0;

    while (*text && n < max) {
        size_t len = strcspn(text, " ");

        n += parse_one(text, len, &ret[n]);
        text += len + strspn(text + len, " ");
    }
    return n;
}

/* ---- Kiln's own requests ---- */

/* Where the repository's name ends in a path of the specification: at the last of these words. */
static size_t repository_length(const char *path)
{
    static const char *const words[] = {"/manifests/", "/blobs/", "/tags/", "/referrers/"};
    size_t end = strcspn(path, "?");

    for (size_t at = end; at > 0; at--)
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            if (strncmp(path + at, words[i], strlen(words[i])) == 0)
                return at;
    return 0;
}

static unsigned actions_of(const char *method)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return REGISTRY_PULL;
    if (strcmp(method, "DELETE") == 0)
        return REGISTRY_PULL | REGISTRY_DELETE;
    return REGISTRY_PULL | REGISTRY_PUSH;
}

int registry_authorize(const struct registry *r, const struct http_request *req,
                       struct argv *headers, struct error *err)
{
    CLEANUP(buf_release) struct buf token = BUF_INIT(TOKEN_MAX);
    const char *path = req->url + strlen(r->url) + strlen("/v2/");
    const char *from = strstr(req->url, "&from=");
    char repository[256];
    struct registry_access access[2];
    struct registry_claims claims = {.subject = "kiln",
                                     .access = access,
                                     .now = clock_now(&clock_system),
                                     .seconds = OWN_SECONDS};

    (void)snprintf(repository, sizeof(repository), "%.*s", (int)repository_length(path), path);
    if (*repository)
        access[claims.n_access++] = (struct registry_access){repository, actions_of(req->method)};
    if (from)
        access[claims.n_access++] =
            (struct registry_access){from + strlen("&from="), REGISTRY_PULL};
    if (registry_token(r->signer, &claims, &token, err) < 0)
        return -1;
    for (size_t i = 0; req->headers && i < req->headers->n; i++)
        argv_push1(headers, req->headers->v[i]);
    argv_pushf(headers, "Authorization: Bearer %s", buf_str(&token));
    return 0;
}
