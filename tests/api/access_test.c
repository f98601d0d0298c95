/* Who may do what: every route, asked by every kind of caller, for every workspace. */
#include "fixture.h"

#include <string.h>

#include "api/route.h"
#include "base/digest.h"

/* acme, hooli and globex are one account's, initech is another's. */
enum caller {
    NOBODY,
    MEMBER,          /* of acme */
    ADMIN,           /* of acme */
    STRANGER,        /* admin of initech */
    ACCOUNT_MEMBER,  /* of acme's account */
    ACCOUNT_ADMIN,   /* of acme's account */
    FOREIGN_ACCOUNT, /* admin of initech's account */
    CALLERS,
};
static const char *const caller_names[CALLERS] = {"nobody",
                                                  "a member",
                                                  "an admin",
                                                  "a stranger",
                                                  "an account's member",
                                                  "an account's admin",
                                                  "a foreign account"};

static const char *const workspaces[] = {NULL, "acme", "hooli", "globex", "nosuch"};
#define N_WORKSPACES (sizeof(workspaces) / sizeof(workspaces[0]))

/* Whom a route is for: the rule, written down a second time, so that one that is added, or changed,
 * is thought about here as well. */
enum access {
    OPEN,            /* everybody; what authority it needs comes with the request */
    MEMBERS,         /* any key of the workspace or its account */
    ADMINS,          /* an admin's */
    ACCOUNT_MEMBERS, /* any key; one of an account need not name a workspace */
    ACCOUNT_ADMINS,  /* the same of an admin's */
};

