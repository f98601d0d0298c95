/* What clients see while a build goes on, and when they see its end. */
#include "fixture.h"

#include <string.h>

#define LONG (60 * NS_PER_SEC) /* any end shows after that: worker/status.c decides when */

static void put_sandbox(struct fixture *f, const char *method)
{
    struct reply *r = ask(f, method,
                          strcmp(method, "POST") == 0 ? "/v0/sandboxes?upload=true"
                                                      : "/v0/sandboxes/s?upload=true",
                          "{\"metadata\":{\"name\":\"s\"}}");

    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "status"), "UPLOADING");
    f->now += NS_PER_SEC;
    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
}

static const char *sandbox_status(struct fixture *f)
{
    return text_at(ask(f, "GET", "/v0/sandboxes/s", NULL), "status");
}

static const char *image_status(struct fixture *f)
{
    return text_at(ask(f, "GET", "/v0/images/sandbox/s", NULL), "metadata.status");
}

static bool has_event(const struct reply *r, const char *where, const char *kind)
{
    const json_t *event;
    size_t i;

    json_array_foreach (at(r, where), i, event) {
        const char *type = json_string_value(json_object_get(event, "type"));

        assert_non_null(json_string_value(json_object_get(event, "time")));
        assert_non_null(json_string_value(json_object_get(event, "status")));
        if (strstr(type, kind))
            return true;
    }
    return false;
}

static void test_a_fast_build_is_seen_building(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b;

    put_sandbox(f, "POST");
    b = claim(f);
    say(f, &b, LOG_INFO, "step 1");
    succeed(f, &b);
    assert_string_equal(sandbox_status(f), "BUILDING"); /* the SDK asks at once */
    f->now += LONG;
    assert_string_equal(sandbox_status(f), "DEPLOYED");
    assert_string_equal(image_status(f), "BUILT");
}

static int64_t building_seen(struct fixture *f, const struct build *b)
{
    enum presence presence;
    struct build now;
    struct error err;

    assert_int_equal(state_build_get(f->config.state, b->id, &presence, &now, &err), 0);
    return now.building_seen;
}

/* build_status lets the end show only after a client was told BUILDING. */
static void test_being_told_building_is_noted(void **state)
{
    static const char *const asks[] = {"/v0/sandboxes/s", "/v0/images/sandbox/s", "/v0/sandboxes",
                                       "/v0/images"};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        struct build b;

        put_sandbox(f, i == 0 ? "POST" : "PUT");
        b = claim(f);
        assert_int_equal(building_seen(f, &b), 0);
        assert_int_equal(ask(f, "GET", asks[i], NULL)->status, 200);
        assert_int_equal(building_seen(f, &b), f->now);
        succeed(f, &b);
        f->now += LONG;
        assert_string_equal(sandbox_status(f), "DEPLOYED");
    }
}

static void test_the_image_appears_with_deployed(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b;
    char first[64];
    char second[64];
    struct reply *r;

    put_sandbox(f, "POST");
    b = claim(f);
    (void)snprintf(first, sizeof(first), "sandbox/s:%s", b.tag);
    assert_null(at(ask(f, "GET", "/v0/sandboxes/s", NULL), "spec.runtime.image"));
    succeed(f, &b);
    assert_null(at(ask(f, "GET", "/v0/sandboxes/s", NULL), "spec.runtime.image"));
    f->now += LONG;
    assert_string_equal(text_at(ask(f, "GET", "/v0/sandboxes/s", NULL), "spec.runtime.image"),
                        first);

    put_sandbox(f, "PUT");
    b = claim(f);
    (void)snprintf(second, sizeof(second), "sandbox/s:%s", b.tag);
    r = ask(f, "GET", "/v0/sandboxes/s", NULL);
    assert_string_equal(text_at(r, "spec.runtime.image"), first);
    f->now += NS_PER_SEC;
    succeed(f, &b);
    r = ask(f, "GET", "/v0/sandboxes/s", NULL);
    assert_string_equal(text_at(r, "status"), "BUILDING");
    assert_string_equal(text_at(r, "spec.runtime.image"), first);
    f->now += LONG;
    r = ask(f, "GET", "/v0/sandboxes/s", NULL);
    assert_string_equal(text_at(r, "status"), "DEPLOYED");
    assert_string_equal(text_at(r, "spec.runtime.image"), second);
}

