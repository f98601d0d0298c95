/* No image is built while the workspace's images have all the bytes they may. */
#include "fixture.h"

#include <string.h>

#define REQUEST "{\"name\":\"app\",\"resourceType\":\"agent\"}"
#define NAMED   "{\"metadata\":{\"name\":\"app\"}}"
#define IMPORTED                                                                                   \
    "{\"metadata\":{\"name\":\"app\"},\"spec\":{\"runtime\":{\"image\":\"ghcr.io/me/app\"}}}"

static void limit_images(struct fixture *f, int64_t bytes)
{
    const struct workspace_limits own = {LIMIT_KEPT, bytes, LIMIT_KEPT};
    enum presence presence;
    struct error err;

    assert_int_equal(state_limits_set(f->config.state, "acme", &own, &presence, &err), 0);
    assert_int_equal(presence, PRESENT);
}

/* An image of 1234 bytes, agent/app, and the agent app, whose build made it. */
static void fill(struct fixture *f)
{
    struct build b;

    assert_int_equal(
        ask(f, "PUT", upload_target(ask(f, "POST", "/v0/agents?upload=true", NAMED)), "PK")->status,
        200);
    b = claim(f);
    succeed(f, &b);
    f->now += 60 * NS_PER_SEC;
}

static void test_every_way_to_a_build_is_refused_at_the_limit(void **state)
{
    static const struct {
        const char *method, *target, *body;
    } cases[] = {
        {"POST", "/v0/images?upload=true", REQUEST},
        {"POST", "/v0/images",
         "{\"name\":\"app\",\"resourceType\":\"job\",\"image\":\"ghcr.io/a/b\"}"},
        {"POST", "/v0/images",
         "{\"name\":\"app\",\"spec\":{\"source\":{\"git\":\"https://git.example/a/b.git\"}}}"},
        {"POST", "/v0/jobs?upload=true", NAMED},
        {"POST", "/v0/functions", IMPORTED},
        {"PUT", "/v0/agents/app?upload=true", NAMED},
        {"PUT", "/v0/agents/app", IMPORTED},
    };
    struct fixture *f = fixture_of(state);

    fill(f);
    limit_images(f, 1234);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply *r = ask(f, cases[i].method, cases[i].target, cases[i].body);

        assert_error(r, 400, "QUOTA_EXCEEDED");
        assert_non_null(
            strstr(text_at(r, "message"), "images take 1.2 kB, and it may have 1234 B"));
    }
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/images", NULL)->json), 1);
    limit_images(f, 1235);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(ask(f, cases[i].method, cases[i].target, cases[i].body)->status, 200);
}

static void test_a_sandbox_is_refused_as_its_clients_read_it(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    fill(f);
    limit_images(f, 1);
    r = ask(f, "POST", "/v0/sandboxes?upload=true", NAMED);
    assert_int_equal(r->status, 400);
    assert_string_equal(text_at(r, "code"), "QUOTA_EXCEEDED");
    assert_int_equal(json_integer_value(at(r, "status_code")), 400);
    assert_non_null(text_at(r, "message"));
    assert_null(at(r, "details"));
}

static void test_what_builds_nothing_is_not_refused(void **state)
{
    struct fixture *f = fixture_of(state);

    fill(f);
    limit_images(f, 1);
    assert_int_equal(
        ask(f, "POST", "/v0/sandboxes",
            "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"runtime\":{\"image\":\"agent/app\"}}}")
            ->status,
        200);
    assert_int_equal(ask(f, "POST", "/v0/agents?createIfNotExist=true", IMPORTED)->status, 200);
    assert_error(ask(f, "POST", "/v0/agents?upload=true", NAMED), 409, "agent_already_exists");
    assert_int_equal(ask_as(f, f->other_key, "POST", "/v0/images?upload=true", REQUEST)->status,
                     200);
    assert_int_equal(ask(f, "POST", "/v0/volume_templates?upload=true", NAMED)->status, 200);
}

static void test_a_cleanup_makes_room(void **state)
{
    struct fixture *f = fixture_of(state);

    fill(f);
    limit_images(f, 1234);
    assert_int_equal(ask(f, "DELETE", "/v0/agents/app", NULL)->status, 200);
    assert_error(ask(f, "POST", "/v0/images?upload=true", REQUEST), 400, "QUOTA_EXCEEDED");
    assert_int_equal(ask(f, "DELETE", "/v0/images", NULL)->status, 200);
    assert_int_equal(ask(f, "POST", "/v0/images?upload=true", REQUEST)->status, 200);
}

static void test_a_workspace_is_shown_with_its_limits_and_what_it_takes(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct workspace_limits own = {
        .builds = 2, .images = LIMIT_OF_SERVER, .templates = 1 << 20};
    enum presence presence;
    struct reply *r;
    struct build b;
    struct error err;

    assert_int_equal(state_limits_set(f->config.state, "acme", &own, &presence, &err), 0);
    r = ask(f, "POST", "/v0/images?upload=true", "{\"name\":\"s\",\"resourceType\":\"sandbox\"}");
    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    b = claim(f);
    r = ask(f, "GET", "/v0/workspaces/acme", NULL);
    assert_int_equal(json_integer_value(at(r, "limits.builds")), 2);
    assert_true(json_is_null(at(r, "limits.images")));
    assert_int_equal(json_integer_value(at(r, "limits.templates")), 1 << 20);
    assert_int_equal(json_integer_value(at(r, "usage.builds")), 1);
    assert_int_equal(json_integer_value(at(r, "usage.images")), 0);
    succeed(f, &b); /* an image of 1234 bytes */
    r = ask(f, "GET", "/v0/workspaces", NULL);
    assert_int_equal(json_integer_value(at(r, "0.usage.builds")), 0);
    assert_int_equal(json_integer_value(at(r, "0.usage.images")), 1234);
    assert_int_equal(json_integer_value(at(r, "0.usage.templates")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_way_to_a_build_is_refused_at_the_limit),
        TEST(test_a_sandbox_is_refused_as_its_clients_read_it),
        TEST(test_what_builds_nothing_is_not_refused),
        TEST(test_a_cleanup_makes_room),
        TEST(test_a_workspace_is_shown_with_its_limits_and_what_it_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
