/* Wildcards: Go's filepath.Match, and stars of any depth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <string.h>

#include "builder/copy_glob.h"

static const struct {
    const char *pattern, *path;
    bool matches;
} go[] =
    {
        {"abc", "abc", true},
        {"*", "abc", true},
        {"*", "", true},
        {"*", ".hidden", true},
        {"*", "a/b", false},
        {"*c", "abc", true},
        {"a*", "a", true},
        {"a*", "ab/c", false},
        {"a*/b", "abc/b", true},
        {"a*/b", "a/c/b", false},
        {"a*b*c*d*e*/f", "axbxcxdxe/f", true},
        {"a*b*c*d*e*/f", "axbxcxdxexxx/fff", false},
        {"a*b?c*x", "abxbbxdbxebxczzx", true},
        {"a*b?c*x", "abxbbxdbxebxczzy", false},
        {"ab[c]", "abc", true},
        {"ab[b-d]", "abc", true},
        {"ab[e-g]", "abc", false},
        {"ab[^c]", "abc", false},
        {"ab[^e-g]", "abc", true},
        {"a\\*b", "a*b", true},
        {"a\\*b", "ab", false},
        {"a?b", "a\u263ab", true},
        {"a[^a]b", "a\u263ab", true},
        {"a???b", "a\u263ab", false},
        {"[a-\u03b6]*", "\u03b1", true},
        {"*[a-\u03b6]", "A", false},
        {"a?b", "a/b", false},
        {"a*b", "a/b", false},
        {"a[^x]b", "a/b", true}, /* so it is in Go */
        {"[\\]a]", "]", true},
        {"[\\-]", "-", true},
        {"[x\\-]", "-", true},
        {"[x\\-]", "z", false},
        {"[\\-x]", "x", true},
        {"*x", "xxx", true},
        {"a**b", "axyb", true},
        {"a**b", "ax/yb", false},
        {"**/b", "a/b", true},
        {"**/b", "b", false},
        {"?", "\xff", true},
        {"\xff", "\xff", true},
        {"\xff", "\xfe", false},
        {"a", "b", false},
        {"", "", true},
        {"", "a", false},
},
  deep[] = {
      {"**/b", "b", true},         {"**/b", "a/b", true},        {"**/b", "x/y/b", true},
      {"**/b", "ab", false},       {"**/b", "x/ab", false},      {"a/**/b", "a/b", true},
      {"a/**/b", "a/x/y/b", true}, {"a/**/b", "a/xb", false},    {"a/**", "a/x/y", true},
      {"a/**", "b/x", false},      {"**", "a/b/c", true},        {"**/*.js", "x/y.js", true},
      {"**/*.js", "y.js", true},   {"**/*.js", "x.js/y", false}, {"*/**/c", "a/b/c", true},
      {"*/**/c", "c", false},
};

static void check(const char *pattern, const char *path, bool any_depth, bool matches)
{
    CLEANUP(copy_glob_freep) struct copy_glob *g = NULL;
    struct error err = ERROR_INIT;

    if (copy_glob_compile(pattern, any_depth, &g, &err) < 0)
        fail_msg("%s: %s", pattern, err.msg);
    if (copy_glob_matches(g, path) != matches)
        fail_msg("%s %s %s", pattern, matches ? "does not match" : "matches", path);
}

static void test_patterns_match_as_in_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(go) / sizeof(go[0]); i++)
        check(go[i].pattern, go[i].path, false, go[i].matches);
}

static void test_two_stars_stand_for_any_directories(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(deep) / sizeof(deep[0]); i++)
        check(deep[i].pattern, deep[i].path, true, deep[i].matches);
}

static void test_a_bad_pattern_is_refused(void **state)
{
    static const char *const bad[] = {"[]a]", "[-]", "[x-]", "[-x]", "a[",    "[a-b-c]",
                                      "[",    "[^",  "[^bc", "a\\",  "[\xff]"};
    struct copy_glob *g = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (copy_glob_compile(bad[i], false, &g, &err) == 0)
            fail_msg("%s is taken for a pattern", bad[i]);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_non_null(strstr(err.msg, "syntax error in pattern"));
    }
}

static void test_a_directory_is_walked_only_when_something_below_may_match(void **state)
{
    static const struct {
        const char *pattern, *directory;
        bool leads;
    } ways[] = {
        {"a/b/c", "a", true},       {"a/b/c", "a/b", true},    {"a/b/c", "a/b/c", false},
        {"a/b/c", "b", false},      {"*", "a", false},         {"*/x", "a", true},
        {"*/x", "a/b", false},      {"a*/x", "ba", false},     {"**/x", "any/where", true},
        {"src/**/x", "doc", false}, {"src/**/x", "src", true}, {"a", "", false},
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        CLEANUP(copy_glob_freep) struct copy_glob *g = NULL;

        assert_int_equal(copy_glob_compile(ways[i].pattern, true, &g, &err), 0);
        if (copy_glob_leads_below(g, ways[i].directory) != ways[i].leads)
            fail_msg("%s below %s", ways[i].pattern, ways[i].directory);
    }
}

static void test_a_long_pattern_has_a_limit_and_no_pattern_is_slow(void **state)
{
    CLEANUP(copy_glob_freep) struct copy_glob *g = NULL;
    struct error err = ERROR_INIT;
    char pattern[COPY_GLOB_MAX + 2], path[4096];

    (void)state;
    memset(pattern, '*', sizeof(pattern));
    pattern[sizeof(pattern) - 1] = '\0';
    assert_int_equal(copy_glob_compile(pattern, false, &g, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[COPY_GLOB_MAX] = '\0';
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    path[sizeof(path) - 2] = 'b';
    assert_int_equal(copy_glob_compile(pattern, false, &g, &err), 0);
    assert_false(copy_glob_matches(g, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_match_as_in_go),
        cmocka_unit_test(test_two_stars_stand_for_any_directories),
        cmocka_unit_test(test_a_bad_pattern_is_refused),
        cmocka_unit_test(test_a_directory_is_walked_only_when_something_below_may_match),
        cmocka_unit_test(test_a_long_pattern_has_a_limit_and_no_pattern_is_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