static void test_a_failed_rebuild_keeps_the_image(void **state)
{
    struct fixture *f = fixture_of(state);
    char image[64];
    struct reply *r;
    struct build b;

    put_sandbox(f, "POST");
    b = claim(f);
    succeed(f, &b);
    (void)snprintf(image, sizeof(image), "sandbox/s:%s", b.tag);
    f->now += LONG;
    put_sandbox(f, "PUT");
    b = claim(f);
    break_build(f, &b, "RUN false exited with 1");
    f->now += LONG;
    r = ask(f, "GET", "/v0/sandboxes/s", NULL);
    assert_string_equal(text_at(r, "status"), "FAILED");
    assert_string_equal(text_at(r, "spec.runtime.image"), image);
}

static void test_events_do_not_run_ahead_of_the_status(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;
    struct build b;

    put_sandbox(f, "POST");
    b = claim(f);
    break_build(f, &b, "RUN false exited with 1");
    r = ask(f, "GET", "/v0/sandboxes/s", NULL);
    assert_string_equal(text_at(r, "status"), "BUILDING");
    assert_true(has_event(r, "events", ".buildimage.created"));
    assert_false(has_event(r, "events", ".failed"));
    assert_null(strstr(r->text, "exited with 1"));
    f->now += LONG;
    r = ask(f, "GET", "/v0/sandboxes/s", NULL);
    assert_string_equal(text_at(r, "status"), "FAILED");
    assert_true(has_event(r, "events", ".buildimage.failed"));
    assert_non_null(strstr(r->text, "exited with 1"));
}

static void test_an_image_shows_no_events_of_the_resource(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;
    struct build b;

    put_sandbox(f, "POST");
    b = claim(f);
    succeed(f, &b);
    f->now += LONG;
    r = ask(f, "GET", "/v0/sandboxes/s", NULL);
    assert_true(has_event(r, "events", ".buildimage.succeeded"));
    assert_true(has_event(r, "events", ".deployment.succeeded"));
    r = ask(f, "GET", "/v0/images/sandbox/s", NULL);
    assert_true(has_event(r, "metadata.events", ".buildimage.succeeded"));
    assert_false(has_event(r, "metadata.events", ".deployment."));
}

/* A stale end must never be read as the end of the new build (PROTOCOL.md 1.5, 3.1). */
static void test_a_rebuild_starts_over_at_uploading(void **state)
{
    static const char image[] = "{\"name\":\"s\",\"resourceType\":\"sandbox\"}";
    struct fixture *f = fixture_of(state);
    struct build b;

    put_sandbox(f, "POST");
    b = claim(f);
    break_build(f, &b, "no");
    f->now += LONG;
    assert_string_equal(sandbox_status(f), "FAILED");
    put_sandbox(f, "PUT"); /* asserts UPLOADING */
    b = claim(f);
    succeed(f, &b);
    f->now += LONG;
    assert_string_equal(image_status(f), "BUILT");
    (void)ask(f, "POST", "/v0/images?upload=true", image);
    assert_string_equal(image_status(f), "UPLOADING");
}

static void test_an_image_whose_resource_is_deleted_has_failed(void **state)
{
    struct fixture *f = fixture_of(state);

    put_sandbox(f, "POST");
    (void)ask(f, "DELETE", "/v0/sandboxes/s", NULL);
    assert_string_equal(image_status(f), "FAILED");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_fast_build_is_seen_building),
        TEST(test_being_told_building_is_noted),
        TEST(test_the_image_appears_with_deployed),
        TEST(test_a_failed_rebuild_keeps_the_image),
        TEST(test_events_do_not_run_ahead_of_the_status),
        TEST(test_an_image_shows_no_events_of_the_resource),
        TEST(test_a_rebuild_starts_over_at_uploading),
        TEST(test_an_image_whose_resource_is_deleted_has_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
