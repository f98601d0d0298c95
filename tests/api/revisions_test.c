/* What a resource was, and what happened to it, write by write. */
#include "fixture.h"

#include <string.h>

#define NAMED(more) "{\"metadata\":{\"name\":\"r1\"}" more "}"

static struct reply *ask_kind(struct fixture *f, const char *method, const char *plural,
                              const char *rest, const char *body)
{
    char target[256];

    (void)snprintf(target, sizeof(target), "/v0/%s%s", plural, rest);
    return ask(f, method, target, body);
}

/* "status active previous|…", newest first. */
static void assert_revisions(struct fixture *f, const char *plural, const char *expected)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(4096);
    struct reply *r = ask_kind(f, "GET", plural, "/r1/revisions", NULL);
    const json_t *one;
    size_t i;

    assert_int_equal(r->status, 200);
    json_array_foreach (r->json, i, one) {
        const bool active = json_is_true(json_object_get(one, "active"));

        assert_true(json_string_length(json_object_get(one, "id")) > 0);
        assert_int_equal(json_integer_value(json_object_get(one, "trafficPercent")),
                         active ? 100 : 0);
        buf_addf(&all, "%s%s%s%s", i ? "|" : "", json_string_value(json_object_get(one, "status")),
                 active ? " active" : "",
                 json_is_true(json_object_get(one, "previousActive")) ? " previous" : "");
    }
    assert_string_equal(buf_str(&all), expected);
}

/* "type status|…" of the resource's events from the n-th on, without what all begin with. */
static void assert_events(struct fixture *f, const char *plural, size_t from, const char *expected)
{
    static const char prefix[] = "ai.blaxel.controlplane.";
    CLEANUP(buf_release) struct buf all = BUF_INIT(4096);
    const json_t *events = at(ask_kind(f, "GET", plural, "/r1", NULL), "events");

    for (size_t i = from; i < json_array_size(events); i++) {
        const json_t *one = json_array_get(events, i);
        const char *type = json_string_value(json_object_get(one, "type"));

        assert_int_equal(strncmp(type, prefix, strlen(prefix)), 0);
        buf_addf(&all, "%s%s %s", i > from ? "|" : "", type + strlen(prefix),
                 json_string_value(json_object_get(one, "status")));
    }
    assert_string_equal(buf_str(&all), expected);
}

static struct build upload(struct fixture *f, const struct reply *announced)
{
    assert_int_equal(announced->status, 200);
    assert_int_equal(ask(f, "PUT", upload_target(announced), "PK")->status, 200);
    return claim(f);
}

static void let_it_show(struct fixture *f)
{
    f->now += 60 * NS_PER_SEC;
}

static void test_each_build_of_a_resource_is_a_revision(void **state)
{
    static const char *const plurals[] = {"sandboxes", "agents", "functions", "jobs"};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < 4; i++) {
        const char *kind = plurals[i];
        struct reply *r = ask_kind(f, "POST", kind, "?upload=true", NAMED(""));
        struct build first, b;

        assert_revisions(f, kind, "UPLOADING");
        first = upload(f, r);
        assert_revisions(f, kind, "BUILDING");
        succeed(f, &first);
        let_it_show(f);
        assert_revisions(f, kind, "DEPLOYED active");
        b = upload(f, ask_kind(f, "PUT", kind, "/r1?upload=true", "{}"));
        break_build(f, &b, "exit code: 42");
        let_it_show(f);
        assert_revisions(f, kind, "FAILED|DEPLOYED active");
        b = upload(f, ask_kind(f, "PUT", kind, "/r1?upload=true", "{}"));
        succeed(f, &b);
        let_it_show(f);
        assert_revisions(f, kind, "DEPLOYED active|FAILED|DEPLOYED previous");
        r = ask_kind(f, "GET", kind, "/r1/revisions", NULL);
        assert_string_equal(text_at(r, "0.id"), b.tag);
        assert_string_equal(text_at(r, "2.id"), first.tag);
        assert_non_null(text_at(r, "0.createdBy"));
        assert_events(f, kind, 5,
                      "api.update UPDATING|buildimage.created UPLOADED|buildimage.failed FAILED|"
                      "deployment.failed FAILED|api.update UPDATING|buildimage.created UPLOADED|"
                      "buildimage.succeeded BUILT|deployment.created BUILT|"
                      "deployment.ready DEPLOYED|deployment.succeeded DEPLOYED");
    }
}

