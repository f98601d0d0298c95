/* The build's log, as the CLI's watcher and as people read it. */
#include "fixture.h"

#include <string.h>

#define LOGS "/v0/observability/logs?resourceType=sandboxes&workloadIds=s"

static struct build begin(struct fixture *f)
{
    struct reply *r =
        ask(f, "POST", "/v0/images?upload=true", "{\"name\":\"s\",\"resourceType\":\"sandbox\"}");

    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    return claim(f);
}

static struct build begin_with_lines(struct fixture *f)
{
    struct build b = begin(f);

    say(f, &b, LOG_DEBUG, "one");
    say(f, &b, LOG_INFO, "two");
    say(f, &b, LOG_WARNING, "three");
    say(f, &b, LOG_ERROR, "two more");
    return b;
}

/* The messages of the answer, "a|b|c". */
static void check(const struct reply *r, const char *expected, int total)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(4096);
    const json_t *line;
    size_t i;

    assert_int_equal(r->status, 200);
    json_array_foreach (at(r, "s.logs"), i, line)
        buf_addf(&all, "%s%s", i ? "|" : "", json_string_value(json_object_get(line, "message")));
    assert_string_equal(buf_str(&all), expected);
    assert_int_equal(json_integer_value(at(r, "s.totalCount")), total);
}

/* The same, of an answer in the other order. */
static void check_oldest_first(const struct reply *r, const char *expected, int total)
{
    json_t *logs = at(r, "s.logs");

    for (size_t i = 0, n = json_array_size(logs); i < n / 2; i++) {
        json_t *first = json_incref(json_array_get(logs, i));

        json_array_set(logs, i, json_array_get(logs, n - 1 - i));
        json_array_set_new(logs, n - 1 - i, first);
    }
    check(r, expected, total);
}

/* The whole query as PROTOCOL.md 1.4 traced it. */
static void test_the_watchers_query_is_answered(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)begin_with_lines(f);
    r = ask(f, "GET",
            "/v0/observability/logs?end=2026-01-01T01%3A00%3A00&executionId=&interval=60&limit=1000"
            "&offset=0&resourceType=sandboxes&search=&severity=all%2CUNKNOWN%2CTRACE%2CDEBUG%2CINFO"
            "%2CWARNING%2CERROR%2CFATAL&start=2026-01-01T09%3A00%3A05&taskId=&traceId=&type=all"
            "&workloadIds=s&workspace=acme",
            NULL);
    check(r, "two more|three|two|one", 4);
    assert_int_equal(json_integer_value(at(r, "s.logs.1.severity")), 13);
    assert_string_equal(text_at(r, "s.logs.3.timestamp"), "2026-01-01T00:00:00.000000000Z");
    assert_string_equal(text_at(r, "s.logs.0.trace_id"), "");
}

static void test_equal_lines_differ_in_time(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b = begin(f);
    struct reply *r;

    say(f, &b, LOG_INFO, "same");
    say(f, &b, LOG_INFO, "same");
    r = ask(f, "GET", LOGS, NULL);
    assert_string_not_equal(text_at(r, "s.logs.0.timestamp"), text_at(r, "s.logs.1.timestamp"));
}

static void test_pages_and_filters_are_honoured(void **state)
{
    static const struct {
        const char *query, *expected;
        int total;
    } cases[] = {
        {"&limit=2", "two more|three", 4},
        {"&limit=2&offset=1", "three|two", 4},
        {"&offset=4", "", 4},
        {"&limit=0", "", 4},
        {"&severity=ERROR", "two more", 1},
        {"&severity=debug,WARNING", "three|one", 2},
        {"&severity=WARN", "three", 1},
        {"&severity=FATAL", "", 0},
        {"&severity=nonsense", "", 0},
        {"&severity=all", "two more|three|two|one", 4},
        {"&severity=FATAL,ERROR,WARNING,INFO,DEBUG,TRACE,UNKNOWN", "two more|three|two|one", 4},
        {"&search=two", "two more|two", 2},
        {"&search=two&severity=INFO", "two", 1},
        {"&search=two&limit=1&offset=1", "two", 2},
    };
    struct fixture *f = fixture_of(state);

    (void)begin_with_lines(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char target[256];

        (void)snprintf(target, sizeof(target), "%s%s", LOGS, cases[i].query);
        check(ask(f, "GET", target, NULL), cases[i].expected, cases[i].total);
    }
}

