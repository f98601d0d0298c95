/* POST /v0/plan and the comparison of a template's versions, up to the jail, which the end-to-end
 * tests have; and the Dockerfile of a build. */
#include "fixture.h"

#include <string.h>

#include "base/text.h"

static void test_a_plan_needs_a_planner_a_type_and_a_body(void **state)
{
    struct fixture *f = fixture_of(state);
    struct planner planner = {.max = 0};

    assert_error(ask(f, "POST", "/v0/plan", "PK"), 501, "not_supported");
    f->config.planner = &planner;
    assert_error(ask(f, "POST", "/v0/plan?type=volume", "PK"), 400, "invalid_resource_type");
    assert_error(ask(f, "POST", "/v0/plan?type=agent", NULL), 400, "upload_empty");
    assert_error(ask_as(f, "bl_no_key", "POST", "/v0/plan", "PK"), 401, "unauthorized");
    f->config.planner = NULL;
}

static void test_more_plans_than_allowed_at_once_are_asked_to_come_back(void **state)
{
    struct fixture *f = fixture_of(state);
    struct planner planner = {.max = 0};
    struct reply *r;

    f->config.planner = &planner;
    r = ask(f, "POST", "/v0/plan", "PK");
    assert_error(r, 429, "too_many_plans");
    assert_string_equal(api_response_find(&r->resp, "Retry-After"), "1");
    assert_int_equal(atomic_load(&planner.busy), 0);
    f->config.planner = NULL;
}

static void test_comparing_versions_needs_a_template_and_a_planner(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *url = "/v0/volume_templates/deps/sharing";
    struct planner planner = {.max = 0};
    struct reply *r;

    assert_error(ask(f, "GET", url, NULL), 404, "volume_templates deps not found");
    (void)ask(f, "POST", "/v0/volume_templates", "{\"metadata\":{\"name\":\"deps\"},\"spec\":{}}");
    assert_error(ask(f, "GET", url, NULL), 501, "not_supported");
    f->config.planner = &planner;
    r = ask(f, "GET", url, NULL); /* without a version no jail is needed */
    assert_int_equal(r->status, 200);
    assert_int_equal(json_array_size(at(r, "versions")), 0);
    assert_error(ask_as(f, f->other_key, "GET", url, NULL), 404, "volume_templates deps not found");
    f->config.planner = NULL;
}

static void test_the_dockerfile_of_the_newest_build_is_shown(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *url = "/v0/images/agent/a/dockerfile";
    struct error err = ERROR_INIT;
    struct reply *r;
    struct build b;

    assert_error(ask(f, "GET", url, NULL), 404, "dockerfile not found");
    r = ask(f, "POST", "/v0/images?upload=true", "{\"name\":\"a\",\"resourceType\":\"agent\"}");
    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    b = claim(f);
    assert_error(ask(f, "GET", url, NULL), 404, "dockerfile not found");
    assert_int_equal(
        state_build_keep_dockerfile(f->config.state, b.id, "FROM a\nRUN \"b\"\n", &err), 0);
    r = ask(f, "GET", url, NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(r->text, "FROM a\nRUN \"b\"\n");
    assert_error(ask_as(f, f->other_key, "GET", url, NULL), 404, "dockerfile not found");
    succeed(f, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_plan_needs_a_planner_a_type_and_a_body),
        TEST(test_comparing_versions_needs_a_template_and_a_planner),
        TEST(test_more_plans_than_allowed_at_once_are_asked_to_come_back),
        TEST(test_the_dockerfile_of_the_newest_build_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
