/* What an ignore file leaves out, beyond the cases in shared/conformance.  The expected answers to
 * the first table are those of moby/patternmatcher 0.6.1, whose oddities are meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/dockerfile.h"

static struct dockerfile_ignore *read_text(const char *text)
{
    struct dockerfile_ignore *g = NULL;
    struct error err = ERROR_INIT;

    if (dockerfile_ignore_parse(text, strlen(text), &g, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return g;
}

struct answer {
    const char *text, *path;
    bool ignored;
};

static void check(const struct dockerfile_ignore *g, const struct answer *a)
{
    if (dockerfile_ignore_matches(g, a->path) != a->ignored)
        fail_msg("\"%s\" must %signore %s", a->text, a->ignored ? "" : "not ", a->path);
}

static void test_patterns_mean_what_the_expressions_made_of_them_mean(void **state)
{
    static const struct answer table[] = {
        /* what only a whole expression would part at a slash */
        {"**file", "a/profile", true},
        {"**file", "a/profiles", false},
        {"**/file", "a/profile", false},
        {"dir**", "dirs/x", true},
        {"a/**", "a", false},
        {"a**b", "axb", false},
        {"a**b", "a/x/b", true},
        {"a**b", "ax/b", true},
        /* wildcards inside a class are translated too */
        {"a[*]", "a*", false},
        {"a[*]", "a]", true},
        {"a[*]", "a[^/]", true},
        {"a[?]b", "a/]b", true},
        {"a[**]", "a.", true},
        {"a[**]", "a*", true},
        {"a[**]", "ab", false},
        {"a[[:digit:]]b", "a7b", true},
        {"a[[:digit:]]b", "axb", false},
        {"a[[:^digit:]]b", "axb", true},
        {"a[\\d_]", "a_", true},
        {"a[\\D]", "a7", false},
        {"a[^\\D]", "a7", true},
        /* and a ^ outside of one stays an anchor */
        {"a^b", "a^b", true},
        {"a^b*", "a^b", false},
        {"^*", "b", true},
        /* \-escapes */
        {"foo\\bar", "foobar", false},
        {"foo\\data", "foo7ata", true},
        {"foo\\wx", "foo_x", true},
        {"foo\\sx", "foo\tx", true},
        {"foo\\tx", "foo\tx", true},
        {"foo\\b", "foo", true},
        {"foo\\b*", "foo-x", true},
        {"foo\\b*", "foox", false},
        {"foo\\B*", "foox", true},
        {"foo\\z*", "foo", true},
        {"foo\\z*", "foo/x", true},
        {"foo\\z/x", "foo/x", false},
        {"\\x61b", "ab", true},
        {"\\141b", "ab", true},
        {"\\Qa*", "a[^/]*$/b", true},
        {"\\Qa*\\E", "a[^/]*", true},
        {"\\_\\.", "_.", true},
        /* characters, not bytes; and bytes that are none */
        {"a?b",
         "a\xe2\x98\xba"
         "b",
         true},
        {"a?b",
         "a\xff"
         "b",
         true},
        {"a\xff*", "a\xef\xbf\xbd", true},
        {"*", "a\nb", true},
        {"a/**/b", "a/\n/b", false},
        /* lines */
        {"./!a\na", "a", true},
        {"a\n./!a", "a", false},
        {"a\n!!a", "a", true},
        {"a\n! /a", "a", false},
        {"/../a", "a", true},
        {"../../a/..", "../..", true},
        {"a/./b//c/../d", "a/b/d", true},
        {"#a\n #b", "#b", true},
        {"\xc2\xa0"
         "a\xe2\x80\x83",
         "a", true},
        {"\xef\xbb\xbf"
         "a\n\xef\xbb\xbf"
         "b",
         "b", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct dockerfile_ignore *g = read_text(table[i].text);

        check(g, &table[i]);
        dockerfile_ignore_free(g);
    }
}

struct refusal {
    const char *text;
    enum error_kind kind;
    const char *message;
};

static void check_refusal(const struct refusal *r)
{
    struct dockerfile_ignore *g = NULL;
    struct error err = ERROR_INIT;

    if (dockerfile_ignore_parse(r->text, strlen(r->text), &g, &err) == 0)
        fail_msg("%s was accepted", r->text);
    assert_null(g);
    assert_int_equal(err.kind, r->kind);
    assert_string_equal(err.msg, r->message);
}

static void test_what_is_no_pattern_is_refused_with_its_line(void **state)
{
    static const char *const bad[] = {
        "[",
        "[]a]",
        "[a",
        "[a-]",
        "[-a]",
        "[^",
        "a\\",
        "[\\",
        "[a-b-c]",
        "*[",
        "[\xff]",
        /* patterns, but not what they become */
        "[b-a]",
        "obj\\Release",
        "\\1",
        "\\9",
        "\\x6",
        "\\xg0",
        "\\pL",
        "\\\xc3\xa9",
        "[[:wurst:]]",
        "[a-*]",
        "a[\\b]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "# one\n\n%s\nlast", bad[i]);
        check_refusal(&(struct refusal){text, ERR_INPUT, "line 3: syntax error in pattern"});
    }
    check_refusal(
        &(struct refusal){"a\n ! \n", ERR_INPUT, "line 2: illegal exclusion pattern: \"!\""});
    check_refusal(&(struct refusal){"!/", ERR_INPUT, "line 1: illegal exclusion pattern: \"!\""});
}