/* Without the key the CLI counts an error, and gives up after five. */
static void test_the_name_is_always_there(void **state)
{
    struct fixture *f = fixture_of(state);

    check(ask(f, "GET", LOGS, NULL), "", 0);
    (void)ask(f, "POST", "/v0/images?upload=true", "{\"name\":\"s\",\"resourceType\":\"sandbox\"}");
    check(ask(f, "GET", LOGS, NULL), "", 0);
    assert_true(json_is_array(
        at(ask(f, "GET", "/v0/observability/logs?resourceType=jobs&workloadIds=s,t", NULL),
           "t.logs")));
}

static void test_a_log_query_needs_a_name_and_a_type(void **state)
{
    static const char *const queries[] = {"", "?workloadIds=s", "?resourceType=sandboxes",
                                          "?resourceType=x&workloadIds=s",
                                          "?resourceType=jobs&workloadIds="};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        char target[128];

        (void)snprintf(target, sizeof(target), "/v0/observability/logs%s", queries[i]);
        assert_error(ask(f, "GET", target, NULL), 400, "invalid_log_query");
    }
    assert_error(ask(f, "GET", LOGS "&limit=x", NULL), 400, "invalid_request");
    assert_error(ask(f, "GET", LOGS "&interval=x", NULL), 400, "invalid_request");
    assert_error(ask(f, "GET", LOGS "&start=yesterday", NULL), 400, "invalid_log_query");
    assert_error(ask(f, "GET", LOGS "&end=2026-01-31", NULL), 400, "invalid_log_query");
}

/* start and end choose the build, and end cuts its log. */
static void test_the_build_of_the_time_asked_about_is_shown(void **state)
{
    static const struct {
        const char *query, *expected;
        int total;
    } cases[] = {
        {"", "new|newer", 2},
        {"&start=2026-01-01T00:00:00&end=2026-01-01T00:00:00", "old", 1},
        {"&start=2026-01-01T00:14:59", "new|newer", 2},
        {"&start=2026-01-01T00:14:59&end=2026-01-01T01:00:00", "old", 1}, /* over 15 min before */
        {"&start=2026-01-01T00:15:21&end=2026-01-01T01:00:00", "", 0},
        {"&end=2025-12-31T23:44:59", "", 0}, /* none had begun */
        {"&end=2025-12-31T23:59:59", "", 0}, /* begun at a faster clock, without lines yet */
        {"&end=2026-01-02T00:00:00", "new", 1},
        {"&end=2026-01-02T00:00:00.5", "new", 1},
        {"&end=2026-01-01T23:59:59.999999999", "", 0},
        {"&end=2026-01-02T01:00:01%2B01:00", "new|newer", 2},
        {"&start=2026-02-01T00:00:00", "new|newer", 2}, /* it runs still */
    };
    struct fixture *f = fixture_of(state);
    struct build b = begin(f);

    say(f, &b, LOG_INFO, "old");
    f->now += 20 * NS_PER_SEC;
    succeed(f, &b);
    f->now += 86380 * NS_PER_SEC;
    b = begin(f);
    say(f, &b, LOG_INFO, "new");
    f->now += NS_PER_SEC;
    say(f, &b, LOG_INFO, "newer");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char target[256];

        (void)snprintf(target, sizeof(target), "%s%s", LOGS, cases[i].query);
        check_oldest_first(ask(f, "GET", target, NULL), cases[i].expected, cases[i].total);
    }
}

