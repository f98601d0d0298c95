/* A buffer grows to its ceiling and no further, and remembers that it was asked to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void test_an_empty_buffer_reads_as_an_empty_string(void **state)
{
    struct buf b = BUF_INIT(10);
    char *taken;

    (void)state;
    assert_string_equal(buf_str(&b), "");
    taken = buf_take(&b);
    assert_string_equal(taken, "");
    free(taken);
}

static void test_appends_of_all_forms_join(void **state)
{
    struct buf b = BUF_INIT(1000);
    struct error err = ERROR_INIT;

    (void)state;
    buf_add(&b, "a\0b", 3);
    buf_adds(&b, "cd");
    buf_addc(&b, 'e');
    buf_addf(&b, "%05d", 42);
    assert_int_equal(b.len, 11);
    assert_memory_equal(buf_str(&b), "a\0bcde00042", 12);
    assert_int_equal(buf_check(&b, "text", &err), 0);
    buf_release(&b);
}

static void test_the_ceiling_itself_is_allowed(void **state)
{
    struct buf b = BUF_INIT(100);
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < 100; i++)
        buf_addc(&b, 'x');
    assert_int_equal(buf_check(&b, "text", &err), 0);
    assert_int_equal(strlen(buf_str(&b)), 100);
    buf_release(&b);
}

static void test_past_the_ceiling_the_error_sticks(void **state)
{
    struct buf b = BUF_INIT(4);
    struct error err = ERROR_INIT;

    (void)state;
    buf_adds(&b, "abc");
    buf_adds(&b, "de");
    buf_addc(&b, 'f'); /* would fit, but something before it is missing */
    assert_string_equal(buf_str(&b), "abc");
    assert_int_equal(buf_check(&b, "the log", &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.msg, "the log is larger than 4 bytes");
    buf_release(&b);
}

static void test_a_format_past_the_ceiling_adds_nothing(void **state)
{
    struct buf b = BUF_INIT(4);

    (void)state;
    buf_addf(&b, "%s", "12345");
    assert_true(b.full);
    assert_int_equal(b.len, 0);
    buf_release(&b);
}

static void test_clearing_forgets_content_and_error(void **state)
{
    struct buf b = BUF_INIT(4);
    struct error err = ERROR_INIT;

    (void)state;
    buf_adds(&b, "abcde");
    buf_clear(&b);
    buf_adds(&b, "ok");
    assert_int_equal(buf_check(&b, "text", &err), 0);
    assert_string_equal(buf_str(&b), "ok");
    buf_release(&b);
}

static void test_taking_leaves_an_empty_buffer_that_can_go_on(void **state)
{
    struct buf b = BUF_INIT(100);
    char *taken;

    (void)state;
    buf_adds(&b, "first");
    taken = buf_take(&b);
    buf_adds(&b, "second");
    assert_string_equal(taken, "first");
    assert_string_equal(buf_str(&b), "second");
    free(taken);
    buf_release(&b);
}

static void test_a_size_near_the_largest_does_not_wrap(void **state)
{
    struct buf b = BUF_INIT(SIZE_MAX);

    (void)state;
    buf_adds(&b, "abc");
    buf_add(&b, "", SIZE_MAX - 3);
    assert_true(b.full);
    assert_int_equal(b.len, 3);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_buffer_reads_as_an_empty_string),
        cmocka_unit_test(test_appends_of_all_forms_join),
        cmocka_unit_test(test_the_ceiling_itself_is_allowed),
        cmocka_unit_test(test_past_the_ceiling_the_error_sticks),
        cmocka_unit_test(test_a_format_past_the_ceiling_adds_nothing),
        cmocka_unit_test(test_clearing_forgets_content_and_error),
        cmocka_unit_test(test_taking_leaves_an_empty_buffer_that_can_go_on),
        cmocka_unit_test(test_a_size_near_the_largest_does_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