static const struct row {
    const char *route;
    enum access access;
} rows[] = {
    {"GET /", OPEN},
    {"GET /page/{file}", OPEN},
    {"GET /healthz", OPEN},
    {"GET /readyz", OPEN},
    {"PUT /uploads/{workspace}/{object}", OPEN},
    {"GET /v0/openapi.json", OPEN},
    {"GET /v0/builds", MEMBERS},
    {"GET /v0/builds/{build}", MEMBERS},
    {"GET /v0/images", MEMBERS},
    {"POST /v0/images", MEMBERS},
    {"DELETE /v0/images", MEMBERS},
    {"GET /v0/images/{type}/{image}", MEMBERS},
    {"GET /v0/images/{type}/{image}/tags", MEMBERS},
    {"GET /v0/images/{type}/{image}/dockerfile", MEMBERS},
    {"GET /v0/images/{type}/{image}/share", MEMBERS},
    {"POST /v0/images/{type}/{image}/share", ADMINS},
    {"DELETE /v0/images/{type}/{image}/share/{target}", ADMINS},
    {"GET /v0/pending-image-shares", MEMBERS},
    {"POST /v0/pending-image-shares/{id}/accept", ADMINS},
    {"POST /v0/pending-image-shares/{id}/decline", ADMINS},
    {"GET /v0/images/{type}/{image}/provenance", MEMBERS},
    {"GET /v0/images/{type}/{image}/sbom", MEMBERS},
    {"DELETE /v0/images/{type}/{image}", MEMBERS},
    {"DELETE /v0/images/{type}/{image}/tags/{tag}", MEMBERS},
    {"GET /v0/models", MEMBERS},
    {"GET /v0/observability/logs", MEMBERS},
    {"POST /v0/oauth/token", OPEN},
    {"POST /v0/plan", MEMBERS},
    {"GET /v0/registry/token", OPEN},
    {"GET /v0/workspaces", ACCOUNT_MEMBERS},
    {"POST /v0/workspaces", ACCOUNT_ADMINS},
    {"GET /v0/workspaces/{workspace}", ACCOUNT_MEMBERS},
    {"DELETE /v0/workspaces/{workspace}", ACCOUNT_ADMINS},
    {"GET /v0/audit", ACCOUNT_ADMINS},
    {"GET /v0/api_keys", ACCOUNT_ADMINS},
    {"POST /v0/api_keys", ACCOUNT_ADMINS},
    {"DELETE /v0/api_keys/{id}", ACCOUNT_ADMINS},
    {"GET /v0/service_accounts", ACCOUNT_ADMINS},
    {"POST /v0/service_accounts", ACCOUNT_ADMINS},
    {"DELETE /v0/service_accounts/{id}", ACCOUNT_ADMINS},
    {"DELETE /v0/volume_templates/{name}", MEMBERS},
    {"GET /v0/volume_templates/{name}/sharing", MEMBERS},
    {"DELETE /v0/volume_templates/{name}/versions/{version}", MEMBERS},
    {"POST /v0/volumes", MEMBERS},
    {"PUT /v0/volumes/{name}", MEMBERS},
    {"DELETE /v0/volumes/{name}", MEMBERS},
    {"GET /v0/{kind}", MEMBERS},
    {"POST /v0/{kind}", MEMBERS},
    {"GET /v0/{kind}/{name}", MEMBERS},
    {"PUT /v0/{kind}/{name}", MEMBERS},
    {"DELETE /v0/{kind}/{name}", MEMBERS},
    {"GET /v0/{kind}/by-external-id/{externalId}", MEMBERS},
    {"GET /v0/{kind}/{name}/revisions", MEMBERS},
    {"GET /v0/{kind}/{name}/build-logs", MEMBERS},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

struct world {
    struct fixture *f;
    char keys[CALLERS][API_KEY_TEXT];
    struct buf *seen; /* answers, one after the other */
};

static void make_key(struct world *w, enum caller who, const char *account, const char *workspace,
                     enum key_role role)
{
    const struct key_draft draft = {.account = account, .workspace = workspace, .role = role};
    struct api_key key;
    struct error err;

    assert_int_equal(state_key_create(w->f->config.state, &draft, w->keys[who], &key, &err), 0);
}

static void make_world(struct world *w)
{
    struct state *s = w->f->config.state;
    struct error err;
    bool made;

    assert_int_equal(state_account_ensure(s, "foreign", &err), 0);
    assert_int_equal(state_workspace_create(s, "default", "hooli", &made, &err), 0);
    assert_int_equal(state_workspace_create(s, "foreign", "initech", &made, &err), 0);
    make_key(w, MEMBER, NULL, "acme", ROLE_MEMBER);
    make_key(w, ADMIN, NULL, "acme", ROLE_ADMIN);
    make_key(w, STRANGER, NULL, "initech", ROLE_ADMIN);
    make_key(w, ACCOUNT_MEMBER, "default", NULL, ROLE_MEMBER);
    make_key(w, ACCOUNT_ADMIN, "default", NULL, ROLE_ADMIN);
    make_key(w, FOREIGN_ACCOUNT, "foreign", NULL, ROLE_ADMIN);
}

#define LOGS       "/v0/observability/logs" /* says whose by a parameter */
#define LOGS_QUERY "?resourceType=sandboxes&workloadIds={name}"

/* What stands for the {words} of a pattern. */
struct words {
    const char *kind, *name, *build, *id;
};

static const char *word_for(const char *pattern, const struct words *w)
{
    static const struct {
        const char *word, *text;
    } known[] = {{"{type}", "sandbox"}, {"{workspace}", "acme"}, {"{tag}", "latest"},
                 {"{target}", "acme"},  {"{version}", "1"},      {"{file}", "main.js"}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strncmp(pattern, known[i].word, strlen(known[i].word)) == 0)
            return known[i].text;
    if (strncmp(pattern, "{kind}", 6) == 0)
        return w->kind;
    if (strncmp(pattern, "{build}", 7) == 0)
        return w->build;
    return strncmp(pattern, "{id}", 4) == 0 ? w->id : w->name;
}

static void fill(const char *pattern, const struct words *w, char *out, size_t size)
{
    size_t n = 0;

    while (*pattern && n + 1 < size) {
        if (*pattern != '{') {
            out[n++] = *pattern++;
            continue;
        }
        n += (size_t)snprintf(out + n, size - n, "%s", word_for(pattern, w));
        assert_true(n < size);
        pattern += strcspn(pattern, "}") + 1;
    }
    out[n] = '\0';
}

/* Calls each for every route, those of {kind} for every kind. */
static void for_every_route(struct world *w, struct words words,
                            void (*each)(struct world *w, const struct route *r,
                                         const char *target))
{
    const struct kind *kind;
    char target[256];

    for (size_t r = 0; r < api_routes_count; r++) {
        const char *pattern = api_routes[r].pattern;

        for (size_t k = 0; (kind = api_kind_at(k)) && (k == 0 || strstr(pattern, "{kind}")); k++) {
            words.kind = kind->plural;
            fill(strcmp(pattern, LOGS) == 0 ? LOGS LOGS_QUERY : pattern, &words, target,
                 sizeof(target));
            each(w, &api_routes[r], target);
        }
    }
}

static const struct row *row_of(const struct route *r)
{
    char route[160];

    (void)snprintf(route, sizeof(route), "%s %s", r->method, r->pattern);
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].route, route) == 0)
            return &rows[i];
    fail_msg("%s has no row in this test: whom is it for?", route);
    return NULL;
}