static void test_what_no_line_of_a_build_has_is_not_found(void **state)
{
    static const struct {
        const char *query;
        int total;
    } cases[] = {{"&type=all", 4},  {"&type=build", 4},       {"&type=http,Build", 4},
                 {"&type=", 4},     {"&type=http", 0},        {"&type=application,system", 0},
                 {"&traceId=", 4},  {"&traceId=4bf92f35", 0}, {"&taskId=1", 0},
                 {"&interval=", 4}, {"&executionId=e", 0},    {"&interval=60", 4}};
    struct fixture *f = fixture_of(state);

    (void)begin_with_lines(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char target[256];

        (void)snprintf(target, sizeof(target), "%s%s", LOGS, cases[i].query);
        assert_int_equal(json_integer_value(at(ask(f, "GET", target, NULL), "s.totalCount")),
                         cases[i].total);
    }
}

static void remove_logs(struct fixture *f)
{
    struct error err;
    bool more = true;

    while (more)
        assert_int_equal(state_log_remove_old(f->config.state, f->now, &more, &err), 0);
}

static void test_a_log_that_was_removed_is_gone(void **state)
{
    static const char *const targets[] = {"/v0/sandboxes/s/build-logs",
                                          "/v0/sandboxes/s/build-logs?follow=true",
                                          "/v0/sandboxes/s/build-logs?format=jsonl&after=4"};
    struct fixture *f = fixture_of(state);
    struct build b = begin_with_lines(f);
    struct reply *r;

    succeed(f, &b);
    f->now += 3600 * NS_PER_SEC;
    remove_logs(f);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        assert_error(ask(f, "GET", targets[i], NULL), 410, "log_removed");
    /* The CLI takes any error for a fault, and tries again: it gets a line that says so. */
    r = ask(f, "GET", LOGS, NULL);
    assert_int_equal(r->status, 200);
    assert_int_equal(json_integer_value(at(r, "s.totalCount")), 4);
    assert_int_equal(json_array_size(at(r, "s.logs")), 1);
    assert_non_null(strstr(text_at(r, "s.logs.0.message"), "was removed"));
    b = begin(f);
    say(f, &b, LOG_INFO, "again");
    assert_string_equal(ask(f, "GET", targets[0], NULL)->text, "again\n");
}

static void test_a_build_is_found_by_its_id(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build old = begin_with_lines(f), b;
    char target[200];
    struct reply *r;

    r = ask(f, "GET", "/v0/sandboxes/s/build-logs", NULL);
    assert_string_equal(api_response_find(&r->resp, "X-Kiln-Build"), old.id);
    succeed(f, &old);
    f->now += 20 * NS_PER_SEC;
    b = begin(f);
    say(f, &b, LOG_INFO, "new");
    (void)snprintf(target, sizeof(target), "/v0/sandboxes/s/build-logs?build=%s&offset=2", old.id);
    assert_string_equal(ask(f, "GET", target, NULL)->text, "three\ntwo more\n");
    assert_error(ask_as(f, f->other_key, "GET", target, NULL), 404, "build not found");
    (void)snprintf(target, sizeof(target), "/v0/agents/s/build-logs?build=%s", old.id);
    assert_error(ask(f, "GET", target, NULL), 404, "build not found");
    assert_error(ask(f, "GET", "/v0/sandboxes/s/build-logs?build=x", NULL), 404, "build not found");
    (void)snprintf(target, sizeof(target), "%s&build=%s", LOGS, old.id);
    check(ask(f, "GET", target, NULL), "two more|three|two|one", 4);
    check(ask(f, "GET", LOGS "&build=x", NULL), "", 0);
}

static void test_lines_of_an_earlier_build_are_not_shown(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b = begin_with_lines(f);

    succeed(f, &b);
    f->now += 20 * NS_PER_SEC;
    b = begin(f);
    say(f, &b, LOG_INFO, "new");
    check(ask(f, "GET", LOGS "&start=1970-01-01T00:00:00", NULL), "new", 1);
}

