/* Retry-After: when a server wants to be asked again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/http.h"

static int64_t retry_after(const char *header)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(16);

    argv_push(&resp.headers, "content-length: 0", header, NULL);
    return http_retry_after(&resp);
}

static void test_it_is_seconds_or_a_date(void **state)
{
    (void)state;
    assert_int_equal(retry_after("retry-after: 7"), 7000);
    assert_true(retry_after("retry-after: Fri, 31 Dec 9999 23:59:59 GMT") >
                INT64_C(200000000000) * 1000);
}

static void test_what_is_past_or_neither_asks_for_nothing(void **state)
{
    (void)state;
    assert_int_equal(retry_after(NULL), 0);
    assert_int_equal(retry_after("retry-after: -7"), 0);
    assert_int_equal(retry_after("retry-after: soon"), 0);
    assert_int_equal(retry_after("retry-after: 99999999999999999999"), 0);
    assert_int_equal(retry_after("retry-after: Wed, 21 Oct 2015 07:28:00 GMT"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_seconds_or_a_date),
        cmocka_unit_test(test_what_is_past_or_neither_asks_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
