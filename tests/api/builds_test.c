/* GET /v0/builds, and the logs of builds that are not the current one. */
#include "fixture.h"

#include <string.h>

#include "base/text.h"

static struct build begin(struct fixture *f, const char *name)
{
    struct reply *r;
    char body[128];

    (void)snprintf(body, sizeof(body), "{\"name\":\"%s\",\"resourceType\":\"agent\"}", name);
    r = ask(f, "POST", "/v0/images?upload=true", body);
    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    f->now += NS_PER_SEC;
    return claim(f);
}

static void test_builds_are_listed_as_they_are(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b = begin(f, "one");
    struct reply *r = ask(f, "GET", "/v0/builds", NULL);

    assert_int_equal(json_array_size(at(r, "data")), 1);
    assert_string_equal(text_at(r, "data.0.status"), "RUNNING");
    assert_string_equal(text_at(r, "data.0.id"), b.id);
    assert_string_equal(text_at(r, "data.0.name"), "one");
    assert_string_equal(text_at(r, "data.0.tag"), b.tag);
    assert_true(json_is_null(at(r, "data.0.finishedAt")));
    break_build(f, &b, "no such file");
    r = ask(f, "GET", "/v0/builds", NULL);
    assert_string_equal(text_at(r, "data.0.status"), "FAILED"); /* at once: nobody's habits count */
    assert_string_equal(text_at(r, "data.0.message"), "no such file");
    assert_non_null(text_at(r, "data.0.finishedAt"));
    f->headers[API_HEADER_VERSION] = NULL;
    assert_true(json_is_array(ask(f, "GET", "/v0/builds", NULL)->json));
}

static void test_pages_of_builds_follow_each_other(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct fixture *f = fixture_of(state);
    char target[128] = "/v0/builds?limit=2";
    struct reply *r;

    for (size_t i = 0; i < 5; i++) {
        struct build b = begin(f, names[i]);

        succeed(f, &b);
    }
    for (int left = 5; left > 0; left -= 2) {
        r = ask(f, "GET", target, NULL);
        assert_int_equal(json_integer_value(at(r, "meta.total")), 5);
        assert_string_equal(text_at(r, "data.0.name"), names[left - 1]);
        assert_int_equal(json_array_size(at(r, "data")), left > 1 ? 2 : 1);
        assert_int_equal(json_is_true(at(r, "meta.hasMore")), left > 2);
        (void)snprintf(target, sizeof(target), "/v0/builds?limit=2&cursor=%s",
                       text_at(r, "meta.nextCursor"));
    }
    assert_int_equal(json_array_size(at(ask(f, "GET", "/v0/builds?cursor=nosuch", NULL), "data")),
                     0);
    assert_error(ask(f, "GET", "/v0/builds?limit=x", NULL), 400, "invalid_request");
}

static void test_builds_of_another_workspace_are_not_there(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b = begin(f, "mine");
    char target[128];

    (void)snprintf(target, sizeof(target), "/v0/builds/%s", b.id);
    assert_string_equal(text_at(ask(f, "GET", target, NULL), "id"), b.id);
    assert_error(ask_as(f, f->other_key, "GET", target, NULL), 404, "build not found");
    assert_int_equal(
        json_array_size(at(ask_as(f, f->other_key, "GET", "/v0/builds", NULL), "data")), 0);
    (void)snprintf(target, sizeof(target), "/v0/agents/mine/build-logs?build=%s", b.id);
    assert_int_equal(ask(f, "GET", target, NULL)->status, 200);
    assert_error(ask_as(f, f->other_key, "GET", target, NULL), 404, "build not found");
}

static void test_the_log_of_an_earlier_build_can_be_read(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build first = begin(f, "a");
    struct build second;
    const char *log;

    say(f, &first, LOG_INFO, "of the first");
    succeed(f, &first);
    second = begin(f, "a");
    say(f, &second, LOG_INFO, "of the second");
    assert_string_equal(ask(f, "GET", "/v0/agents/a/build-logs", NULL)->text, "of the second\n");
    log = text_at(ask(f, "GET", "/v0/builds", NULL), "data.1.log");
    assert_string_equal(ask(f, "GET", log, NULL)->text, "of the first\n");
}

static void test_a_build_is_of_the_target_in_the_path(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build a = begin(f, "a");
    struct build b;
    char target[128];

    succeed(f, &a);
    b = begin(f, "b");
    (void)snprintf(target, sizeof(target), "/v0/agents/a/build-logs?build=%s", b.id);
    assert_error(ask(f, "GET", target, NULL), 404, "build not found");
    (void)snprintf(target, sizeof(target), "/v0/jobs/b/build-logs?build=%s", b.id);
    assert_error(ask(f, "GET", target, NULL), 404, "build not found");
}

static void test_what_a_volume_is_made_of_is_no_source(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    assert_int_equal(
        ask(f, "POST", "/v0/volumes", "{\"metadata\":{\"name\":\"v\"},\"spec\":{}}")->status, 200);
    r = ask(f, "GET", "/v0/builds", NULL);
    assert_string_equal(text_at(r, "data.0.resourceType"), "volume");
    assert_true(json_is_null(at(r, "data.0.source")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_builds_are_listed_as_they_are),
        TEST(test_pages_of_builds_follow_each_other),
        TEST(test_builds_of_another_workspace_are_not_there),
        TEST(test_the_log_of_an_earlier_build_can_be_read),
        TEST(test_a_build_is_of_the_target_in_the_path),
        TEST(test_what_a_volume_is_made_of_is_no_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