static void test_the_log_of_another_workspace_is_not_shown(void **state)
{
    struct fixture *f = fixture_of(state);

    (void)begin_with_lines(f);
    check(ask_as(f, f->other_key, "GET", LOGS, NULL), "", 0);
}

static int64_t log_read_at(struct fixture *f, const struct build *b)
{
    enum presence presence;
    struct build now;
    struct error err;

    assert_int_equal(state_build_get(f->config.state, b->id, &presence, &now, &err), 0);
    return now.log_read;
}

static void test_reading_is_noted_until_the_end_shows(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b = begin_with_lines(f);
    int64_t read_at;

    assert_int_equal(log_read_at(f, &b), 0);
    (void)ask(f, "GET", LOGS, NULL);
    assert_int_equal(log_read_at(f, &b), f->now);
    f->now += NS_PER_SEC;
    (void)ask(f, "GET", "/v0/sandboxes/s/build-logs", NULL);
    assert_int_equal(log_read_at(f, &b), f->now);
    read_at = f->now;
    succeed(f, &b);
    f->now += 60 * NS_PER_SEC;
    (void)ask(f, "GET", LOGS, NULL);
    assert_int_equal(log_read_at(f, &b), read_at);
}

static void test_build_logs_are_plain_lines(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)begin_with_lines(f);
    f->headers[API_HEADER_ACCEPT] = "*/*";
    r = ask(f, "GET", "/v0/sandboxes/s/build-logs", NULL);
    assert_string_equal(r->text, "one\ntwo\nthree\ntwo more\n");
    assert_string_equal(ask(f, "GET", "/v0/sandboxes/s/build-logs?offset=2", NULL)->text,
                        "three\ntwo more\n");
    assert_string_equal(ask(f, "GET", "/v0/sandboxes/s/build-logs?after=1&limit=2", NULL)->text,
                        "two\nthree\n");
    assert_string_equal(ask(f, "GET", "/v0/sandboxes/s/build-logs?offset=9", NULL)->text, "");
    assert_string_equal(api_response_find(&r->resp, "Content-Type"), "text/plain; charset=utf-8");
    f->headers[API_HEADER_ACCEPT] = "application/json";
    r = ask(f, "GET", "/v0/sandboxes/s/build-logs", NULL);
    assert_string_equal(text_at(r, "logs.0.message"), "one");
    assert_int_equal(json_integer_value(at(r, "totalCount")), 4);
    assert_error(ask(f, "GET", "/v0/sandboxes/none/build-logs", NULL), 404, "build not found");
}

static void test_build_logs_are_json_lines_where_they_are_asked_for(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)begin_with_lines(f);
    r = ask(f, "GET", "/v0/sandboxes/s/build-logs?format=jsonl&after=2", NULL);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(buf_str(&r->resp.body), "\"text\":\"three\""));
    assert_null(strstr(buf_str(&r->resp.body), "\"text\":\"two\""));
    assert_int_equal(strncmp(buf_str(&r->resp.body), "{\"seq\":3,", 9), 0);
    assert_int_equal(ask(f, "GET", "/v0/sandboxes/s/build-logs?format=jsonl&after=x", NULL)->status,
                     400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_watchers_query_is_answered),
        TEST(test_equal_lines_differ_in_time),
        TEST(test_pages_and_filters_are_honoured),
        TEST(test_the_name_is_always_there),
        TEST(test_a_log_query_needs_a_name_and_a_type),
        TEST(test_the_build_of_the_time_asked_about_is_shown),
        TEST(test_what_no_line_of_a_build_has_is_not_found),
        TEST(test_a_log_that_was_removed_is_gone),
        TEST(test_a_build_is_found_by_its_id),
        TEST(test_lines_of_an_earlier_build_are_not_shown),
        TEST(test_the_log_of_another_workspace_is_not_shown),
        TEST(test_reading_is_noted_until_the_end_shows),
        TEST(test_build_logs_are_plain_lines),
        TEST(test_build_logs_are_json_lines_where_they_are_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