static void test_every_row_is_a_route(void **state)
{
    (void)state;
    for (size_t r = 0; r < api_routes_count; r++)
        (void)row_of(&api_routes[r]);
    assert_int_equal(N_ROWS, api_routes_count);
}

static bool is_one_of(const char *workspace, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(workspace, *list) == 0)
            return true;
    return false;
}

/* What the key alone decides: 0 when it lets the request through. */
static int expected(enum access access, enum caller who, const char *named)
{
    static const char *const of_default[] = {"acme", "hooli", "globex", NULL};
    const bool of_account = who == ACCOUNT_MEMBER || who == ACCOUNT_ADMIN || who == FOREIGN_ACCOUNT;
    const bool for_account = access == ACCOUNT_MEMBERS || access == ACCOUNT_ADMINS;
    const bool for_admins = access == ADMINS || access == ACCOUNT_ADMINS;

    if (access == OPEN)
        return 0;
    if (who == NOBODY)
        return 401;
    if (of_account && !named && !for_account)
        return 400;
    if (named && who == FOREIGN_ACCOUNT)
        return 403;
    if (named && of_account && !is_one_of(named, of_default))
        return 403;
    if (named && who == STRANGER)
        return 403;
    if (named && !of_account && strcmp(named, "acme") != 0)
        return 403;
    if (for_admins && (who == MEMBER || who == ACCOUNT_MEMBER))
        return 403;
    return 0;
}

/* The whole answer may still be a refusal for other reasons: of a name that is not there, or of a
 * workspace in the path, which the handlers judge. */
static void check(struct world *w, const struct route *r, const char *target, enum caller who,
                  const char *named)
{
    const enum access access = row_of(r)->access;
    int wanted = expected(access, who, named);
    const struct reply *answer;

    w->f->headers[API_HEADER_WORKSPACE] = named;
    if (who == NOBODY) {
        w->f->headers[API_HEADER_AUTHORIZATION] = NULL;
        answer = ask(w->f, r->method, target, "{}");
    } else {
        answer = ask_as(w->f, w->keys[who], r->method, target, "{}");
    }
    if (wanted ? answer->status == wanted
               : answer->status != 500 && (access == OPEN || answer->status != 401))
        return;
    fail_msg("%s %s by %s for %s: %d instead of %d: %s", r->method, target, caller_names[who],
             named ? named : "no workspace", answer->status, wanted, answer->text);
}

static void check_all_callers(struct world *w, const struct route *r, const char *target)
{
    for (size_t who = 0; who < CALLERS; who++)
        for (size_t n = 0; n < N_WORKSPACES; n++)
            check(w, r, target, (enum caller)who, workspaces[n]);
}

