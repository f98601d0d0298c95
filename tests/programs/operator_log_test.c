/* The operator's log, as text and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "programs/operator_log.h"

#define NOW (INT64_C(1767225600) * NS_PER_SEC) /* 2026-01-01T00:00:00Z */

static json_t *as_json(const struct note *note)
{
    const struct operator_log log = {.json = true, .worker = "host:1"};
    CLEANUP(buf_release) struct buf out = BUF_INIT(65536);
    json_t *o;

    operator_log_format(&log, note, NOW, &out);
    assert_ptr_equal(strchr(buf_str(&out), '\n'), buf_str(&out) + out.len - 1); /* one line */
    o = json_loads(buf_str(&out), 0, NULL);
    assert_non_null(o);
    return o;
}

static void assert_text(const json_t *o, const char *key, const char *expected)
{
    assert_string_equal(json_string_value(json_object_get(o, key)), expected);
}

static void test_text_is_a_line(void **state)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(65536);

    (void)state;
    operator_log_format(NULL, &(const struct note){.line = "error: no room"}, NOW, &out);
    assert_string_equal(buf_str(&out), "2026-01-01T00:00:00Z error: no room\n");
}

static void test_json_tells_level_build_and_workspace(void **state)
{
    json_auto_t *o = as_json(&(const struct note){
        .line = "error: build b1: \"no\nroom\"", .workspace = "acme", .build = "b1"});
    json_auto_t *plain = as_json(&(const struct note){.line = "warning: soon"});

    (void)state;
    assert_text(o, "time", "2026-01-01T00:00:00.000000000Z");
    assert_text(o, "level", "error");
    assert_text(o, "message", "build b1: \"no\nroom\"");
    assert_text(o, "workspace", "acme");
    assert_text(o, "build", "b1");
    assert_text(o, "worker", "host:1");
    assert_text(plain, "level", "warning");
    assert_null(json_object_get(plain, "workspace"));
    assert_null(json_object_get(plain, "status"));
}

static void test_json_tells_of_a_request(void **state)
{
    const struct note_request r = {.method = "GET",
                                   .path = "/v0/builds",
                                   .address = "10.0.0.1",
                                   .key = "k1",
                                   .status = 200,
                                   .sent = 5,
                                   .ms = 3};
    json_auto_t *o = as_json(&(const struct note){.line = "GET /v0/builds 200", .request = &r});

    (void)state;
    assert_text(o, "level", "info");
    assert_text(o, "path", "/v0/builds");
    assert_text(o, "address", "10.0.0.1");
    assert_text(o, "key", "k1");
    assert_int_equal(json_integer_value(json_object_get(o, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(o, "ms")), 3);
}

static void test_bytes_that_are_no_text_are_shown_as_such(void **state)
{
    json_auto_t *o = as_json(&(const struct note){.line = "a\xff\x80z"});

    (void)state;
    assert_text(o, "message", "a??z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_a_line),
        cmocka_unit_test(test_json_tells_level_build_and_workspace),
        cmocka_unit_test(test_json_tells_of_a_request),
        cmocka_unit_test(test_bytes_that_are_no_text_are_shown_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
