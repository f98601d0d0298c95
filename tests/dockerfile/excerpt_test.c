/* Excerpts look as BuildKit prints them, so that the clients' expressions find their lines. */
#include "tests/dockerfile/sample.h"

#define RULE "--------------------\n"

static void must_excerpt(const char *text, int first, int last, const char *want)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 16);

    dockerfile_excerpt_text(text, strlen(text), first, last, &out);
    assert_string_equal(buf_str(&out), want);
}

static void test_two_lines_stand_around_one(void **state)
{
    (void)state;
    must_excerpt("one\ntwo\nthree\nfour\nfive\nsix\nseven", 4, 4,
                 "Dockerfile:4\n" RULE "   2 |     two\n"
                 "   3 |     three\n"
                 "   4 | >>> four\n"
                 "   5 |     five\n"
                 "   6 |     six\n" RULE);
}

static void test_one_line_stands_around_several(void **state)
{
    (void)state;
    must_excerpt("one\ntwo\nthree\nfour\nfive", 2, 3,
                 "Dockerfile:2\n" RULE "   1 |     one\n"
                 "   2 | >>> two\n"
                 "   3 | >>> three\n"
                 "   4 |     four\n" RULE);
}

static void test_the_end_of_the_file_is_a_line(void **state)
{
    struct dockerfile *d = must_parse("FROM alpine:3.22\r\nRUN exit 42\r\n");
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 16);

    (void)state;
    dockerfile_excerpt(d, 2, 2, &out);
    assert_string_equal(buf_str(&out), "Dockerfile:2\n" RULE "   1 |     FROM alpine:3.22\n"
                                       "   2 | >>> RUN exit 42\n"
                                       "   3 |     \n" RULE);
    dockerfile_free(d);
}

static void test_lines_that_are_not_there_have_no_excerpt(void **state)
{
    (void)state;
    must_excerpt("one", 0, 0, "");
    must_excerpt("one", 2, 2, "");
    must_excerpt("one", -5, 1, "");
    must_excerpt("one", 1, 100, "Dockerfile:1\n" RULE "   1 | >>> one\n" RULE);
    must_excerpt("", 1, 1, "Dockerfile:1\n" RULE "   1 | >>> \n" RULE);
}

static void test_an_error_names_its_line(void **state)
{
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(dockerfile_parse("FROM a\n\nFOO\n", 12, &dockerfile_limits_default, &d, &err),
                     -1);
    assert_int_equal(dockerfile_error_line(&err), 3);
    assert_int_equal(error_wrap(&err, "outer"), -1);
    assert_int_equal(dockerfile_error_line(&err), 3);
    assert_int_equal(dockerfile_parse("", 0, &dockerfile_limits_default, &d, &err), -1);
    assert_int_equal(dockerfile_error_line(&err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_lines_stand_around_one),
        cmocka_unit_test(test_one_line_stands_around_several),
        cmocka_unit_test(test_the_end_of_the_file_is_a_line),
        cmocka_unit_test(test_lines_that_are_not_there_have_no_excerpt),
        cmocka_unit_test(test_an_error_names_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