static void test_every_route_lets_in_whom_it_should(void **state)
{
    const struct words nothing = {.name = "x", .build = "x", .id = "x"};
    struct world w = {.f = fixture_of(state)};

    make_world(&w);
    (void)ask(w.f, "POST", "/v0/sandboxes?upload=true", "{\"metadata\":{\"name\":\"kept\"}}");
    for_every_route(&w, nothing, check_all_callers);
}

/* ---- what other workspaces see of one ---- */

#define SECRET "hush-hush"  /* in what acme has, and in no request */
#define THING  "\"marked\"" /* the name of it all, as lists have it */

static void make_things(struct fixture *f)
{
    const struct kind *kind;
    char target[80];
    struct build b;

    for (size_t k = 0; (kind = api_kind_at(k)) != NULL; k++) {
        (void)snprintf(target, sizeof(target), "/v0/%s", kind->plural);
        assert_int_equal(ask(f, "POST", target,
                             "{\"metadata\":{\"name\":\"marked\",\"externalId\":\"marked\","
                             "\"labels\":{\"say\":\"" SECRET "\"}}}")
                             ->status,
                         200);
    }
    b = claim(f); /* of the volume */
    succeed_as(f, &b, "- 1024");
    (void)ask(f, "PUT",
              upload_target(ask(f, "POST", "/v0/images?upload=true",
                                "{\"name\":\"marked\",\"resourceType\":\"sandbox\"}")),
              "PK");
    b = claim(f);
    say(f, &b, LOG_INFO, SECRET);
    succeed(f, &b);
    f->now += 60 * NS_PER_SEC;
}

static void check_strangers(struct world *w, const struct route *r, const char *target)
{
    const bool names_one = strchr(r->pattern, '{') && strcmp(r->pattern, "/v0/{kind}") != 0;
    const bool repeats = strcmp(r->pattern, LOGS) == 0; /* the name that was asked for */
    const char *const keys[] = {w->keys[STRANGER], w->f->other_key, w->keys[FOREIGN_ACCOUNT]};

    if (r->open)
        return;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct reply *answer;

        w->f->headers[API_HEADER_WORKSPACE] =
            keys[i] == w->keys[FOREIGN_ACCOUNT] ? "initech" : NULL;
        answer = ask_as(w->f, keys[i], r->method, target, "{}");
        if (strstr(answer->text, SECRET) ||
            (answer->status < 400 && (names_one || (!repeats && strstr(answer->text, THING)))))
            fail_msg("%s %s by another workspace: %d: %s", r->method, target, answer->status,
                     answer->text);
    }
}

static void keep_answer(struct world *w, const struct route *r, const char *target)
{
    w->f->headers[API_HEADER_WORKSPACE] = NULL;
    if (strcmp(r->method, "GET") == 0 && !r->open && !strstr(target, "plan"))
        buf_addf(w->seen, "%s: %s\n", target, ask_as(w->f, w->f->key, "GET", target, NULL)->text);
}

static void test_no_route_shows_or_changes_what_is_anothers(void **state)
{
    struct fixture *f = fixture_of(state);
    CLEANUP(buf_release) struct buf before = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf after = BUF_INIT(1 << 20);
    struct world w = {.f = f, .seen = &before};
    struct words words = {.name = "marked"};

    make_world(&w);
    make_things(f);
    words.build = text_at(ask(f, "GET", "/v0/builds", NULL), "data.0.id");
    words.id = text_at(ask(f, "GET", "/v0/api_keys", NULL), "0.id");
    for_every_route(&w, words, keep_answer);
    assert_non_null(strstr(buf_str(&before), SECRET));
    for_every_route(&w, words, check_strangers);
    w.seen = &after;
    for_every_route(&w, words, keep_answer);
    assert_string_equal(buf_str(&after), buf_str(&before));
    assert_int_equal(f->deleted.n, 0);
}

/* ---- what admins do ---- */

