/* Moments as RFC 3339 text, and a clock that tests can set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_moments_are_written_in_utc_with_nanoseconds(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } table[] = {
        {0, "1970-01-01T00:00:00.000000000Z"},
        {1, "1970-01-01T00:00:00.000000001Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {-NS_PER_SEC, "1969-12-31T23:59:59.000000000Z"},
        {INT64_C(1769846950123456789), "2026-01-31T08:09:10.123456789Z"},
        {INT64_C(951782400) * NS_PER_SEC, "2000-02-29T00:00:00.000000000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[CLOCK_TEXT];

        clock_format(table[i].ns, text);
        assert_string_equal(text, table[i].text);
        assert_memory_equal(clock_format_seconds(table[i].ns, text), table[i].text, 19);
        assert_string_equal(text + 19, "Z");
    }
}

static void test_moments_are_read_in_the_forms_that_clients_write(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } table[] = {
        {"1970-01-01T00:00:00", 0},
        {"2026-01-31T08:09:10", INT64_C(1769846950) * NS_PER_SEC},
        {"2026-01-31T08:09:10Z", INT64_C(1769846950) * NS_PER_SEC},
        {"2026-01-31T08:09:10.123456789Z", INT64_C(1769846950123456789)},
        {"2026-01-31T08:09:10.5", INT64_C(1769846950500000000)},
        {"2026-01-31T08:09:10.1234567891", INT64_C(1769846950123456789)},
        {"2026-01-31T09:39:10+01:30", INT64_C(1769846950) * NS_PER_SEC},
        {"2026-01-31T00:09:10.5-08:00", INT64_C(1769846950500000000)},
        {"2000-02-29T00:00:00", INT64_C(951782400) * NS_PER_SEC},
    };
    static const char *const bad[] = {"",
                                      "now",
                                      "2026",
                                      "2026-01-31",
                                      "2026-01-31 08:09:10",
                                      "2026-1-31T08:09:10",
                                      "2026-02-30T08:09:10",
                                      "2025-02-29T00:00:00",
                                      "2026-13-01T00:00:00",
                                      "2026-00-01T00:00:00",
                                      "2026-01-31T24:00:00",
                                      "2026-01-31T08:60:10",
                                      "2026-01-31T08:09:60",
                                      "2026-01-31T08:09:10.",
                                      "2026-01-31T08:09:10ZZ",
                                      "2026-01-31T08:09:10+1",
                                      "2026-01-31T08:09:10+0100",
                                      "1969-12-31T23:59:59",
                                      "2262-01-01T00:00:00",
                                      "-026-01-31T08:09:10"};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int64_t ns = -1;

        assert_true(clock_parse(table[i].text, &ns));
        assert_int_equal(ns, table[i].ns);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ns = 7;

        if (clock_parse(bad[i], &ns))
            fail_msg("%s was read", bad[i]);
        assert_int_equal(ns, 7);
    }
}

static int64_t fixed(void *self)
{
    return *(int64_t *)self;
}

static void test_a_clock_can_be_set_by_a_test(void **state)
{
    int64_t moment = 42;
    struct clock c = {.now = fixed, .self = &moment};

    (void)state;
    assert_int_equal(clock_now(&c), 42);
    moment++;
    assert_int_equal(clock_now(&c), 43);
}

static void test_the_machines_clocks_run(void **state)
{
    int64_t before = clock_monotonic();

    (void)state;
    assert_true(clock_now(&clock_system) > INT64_C(1700000000) * NS_PER_SEC);
    assert_true(clock_monotonic() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments_are_written_in_utc_with_nanoseconds),
        cmocka_unit_test(test_moments_are_read_in_the_forms_that_clients_write),
        cmocka_unit_test(test_a_clock_can_be_set_by_a_test),
        cmocka_unit_test(test_the_machines_clocks_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