static void repeat(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_adds(out, text);
}

static void check_limit(const char *text, size_t n, const char *message)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(4 << 20);

    repeat(&all, text, n);
    check_refusal(&(struct refusal){buf_str(&all), ERR_LIMIT, message});
}

static void test_there_are_limits(void **state)
{
    struct dockerfile_ignore *g;
    CLEANUP(buf_release) struct buf most = BUF_INIT(4 << 20);

    (void)state;
    check_limit("a\n", DOCKERFILE_IGNORE_PATTERNS_MAX + 1, "line 10001: more than 10000 patterns");
    check_limit("a", DOCKERFILE_IGNORE_PATTERN_MAX + 1,
                "line 1: the pattern is longer than 4096 bytes");
    check_limit("abc*\n", (DOCKERFILE_IGNORE_WILD_MAX / 4) + 1,
                "line 10001: more than 10000 patterns");
    check_limit("abcdefghijklmno*\n", (DOCKERFILE_IGNORE_WILD_MAX / 16) + 1,
                "line 4097: more than 65536 bytes of patterns with wildcards");
    check_limit("#", DOCKERFILE_IGNORE_TEXT_MAX + 1,
                "the ignore file is larger than 1048576 bytes");
    check_limit("\\Q******", 2000, "line 1: the pattern is longer than 4096 bytes");
    check_limit("\\Q******", 500, "line 1: the pattern is too long");
    repeat(&most, "a\n", DOCKERFILE_IGNORE_PATTERNS_MAX);
    repeat(&most, "#", DOCKERFILE_IGNORE_TEXT_MAX - most.len);
    g = read_text(buf_str(&most));
    dockerfile_ignore_free(g);
}

static void test_the_last_pattern_that_matches_decides_and_may_bring_back(void **state)
{
    struct dockerfile_ignore *g = read_text("*\n!src/*.c\n!docs\ndocs/**/x\n!**/keep\n");
    static const struct answer table[] = {
        {"*", "src", true},        {"*", "src/a.h", true},   {"*", "src/a.c", false},
        {"*", "docs", false},      {"*", "docs/a", false},   {"*", "docs/a/x", true},
        {"*", "docs/x/y", true},   {"*", "any/keep", false}, {"*", "any/keep/x", false},
        {"*", "any/keeper", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        check(g, &table[i]);
    assert_true(dockerfile_ignore_has_exceptions(g));
    dockerfile_ignore_free(g);
    g = read_text("*\n");
    assert_false(dockerfile_ignore_has_exceptions(g));
    dockerfile_ignore_free(g);
}

static void test_a_directory_is_walked_when_something_below_it_may_come_back(void **state)
{
    static const struct {
        const char *text, *dir;
        bool may;
    } table[] = {
        {"*", "a", false},           {"*\n!a", "a", true},           {"*\n!a", "ab", false},
        {"*\n!ab", "a", false},      {"*\n!a/b/c", "a", true},       {"*\n!a/b/c", "a/b", true},
        {"*\n!a/b/c", "a/c", false}, {"*\n!a/b/c", "a/b/c/d", true}, {"*\n!a/*.c", "a", true},
        {"*\n!a/*.c", "a/x", true},  {"*\n!a/*.c", "b", false},      {"*\n!a*/x", "abc", true},
        {"*\n!**/x", "any", true},   {"*\n!a/**", "a", true},        {"*\n!a/**", "b", false},
        {"*\n!\\a", "b", true},      {"*\n!ab*", "a", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct dockerfile_ignore *g = read_text(table[i].text);

        if (dockerfile_ignore_may_reinclude(g, table[i].dir) != table[i].may)
            fail_msg("%s and %s", table[i].text, table[i].dir);
        dockerfile_ignore_free(g);
    }
}

static void test_the_rules_of_one_dockerfile_come_before_those_of_all(void **state)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    (void)state;
    dockerfile_ignore_names("docker/api.Dockerfile", &names);
    assert_int_equal(names.n, 2);
    assert_string_equal(names.v[0], "docker/api.Dockerfile.dockerignore");
    assert_string_equal(names.v[1], ".dockerignore");
}

static void test_a_blaxelignore_names_files_wherever_they_are(void **state)
{
    static const char text[] = "node_modules\n.env\nlogs/*.txt\n!keep/.env\n/src/gen\n";
    static const struct answer table[] = {
        {"", "node_modules/x", true}, {"", "a/node_modules/x", true}, {"", "a/.env", true},
        {"", "a/.envrc", false},      {"", "a/logs/x.txt", false},    {"", "logs/x.txt", true},
        {"", "keep/.env", false},     {"", "a/keep/.env", false},     {"", "a/src/gen", true},
    };
    struct dockerfile_ignore *g = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(dockerfile_ignore_parse_blaxel(text, sizeof(text) - 1, &g, &err), 0);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        check(g, &table[i]);
    dockerfile_ignore_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_mean_what_the_expressions_made_of_them_mean),
        cmocka_unit_test(test_what_is_no_pattern_is_refused_with_its_line),
        cmocka_unit_test(test_there_are_limits),
        cmocka_unit_test(test_the_last_pattern_that_matches_decides_and_may_bring_back),
        cmocka_unit_test(test_a_directory_is_walked_when_something_below_it_may_come_back),
        cmocka_unit_test(test_the_rules_of_one_dockerfile_come_before_those_of_all),
        cmocka_unit_test(test_a_blaxelignore_names_files_wherever_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