static void test_a_key_that_an_admin_made_works_until_it_is_revoked(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *made = ask(f, "POST", "/v0/api_keys", "{\"name\":\"ci\",\"expiresIn\":60}");
    char path[80];

    assert_int_equal(made->status, 200);
    assert_string_equal(text_at(made, "role"), "member");
    assert_string_equal(text_at(made, "workspace"), "acme");
    assert_int_equal(ask_as(f, text_at(made, "apiKey"), "GET", "/v0/images", NULL)->status, 200);
    assert_error(ask_as(f, text_at(made, "apiKey"), "GET", "/v0/api_keys", NULL), 403, "forbidden");
    assert_null(strstr(ask(f, "GET", "/v0/api_keys", NULL)->text, text_at(made, "apiKey")));
    (void)snprintf(path, sizeof(path), "/v0/api_keys/%s", text_at(made, "id"));
    assert_error(ask_as(f, f->other_key, "DELETE", path, NULL), 404, "not_found");
    assert_int_equal(ask(f, "DELETE", path, NULL)->status, 200);
    assert_error(ask(f, "DELETE", path, NULL), 404, "not_found");
    assert_error(ask_as(f, text_at(made, "apiKey"), "GET", "/v0/images", NULL), 401,
                 "unauthorized");
}

static void test_a_key_ends_with_its_time(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *made = ask(f, "POST", "/v0/api_keys", "{\"name\":\"ci\",\"expiresIn\":60}");

    f->now += 59 * NS_PER_SEC;
    assert_int_equal(ask_as(f, text_at(made, "apiKey"), "GET", "/v0/images", NULL)->status, 200);
    f->now += NS_PER_SEC;
    assert_error(ask_as(f, text_at(made, "apiKey"), "GET", "/v0/images", NULL), 401,
                 "unauthorized");
}

static void test_what_is_no_key_is_refused(void **state)
{
    static const struct {
        const char *body, *error;
    } cases[] = {{"{}", "invalid_name"},
                 {"{\"name\":\"\"}", "invalid_name"},
                 {"{\"name\":\"a\",\"role\":\"root\"}", "invalid_role"},
                 {"{\"name\":\"a\",\"expiresIn\":-1}", "invalid_expiry"},
                 {"{\"name\":\"a\",\"expiresIn\":\"1\"}", "invalid_expiry"}};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(ask(f, "POST", "/v0/api_keys", cases[i].body), 400, cases[i].error);
}

/* ---- workspaces ---- */

static void test_an_account_makes_and_deletes_workspaces(void **state)
{
    struct world w = {.f = fixture_of(state)};
    const char *key = w.keys[ACCOUNT_ADMIN];
    struct fixture *f = w.f;
    struct reply *list;

    make_world(&w);
    assert_int_equal(ask_as(f, key, "POST", "/v0/workspaces", "{\"name\":\"new\"}")->status, 200);
    assert_error(ask_as(f, key, "POST", "/v0/workspaces", "{\"name\":\"new\"}"), 409,
                 "workspace_exists");
    assert_error(ask_as(f, key, "POST", "/v0/workspaces", "{\"name\":\"initech\"}"), 409,
                 "workspace_exists");
    assert_error(ask_as(f, key, "POST", "/v0/workspaces", "{\"name\":\"No\"}"), 400,
                 "invalid_name");
    list = ask_as(f, key, "GET", "/v0/workspaces", NULL);
    assert_int_equal(json_array_size(list->json), 4); /* acme, globex, hooli, new */
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/workspaces", NULL)->json), 1);
    assert_error(ask(f, "POST", "/v0/workspaces", "{\"name\":\"mine\"}"), 403, "forbidden");
    assert_error(ask_as(f, key, "GET", "/v0/workspaces/initech", NULL), 404, "workspace not found");
    assert_int_equal(ask_as(f, key, "DELETE", "/v0/workspaces/new", NULL)->status, 200);
    assert_error(ask_as(f, key, "GET", "/v0/workspaces/new", NULL), 404, "workspace not found");
    (void)ask(f, "POST", "/v0/sandboxes?upload=true", "{\"metadata\":{\"name\":\"s\"}}");
    assert_error(ask_as(f, key, "DELETE", "/v0/workspaces/acme", NULL), 409, "workspace_in_use");
    assert_int_equal(ask_as(f, key, "DELETE", "/v0/workspaces/globex", NULL)->status, 200);
    assert_error(ask_as(f, f->other_key, "GET", "/v0/images", NULL), 401, "unauthorized");
}

