/* UTF-8 after RFC 3629, numbers, and sizes for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"

#define ROW(text, ok)                                                                              \
    {                                                                                              \
        text, sizeof(text) - 1, ok                                                                 \
    }

static void test_utf8_is_judged_as_rfc_3629_says(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        bool ok;
    } table[] = {
        ROW("", true),
        ROW("plain", true),
        ROW("nul\0inside", true),
        ROW("\xc2\x80", true),         /* the first of two bytes */
        ROW("\xdf\xbf", true),         /* the last */
        ROW("\xe0\xa0\x80", true),     /* the first of three */
        ROW("\xed\x9f\xbf", true),     /* before the surrogates */
        ROW("\xee\x80\x80", true),     /* after them */
        ROW("\xef\xbf\xbf", true),     /* the last of three */
        ROW("\xf0\x90\x80\x80", true), /* the first of four */
        ROW("\xf4\x8f\xbf\xbf", true), /* U+10FFFF */
        ROW("\x80", false),            /* a continuation alone */
        ROW("\xff", false),            /* never a byte of UTF-8 */
        ROW("\xfe", false),
        ROW("\xc0\xaf", false), /* overlong slash, two bytes */
        ROW("\xc1\xbf", false),
        ROW("\xe0\x9f\xbf", false),     /* overlong, three bytes */
        ROW("\xf0\x8f\xbf\xbf", false), /* overlong, four bytes */
        ROW("\xed\xa0\x80", false),     /* the first surrogate */
        ROW("\xed\xbf\xbf", false),     /* the last */
        ROW("\xf4\x90\x80\x80", false), /* U+110000 */
        ROW("\xf5\x80\x80\x80", false),
        ROW("\xf8\x88\x80\x80\x80", false),
        ROW("\xc2", false), /* cut short */
        ROW("\xe2\x82", false),
        ROW("\xf0\x9f\xa6", false),
        ROW("\xe2\x82"
            "a",
            false), /* broken off by another character */
        ROW("\xc3\xc3\xa9", false),
        ROW("ok \xc3\xa9 then \x80", false),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (text_is_utf8(table[i].text, table[i].len) != table[i].ok)
            fail_msg("row %zu is judged wrong", i);
}

static void test_control_bytes_are_found_anywhere(void **state)
{
    (void)state;
    assert_false(text_has_control("", 0));
    assert_false(text_has_control(" ~\xc3\xa9", 4));
    assert_true(text_has_control("a\0", 2));
    assert_true(text_has_control("\ta", 2));
    assert_true(text_has_control("a\x1f", 2));
    assert_true(text_has_control("a\x7f"
                                 "b",
                                 3));
}

static void test_starts_and_ends_compare_bytes(void **state)
{
    (void)state;
    assert_true(text_starts("abc", "ab"));
    assert_true(text_starts("abc", ""));
    assert_false(text_starts("a", "ab"));
    assert_true(text_ends("a.zip", ".zip"));
    assert_true(text_ends("a.zip", ""));
    assert_false(text_ends("zip", ".zip"));
    assert_false(text_ends("a.zip2", ".zip"));
}

static void test_numbers_are_whole_decimal_and_bounded(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } table[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"0010", 10, true, 10},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"", 10, false, 0},
        {"+1", 10, false, 0},
        {"-1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"0x1", 10, false, 0},
        {"1.0", 10, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint64_t value = 77;

        if (text_to_u64(table[i].text, table[i].max, &value) != table[i].ok ||
            value != (table[i].ok ? table[i].value : 77))
            fail_msg("\"%s\" is read wrong", table[i].text);
    }
}

static void test_sizes_read_as_docker_prints_them(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } table[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.0 kB"},
        {1500, "1.5 kB"},
        {9940, "9.9 kB"},
        {9960, "10 kB"},
        {10000, "10 kB"},
        {999499, "999 kB"},
        {999500, "1.0 MB"},
        {2500000000, "2.5 GB"},
        {1000000000000, "1.0 TB"},
        {UINT64_MAX, "18 EB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[TEXT_SIZE];

        text_size(table[i].bytes, text);
        assert_string_equal(text, table[i].text);
    }
}

static void test_sizes_that_somebody_set_read_as_they_were_set(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } table[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1 KiB"},
        {1536, "1536 B"},
        {500000000, "500 MB"},
        {UINT64_C(4) << 30, "4 GiB"},
        {UINT64_C(1536) << 20, "1536 MiB"},
        {UINT64_MAX, "18446744073709551615 B"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[TEXT_SIZE];

        text_exact_size(table[i].bytes, text);
        assert_string_equal(text, table[i].text);
    }
}

static void test_a_word_is_among_words_as_a_whole(void **state)
{
    static const char *const words[] = {"one", "", "two", NULL};

    (void)state;
    assert_true(text_is_among("one", words));
    assert_true(text_is_among("", words));
    assert_true(text_is_among("two", words));
    assert_false(text_is_among("on", words));
    assert_false(text_is_among("twos", words));
    assert_false(text_is_among("", words + 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_is_judged_as_rfc_3629_says),
        cmocka_unit_test(test_control_bytes_are_found_anywhere),
        cmocka_unit_test(test_starts_and_ends_compare_bytes),
        cmocka_unit_test(test_numbers_are_whole_decimal_and_bounded),
        cmocka_unit_test(test_a_word_is_among_words_as_a_whole),
        cmocka_unit_test(test_sizes_read_as_docker_prints_them),
        cmocka_unit_test(test_sizes_that_somebody_set_read_as_they_were_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
