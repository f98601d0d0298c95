/* Errors keep their kind, wrap outer before inner, and never end inside a character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

static void test_setting_an_error_says_whose_fault_it_is(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(error_set(&err, ERR_INPUT, "read %s: %d", "a.zip", 7), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_string_equal(err.msg, "read a.zip: 7");
}

static void test_errno_becomes_the_reason_at_the_end(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(error_errno(&err, ENOENT, "open %s", "x"), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_string_equal(err.msg, "open x: No such file or directory");
}

static void test_wrapping_goes_outside_and_keeps_the_kind(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)error_set(&err, ERR_REMOTE, "HTTP 507");
    assert_int_equal(error_wrap(&err, "push %s", "blob"), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_string_equal(err.msg, "push blob: HTTP 507");
}

static void test_a_long_message_is_cut_and_terminated(void **state)
{
    char text[3000];
    struct error err = ERROR_INIT;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)error_set(&err, ERR_INPUT, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    (void)error_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

/* The cut lands on every byte of a 2, 3 and 4 byte character. */
static void test_a_cut_never_splits_a_character(void **state)
{
    static const char *const characters[] = {"é", "→", "🦀"};

    (void)state;
    for (size_t c = 0; c < 3; c++)
        for (int pad = 0; pad < 5; pad++) {
            char text[2048] = "";
            struct error err = ERROR_INIT;

            memset(text, 'a', (size_t)pad);
            while (strlen(text) < sizeof(err.msg) + 8)
                strncat(text, characters[c], 5);
            (void)error_set(&err, ERR_INPUT, "%s", text);
            assert_true(text_is_utf8(err.msg, strlen(err.msg)));
            assert_in_range(strlen(err.msg), sizeof(err.msg) - 4, sizeof(err.msg) - 1);
        }
}

static void test_only_remote_and_system_faults_are_tried_again(void **state)
{
    static const struct {
        enum error_kind kind;
        const char *name;
        bool retry;
    } table[] = {
        {ERR_NONE, "none", false},    {ERR_INPUT, "input", false},  {ERR_LIMIT, "limit", false},
        {ERR_REMOTE, "remote", true}, {ERR_SYSTEM, "system", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_string_equal(error_kind_name(table[i].kind), table[i].name);
        assert_int_equal(error_may_retry(table[i].kind), table[i].retry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setting_an_error_says_whose_fault_it_is),
        cmocka_unit_test(test_errno_becomes_the_reason_at_the_end),
        cmocka_unit_test(test_wrapping_goes_outside_and_keeps_the_kind),
        cmocka_unit_test(test_a_long_message_is_cut_and_terminated),
        cmocka_unit_test(test_a_cut_never_splits_a_character),
        cmocka_unit_test(test_only_remote_and_system_faults_are_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
