/* Who is let in, and which version of the API they get. */
#include "fixture.h"

#include <string.h>

static void set_bearer(struct fixture *f, enum api_header header, const char *key)
{
    f->headers[API_HEADER_AUTHORIZATION] = NULL;
    f->headers[API_HEADER_X_AUTHORIZATION] = NULL;
    (void)snprintf(f->authorization, sizeof(f->authorization), "Bearer %s", key);
    f->headers[header] = f->authorization;
}

static void test_a_key_is_taken_from_either_header(void **state)
{
    struct fixture *f = fixture_of(state);

    set_bearer(f, API_HEADER_AUTHORIZATION, f->key);
    assert_int_equal(ask(f, "GET", "/v0/images", NULL)->status, 200);
    set_bearer(f, API_HEADER_X_AUTHORIZATION, f->key);
    assert_int_equal(ask(f, "GET", "/v0/images", NULL)->status, 200);
    f->headers[API_HEADER_AUTHORIZATION] = "Basic cHJveHk6eA=="; /* a proxy's, not ours */
    assert_int_equal(ask(f, "GET", "/v0/images", NULL)->status, 200);
}

static void test_no_key_no_answer(void **state)
{
    static const char *const headers[] = {NULL,           "",        "Bearer",         "Bearer ",
                                          "Bearer wrong", "Basic x", "Bearer bl_short"};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct reply *r;

        f->headers[API_HEADER_AUTHORIZATION] = headers[i];
        r = ask(f, "GET", "/v0/images", NULL);
        assert_error(r, 401, "unauthorized");
        assert_string_equal(api_response_find(&r->resp, "WWW-Authenticate"), "Bearer");
    }
}

static void test_a_revoked_key_is_refused(void **state)
{
    struct fixture *f = fixture_of(state);
    char text[API_KEY_TEXT];
    enum presence presence;
    struct api_key key;
    struct error err;

    assert_int_equal(state_key_create(f->config.state,
                                      &(struct key_draft){
                                          .workspace = "acme", .label = "old", .role = ROLE_ADMIN},
                                      text, &key, &err),
                     0);
    assert_int_equal(ask_as(f, text, "GET", "/v0/images", NULL)->status, 200);
    assert_int_equal(state_key_revoke(f->config.state, NULL, NULL, key.id, &presence, &err), 0);
    assert_error(ask_as(f, text, "GET", "/v0/images", NULL), 401, "unauthorized");
}

static void test_a_key_opens_its_own_workspace_only(void **state)
{
    struct fixture *f = fixture_of(state);

    f->headers[API_HEADER_WORKSPACE] = "acme";
    assert_int_equal(ask(f, "GET", "/v0/images?workspace=acme", NULL)->status, 200);
    assert_error(ask(f, "GET", "/v0/images?workspace=globex", NULL), 403, "forbidden");
    f->headers[API_HEADER_WORKSPACE] = "globex";
    assert_error(ask(f, "GET", "/v0/images", NULL), 403, "forbidden");
    assert_error(ask(f, "GET", "/v0/images?workspace=acme", NULL), 403, "forbidden");
    f->headers[API_HEADER_WORKSPACE] = "";
    assert_int_equal(ask(f, "GET", "/v0/images", NULL)->status, 200);
}

static void test_workspaces_do_not_see_each_other(void **state)
{
    struct fixture *f = fixture_of(state);
    static const char *const hidden[] = {"/v0/sandboxes/s", "/v0/images/sandbox/s",
                                         "/v0/sandboxes/s/build-logs"};

    (void)ask(f, "POST", "/v0/sandboxes?upload=true", "{\"metadata\":{\"name\":\"s\"}}");
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
        assert_int_equal(ask(f, "GET", hidden[i], NULL)->status, 200);
        assert_int_equal(ask_as(f, f->other_key, "GET", hidden[i], NULL)->status, 404);
    }
    assert_int_equal(ask_as(f, f->other_key, "DELETE", "/v0/sandboxes/s", NULL)->status, 404);
    assert_int_equal(ask_as(f, f->other_key, "DELETE", "/v0/images/sandbox/s", NULL)->status, 404);
    assert_int_equal(ask(f, "GET", "/v0/sandboxes/s", NULL)->status, 200);
}

static void test_health_needs_no_key(void **state)
{
    struct fixture *f = fixture_of(state);

    f->headers[API_HEADER_AUTHORIZATION] = NULL;
    assert_string_equal(text_at(ask(f, "GET", "/healthz", NULL), "status"), "ok");
}

static void test_the_workspace_of_the_key_is_shown(void **state)
{
    struct fixture *f = fixture_of(state);

    assert_string_equal(text_at(ask(f, "GET", "/v0/workspaces/acme", NULL), "name"), "acme");
    assert_error(ask(f, "GET", "/v0/workspaces/globex", NULL), 403, "forbidden");
}

static void test_an_unknown_version_is_refused(void **state)
{
    struct fixture *f = fixture_of(state);

    f->headers[API_HEADER_VERSION] = "2027-01-01";
    assert_error(ask(f, "GET", "/v0/images", NULL), 400, "invalid_api_version");
    f->headers[API_HEADER_VERSION] = "2026-04-2";
    assert_error(ask(f, "GET", "/v0/images", NULL), 400, "invalid_api_version");
}

/* Bare arrays before 2026-04-28; images are bare before 2026-09-22. */
static void test_lists_have_an_envelope_by_version(void **state)
{
    static const struct {
        const char *target;
        bool enveloped;
    } cases[] = {{"/v0/sandboxes", true}, {"/v0/agents", true},  {"/v0/functions?limit=200", true},
                 {"/v0/jobs", true},      {"/v0/images", false}, {"/v0/models?limit=200", true}};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply *r;

        f->headers[API_HEADER_VERSION] = "2026-04-28";
        r = ask(f, "GET", cases[i].target, NULL);
        assert_int_equal(r->status, 200);
        assert_int_equal(json_is_array(cases[i].enveloped ? at(r, "data") : r->json), 1);
        assert_int_equal(json_is_object(at(r, "meta")), cases[i].enveloped);
        f->headers[API_HEADER_VERSION] = "2026-04-16";
        assert_true(json_is_array(ask(f, "GET", cases[i].target, NULL)->json));
        f->headers[API_HEADER_VERSION] = NULL;
        assert_true(json_is_array(ask(f, "GET", cases[i].target, NULL)->json));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_key_is_taken_from_either_header), TEST(test_no_key_no_answer),
        TEST(test_a_revoked_key_is_refused),          TEST(test_a_key_opens_its_own_workspace_only),
        TEST(test_workspaces_do_not_see_each_other),  TEST(test_health_needs_no_key),
        TEST(test_the_workspace_of_the_key_is_shown), TEST(test_an_unknown_version_is_refused),
        TEST(test_lists_have_an_envelope_by_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
