/* A list of words stays NULL-terminated as it grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/argv.h"

static void test_words_are_copied_in_order(void **state)
{
    struct argv a = ARGV_INIT;
    char word[] = "three";

    (void)state;
    argv_push(&a, "one", "two", NULL);
    argv_push1(&a, word);
    word[0] = 'X';
    argv_pushf(&a, "%s=%d", "four", 4);
    assert_int_equal(a.n, 4);
    assert_string_equal(a.v[0], "one");
    assert_string_equal(a.v[2], "three");
    assert_string_equal(a.v[3], "four=4");
    assert_null(a.v[4]);
    argv_release(&a);
}

static void test_the_end_is_null_at_every_length(void **state)
{
    struct argv a = ARGV_INIT;

    (void)state;
    for (size_t i = 1; i <= 200; i++) {
        argv_pushf(&a, "%zu", i);
        assert_int_equal(a.n, i);
        assert_null(a.v[i]);
    }
    assert_false(a.failed);
    assert_string_equal(a.v[199], "200");
    argv_release(&a);
}

static void test_contains_compares_whole_words(void **state)
{
    struct argv a = ARGV_INIT;

    (void)state;
    assert_false(argv_contains(&a, "alpha"));
    argv_push(&a, "alpha", "", NULL);
    assert_true(argv_contains(&a, "alpha"));
    assert_true(argv_contains(&a, ""));
    assert_false(argv_contains(&a, "alph"));
    assert_false(argv_contains(&a, "alphabet"));
    argv_release(&a);
}

static void test_sorted_the_words_are_in_byte_order(void **state)
{
    struct argv a = ARGV_INIT;

    (void)state;
    argv_sort(&a);
    assert_int_equal(a.n, 0);
    argv_push(&a, "b", "B", "", "\xc3\xa4", "a", "ab", "b", NULL);
    argv_sort(&a);
    for (size_t i = 1; i < a.n; i++)
        assert_true(strcmp(a.v[i - 1], a.v[i]) <= 0);
    assert_string_equal(a.v[0], "");
    assert_string_equal(a.v[1], "B");
    assert_string_equal(a.v[6], "\xc3\xa4");
    assert_null(a.v[7]);
    argv_release(&a);
}

static void test_released_it_is_empty_and_can_be_used_again(void **state)
{
    struct argv a = ARGV_INIT;

    (void)state;
    argv_push1(&a, "one");
    argv_release(&a);
    argv_release(&a);
    assert_int_equal(a.n, 0);
    argv_push1(&a, "two");
    assert_string_equal(a.v[0], "two");
    argv_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_copied_in_order),
        cmocka_unit_test(test_the_end_is_null_at_every_length),
        cmocka_unit_test(test_contains_compares_whole_words),
        cmocka_unit_test(test_sorted_the_words_are_in_byte_order),
        cmocka_unit_test(test_released_it_is_empty_and_can_be_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
