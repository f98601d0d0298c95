/* How a request's target is taken apart. */
#include "fixture.h"

#include <string.h>

static void test_a_target_is_split_and_decoded(void **state)
{
    static const struct {
        const char *target;
        size_t n;
        const char *last;
        const char *x; /* parameter x */
    } cases[] = {
        {"/", 0, NULL, NULL},
        {"/a", 1, "a", NULL},
        {"/a/", 1, "a", NULL},
        {"/a//b", 3, "b", NULL},
        {"/a/n%3Atag", 2, "n:tag", NULL},
        {"/a/b%2Fc", 2, "b/c", NULL},
        {"/a/b+c", 2, "b+c", NULL},
        {"/a/%C3%A9", 2, "\xc3\xa9", NULL},
        {"/a?x=1", 1, "a", "1"},
        {"/a?x=b+c%2B", 1, "a", "b c+"},
        {"/a?x", 1, "a", ""},
        {"/a?x=", 1, "a", ""},
        {"/a?y=2&&x=1&x=3", 1, "a", "1"},
        {"/a?%78=1", 1, "a", "1"},
        {"/a?x=a=b", 1, "a", "a=b"},
        {"http://h/a?x=1", 1, "a", "1"},
        {"HTTPS://h:1/a/b", 2, "b", NULL},
        {"http://h?x=1", 0, NULL, "1"},
        {"*", 0, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct api_request r = {.method = "GET"};
        struct error err = ERROR_INIT;
        const char *x;

        assert_int_equal(api_request_target(&r, cases[i].target, &err), 0);
        assert_int_equal(r.n_segments, cases[i].n);
        if (cases[i].last)
            assert_string_equal(r.segments[r.n_segments - 1], cases[i].last);
        x = api_request_param(&r, "x");
        assert_int_equal(x != NULL, cases[i].x != NULL);
        if (x)
            assert_string_equal(x, cases[i].x);
        api_request_release(&r);
    }
}

static void test_a_malformed_target_is_refused(void **state)
{
    static const char *const cases[] = {"/%",       "/%4",      "/%zz",     "/a%00b",
                                        "/a?x=%0a", "/a?%7f=1", "/a?x=%ff", "/%c0%80",
                                        "/a?x=%",   "/%4/41",   "/\x01",    "/a?x=1%2"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct api_request r = {.method = "GET"};
        struct error err = ERROR_INIT;

        assert_int_equal(api_request_target(&r, cases[i], &err), -1);
        assert_int_equal(err.kind, ERR_INPUT);
        api_request_release(&r);
    }
}

/* start, then part n times */
static void check_limit(const char *start, const char *part, size_t n, int expected)
{
    CLEANUP(buf_release) struct buf target = BUF_INIT(1 << 20);
    struct api_request r = {.method = "GET"};
    struct error err = ERROR_INIT;

    buf_adds(&target, start);
    for (size_t i = 0; i < n; i++)
        buf_adds(&target, part);
    assert_int_equal(api_request_target(&r, buf_str(&target), &err), expected);
    if (expected < 0)
        assert_int_equal(err.kind, ERR_LIMIT);
    api_request_release(&r);
}

static void test_a_target_has_limits(void **state)
{
    (void)state;
    check_limit("/", "a", API_TARGET_MAX - 1, 0);
    check_limit("/", "a", API_TARGET_MAX, -1);
    check_limit("", "/a", API_SEGMENTS_MAX, 0);
    check_limit("", "/a", API_SEGMENTS_MAX + 1, -1);
    check_limit("/a?", "b=&", API_PARAMS_MAX, 0);
    check_limit("/a?", "b=&", API_PARAMS_MAX + 1, -1);
}

static void test_a_number_is_a_number(void **state)
{
    struct api_request r = {.method = "GET"};
    struct error err = ERROR_INIT;
    uint64_t n = 5;

    (void)state;
    assert_int_equal(api_request_target(&r, "/a?x=7&y=-1&z=11&e=", &err), 0);
    assert_int_equal(api_request_number(&r, "x", 10, &n, &err), 0);
    assert_int_equal(n, 7);
    assert_int_equal(api_request_number(&r, "absent", 10, &n, &err), 0);
    assert_int_equal(api_request_number(&r, "e", 10, &n, &err), 0);
    assert_int_equal(n, 7);
    assert_int_equal(api_request_number(&r, "y", 10, &n, &err), -1);
    assert_int_equal(api_request_number(&r, "z", 10, &n, &err), -1);
    api_request_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_target_is_split_and_decoded),
        cmocka_unit_test(test_a_malformed_target_is_refused),
        cmocka_unit_test(test_a_target_has_limits),
        cmocka_unit_test(test_a_number_is_a_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