/* ---- service accounts ---- */

static void set_basic(struct fixture *f, const char *user, const char *password)
{
    static char header[512];
    struct buf plain = BUF_INIT(300);
    struct buf coded = BUF_INIT(450);

    buf_addf(&plain, "%s:%s", user, password);
    digest_base64(buf_str(&plain), plain.len, &coded);
    (void)snprintf(header, sizeof(header), "Basic %s", buf_str(&coded));
    f->headers[API_HEADER_AUTHORIZATION] = header;
    buf_release(&plain);
    buf_release(&coded);
}

#define GRANT "{\"grant_type\":\"client_credentials\"}"

static void test_a_service_account_gets_a_token_for_two_hours(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *client = ask(f, "POST", "/v0/service_accounts", "{\"name\":\"ci\"}");
    const char *id = text_at(client, "client_id");
    const char *secret = text_at(client, "client_secret");
    struct reply *token;
    char path[80];

    assert_int_equal(client->status, 200);
    assert_error(ask_as(f, secret, "GET", "/v0/images", NULL), 401, "unauthorized");
    set_basic(f, id, secret);
    token = ask(f, "POST", "/v0/oauth/token", GRANT);
    assert_int_equal(token->status, 200);
    assert_int_equal(json_integer_value(at(token, "expires_in")), 7200);
    assert_int_equal(ask(f, "POST", "/v0/oauth/token", "grant_type=client_credentials")->status,
                     200);
    assert_int_equal(ask_as(f, text_at(token, "access_token"), "GET", "/v0/images", NULL)->status,
                     200);
    f->now += 7200 * NS_PER_SEC;
    assert_error(ask_as(f, text_at(token, "access_token"), "GET", "/v0/images", NULL), 401,
                 "unauthorized");
    set_basic(f, id, secret);
    token = ask(f, "POST", "/v0/oauth/token", GRANT);
    (void)snprintf(path, sizeof(path), "/v0/service_accounts/%s", id);
    assert_int_equal(ask_as(f, f->key, "DELETE", path, NULL)->status, 200);
    assert_error(ask_as(f, text_at(token, "access_token"), "GET", "/v0/images", NULL), 401,
                 "unauthorized");
    set_basic(f, id, secret);
    assert_error(ask(f, "POST", "/v0/oauth/token", GRANT), 401, "invalid_client");
}

static void test_other_grants_and_clients_are_refused(void **state)
{
    struct fixture *f = fixture_of(state);

    set_basic(f, "nobody", "secret");
    assert_error(ask(f, "POST", "/v0/oauth/token", GRANT), 401, "invalid_client");
    assert_error(ask(f, "POST", "/v0/oauth/token", "{\"grant_type\":\"password\"}"), 400,
                 "unsupported_grant_type");
    assert_error(ask(f, "POST", "/v0/oauth/token", "{}"), 400, "unsupported_grant_type");
    f->headers[API_HEADER_AUTHORIZATION] = "Basic bm9jb2xvbg==";
    assert_error(ask(f, "POST", "/v0/oauth/token", GRANT), 401, "invalid_client");
    f->headers[API_HEADER_AUTHORIZATION] = NULL;
    assert_error(ask(f, "POST", "/v0/oauth/token", GRANT), 401, "invalid_client");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_a_route),
        TEST(test_every_route_lets_in_whom_it_should),
        TEST(test_no_route_shows_or_changes_what_is_anothers),
        TEST(test_a_key_that_an_admin_made_works_until_it_is_revoked),
        TEST(test_a_key_ends_with_its_time),
        TEST(test_what_is_no_key_is_refused),
        TEST(test_an_account_makes_and_deletes_workspaces),
        TEST(test_a_service_account_gets_a_token_for_two_hours),
        TEST(test_other_grants_and_clients_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
