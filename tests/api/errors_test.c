/* What a client reads when it does not get what it asked for. */
#include "fixture.h"

#include <string.h>

#include "base/fs.h"

static void test_an_unknown_url_is_not_found(void **state)
{
    static const char *const targets[] = {"/page",
                                          "/v0",
                                          "/v1/images",
                                          "/v0/imagesx",
                                          "/v0/images/sandbox",
                                          "/v0/images/sandbox/a/b",
                                          "/v0/drives",
                                          "/v0//images",
                                          "/v0/sandboxes/a/logs",
                                          "/uploads/a"};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        assert_error(ask(f, "GET", targets[i], NULL), 404, "not_found");
}

static void test_a_wrong_method_says_which_are_right(void **state)
{
    static const struct {
        const char *method, *target, *allow;
    } cases[] = {
        {"GET", "/uploads/acme/abc", "PUT"},
        {"POST", "/uploads/acme/abc?signature=secret", "PUT"},
        {"DELETE", "/uploads/acme/abc", "PUT"},
        {"PUT", "/v0/images", "GET, HEAD, POST, DELETE"},
        {"PATCH", "/v0/sandboxes/x", "GET, HEAD, PUT, DELETE"},
        {"OPTIONS", "/healthz", "GET, HEAD"},
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply *r = ask(f, cases[i].method, cases[i].target, NULL);

        assert_error(r, 405, "method_not_allowed");
        assert_string_equal(api_response_find(&r->resp, "Allow"), cases[i].allow);
        assert_null(strstr(r->text, "secret"));
    }
}

static void test_head_is_answered_as_get(void **state)
{
    assert_int_equal(ask(fixture_of(state), "HEAD", "/v0/images", NULL)->status, 200);
}

static void test_bad_json_says_where(void **state)
{
    static const struct {
        const char *body, *where;
    } cases[] = {
        {NULL, "line 1, column 0"},
        {"", "line 1, column 0"},
        {"{\"a\":1", "line 1, column 6"},
        {"{\n\"a\":\n}", "line 3"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":\"\xff\"}", "line 1"},
        {"{\"a\":\"\\u0000\"}", "line 1"},
        {"[]", "object"},
        {"7", "line 1"},
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply *r = ask(f, "POST", "/v0/images?upload=true", cases[i].body);

        assert_error(r, 400, "invalid_json");
        assert_non_null(strstr(text_at(r, "message"), cases[i].where));
        assert_error(ask(f, "PUT", "/v0/agents/a", cases[i].body), 400, "invalid_json");
    }
}

/* A job whose spec.x is nested so that the whole body has depth levels. */
static struct reply *post_deep(struct fixture *f, int depth)
{
    CLEANUP(buf_release) struct buf body = BUF_INIT(1 << 20);

    buf_adds(&body, "{\"metadata\":{\"name\":\"a\",\"x\":\"\\\"[[[[\"},\"spec\":{\"x\":");
    for (int i = 2; i < depth; i++)
        buf_addc(&body, '[');
    for (int i = 2; i < depth; i++)
        buf_addc(&body, ']');
    buf_adds(&body, "}}");
    return ask(f, "POST", "/v0/jobs", buf_str(&body));
}

static void test_json_may_be_100_levels_deep(void **state)
{
    struct fixture *f = fixture_of(state);

    assert_error(post_deep(f, 101), 400, "invalid_json");
    assert_error(post_deep(f, 100000), 400, "invalid_json");
    assert_int_equal(post_deep(f, 100)->status, 200);
    assert_int_equal(ask(f, "GET", "/v0/jobs/a", NULL)->status, 200);
}

static void test_a_failure_inside_stays_inside(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r =
        ask(f, "POST", "/v0/images?upload=true", "{\"name\":\"a\",\"resourceType\":\"sandbox\"}");
    struct error err;

    /* The store's directory is gone: the disk's fault, not the client's. */
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir, &err), 0);
    r = ask(f, "PUT", upload_target(r), "PK");
    assert_error(r, 500, "internal_error");
    assert_null(strstr(r->text, f->dir));
    assert_non_null(strstr(buf_str(&f->log), "error: upload"));
}

static void test_urls_need_a_host_or_a_public_url(void **state)
{
    static const char *const hosts[] = {NULL, "", "a b", "evil\"", "x/y", "h?x"};
    static const char body[] = "{\"name\":\"a\",\"resourceType\":\"sandbox\"}";
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        f->headers[API_HEADER_HOST] = hosts[i];
        assert_error(ask(f, "POST", "/v0/images?upload=true", body), 400, "invalid_host");
    }
    f->config.public_url = "https://kiln.example";
    assert_memory_equal(api_response_find(&ask(f, "POST", "/v0/images?upload=true", body)->resp,
                                          "X-Blaxel-Upload-Url"),
                        "https://kiln.example/uploads/acme/", 34);
}

static void check_long_name(struct fixture *f, const char *start)
{
    CLEANUP(buf_release) struct buf target = BUF_INIT(4096);
    struct reply *r;

    buf_adds(&target, start);
    for (int i = 0; i < 60; i++)
        buf_adds(&target, "%C3%A9"); /* two bytes each: a cut falls into one */
    buf_adds(&target, "x%22%5C");
    r = ask(f, "GET", buf_str(&target), NULL);
    assert_int_equal(r->status, 404);
    assert_non_null(r->json);
}

static void test_a_name_cut_in_a_character_makes_valid_json(void **state)
{
    check_long_name(fixture_of(state), "/v0/sandboxes/");
    check_long_name(fixture_of(state), "/v0/sandboxes/y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_unknown_url_is_not_found),
        TEST(test_a_wrong_method_says_which_are_right),
        TEST(test_head_is_answered_as_get),
        TEST(test_bad_json_says_where),
        TEST(test_json_may_be_100_levels_deep),
        TEST(test_a_failure_inside_stays_inside),
        TEST(test_urls_need_a_host_or_a_public_url),
        TEST(test_a_name_cut_in_a_character_makes_valid_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