static void test_what_needs_no_build_is_deployed_at_once_and_told(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = ask(f, "POST", "/v0/agents",
                          NAMED(",\"spec\":{\"runtime\":{\"image\":\"agent/base:latest\"}}"));

    assert_int_equal(r->status, 200);
    assert_revisions(f, "agents", "DEPLOYED active");
    assert_events(f, "agents", 0,
                  "deployment.created BUILT|deployment.ready DEPLOYED|"
                  "deployment.succeeded DEPLOYED");
    assert_int_equal(ask(f, "PUT", "/v0/agents/r1", "{\"spec\":{\"public\":true}}")->status, 200);
    assert_revisions(f, "agents", "DEPLOYED active|DEPLOYED previous");
    assert_events(f, "agents", 3,
                  "api.update UPDATED|deployment.created BUILT|deployment.ready DEPLOYED|"
                  "deployment.succeeded DEPLOYED");
    r = ask(f, "GET", "/v0/agents/r1", NULL);
    assert_string_equal(text_at(r, "events.3.message"), "Update agent");
    assert_string_equal(text_at(r, "events.6.revision"),
                        text_at(ask(f, "GET", "/v0/agents/r1/revisions", NULL), "0.id"));
    assert_string_not_equal(text_at(r, "events.6.revision"), text_at(r, "events.2.revision"));
}

static void test_a_change_during_a_build_claims_no_deployment(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b = upload(f, ask(f, "POST", "/v0/agents?upload=true", NAMED("")));

    assert_int_equal(ask(f, "PUT", "/v0/agents/r1", "{\"spec\":{\"public\":true}}")->status, 200);
    assert_revisions(f, "agents", "BUILDING|BUILDING");
    assert_events(f, "agents", 0, "buildimage.created UPLOADED|api.update UPDATED");
    break_build(f, &b, "exit code: 42");
    let_it_show(f);
    assert_int_equal(ask(f, "PUT", "/v0/agents/r1", "{}")->status, 200);
    assert_revisions(f, "agents", "FAILED|FAILED|FAILED");
    assert_events(f, "agents", 2,
                  "buildimage.failed FAILED|deployment.failed FAILED|api.update UPDATED");
}

/* Each retry of an upload asks anew (PROTOCOL.md 1.3). */
static void test_an_upload_that_was_asked_for_again_is_one_revision(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b;

    (void)ask(f, "POST", "/v0/jobs?upload=true", NAMED(""));
    (void)ask(f, "PUT", "/v0/jobs/r1?upload=true", "{}");
    b = upload(f, ask(f, "PUT", "/v0/jobs/r1?upload=true", "{}"));
    succeed(f, &b);
    let_it_show(f);
    assert_revisions(f, "jobs", "DEPLOYED active");
}

static void test_templates_and_volumes_have_revisions_too(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = ask(f, "POST", "/v0/volume_templates?upload=true", NAMED(""));
    struct build b = upload(f, r);

    succeed_as(f, &b, "r1:1");
    assert_revisions(f, "volume_templates", "DEPLOYED active");
    assert_string_equal(text_at(ask(f, "GET", "/v0/volume_templates/r1/revisions", NULL), "0.id"),
                        "1");
    assert_int_equal(ask(f, "PUT", "/v0/volume_templates/r1", "{}")->status, 200);
    assert_events(f, "volume_templates", 0,
                  "volumetemplate.created CREATED|volumetemplate.ready READY|api.update UPDATED");
    assert_int_equal(ask(f, "POST", "/v0/volumes", NAMED(",\"spec\":{\"size\":64}"))->status, 200);
    b = claim(f);
    succeed_as(f, &b, "- 64");
    r = ask(f, "PUT", "/v0/volumes/r1", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    assert_int_equal(r->status, 200);
    assert_revisions(f, "volumes", "DEPLOYED active|DEPLOYED previous");
    assert_string_equal(text_at(ask(f, "GET", "/v0/volumes/r1/revisions", NULL), "1.id"), "1");
    assert_events(f, "volumes", 0,
                  "volume.created BUILDING|volume.ready DEPLOYED|api.update UPDATED");
}

static void test_revisions_go_with_their_resource(void **state)
{
    struct fixture *f = fixture_of(state);

    (void)ask(f, "POST", "/v0/sandboxes", NAMED(""));
    assert_int_equal(ask(f, "DELETE", "/v0/sandboxes/r1", NULL)->status, 200);
    assert_error(ask(f, "GET", "/v0/sandboxes/r1/revisions", NULL), 404, "sandboxes r1 not found");
    (void)ask(f, "POST", "/v0/sandboxes", NAMED(""));
    assert_revisions(f, "sandboxes", "DEPLOYED active");
    assert_error(ask_as(f, f->other_key, "GET", "/v0/sandboxes/r1/revisions", NULL), 404,
                 "sandboxes r1 not found");
}

static void test_the_last_hundred_are_kept(void **state)
{
    struct fixture *f = fixture_of(state);

    (void)ask(f, "POST", "/v0/sandboxes", NAMED(""));
    for (int i = 0; i < 120; i++)
        assert_int_equal(ask(f, "PUT", "/v0/sandboxes/r1", "{}")->status, 200);
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/sandboxes/r1/revisions", NULL)->json), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_build_of_a_resource_is_a_revision),
        TEST(test_what_needs_no_build_is_deployed_at_once_and_told),
        TEST(test_a_change_during_a_build_claims_no_deployment),
        TEST(test_an_upload_that_was_asked_for_again_is_one_revision),
        TEST(test_templates_and_volumes_have_revisions_too),
        TEST(test_revisions_go_with_their_resource),
        TEST(test_the_last_hundred_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
