/* Versions and ranges of npm, and the few facts that are read of YAML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "dockerfile/generate/semver.h"
#include "dockerfile/generate/yaml_lines.h"

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

static void test_a_range_allows_what_node_semver_says_it_does(void **state)
{
    static const struct {
        const char *range, *yes, *no; /* versions, parted by blanks */
    } table[] = {
        {"", "0.0.0 22.1.0", ""},
        {"*", "0.0.0 22.1.0", ""},
        {" x ", "9.9.9", ""},
        {"22", "22.0.0 22.999.0", "21.9.9 23.0.0"},
        {"v22.4", "22.4.0 22.4.9", "22.5.0 22.3.9"},
        {"=22.4.1", "22.4.1", "22.4.0 22.4.2"},
        {"22.x", "22.0.0 22.7.1", "23.0.0"},
        {"22.x.3", "22.0.0 22.7.1", "23.0.0"},
        {"22.4.X", "22.4.3", "22.5.0"},
        {">=18", "18.0.0 24.0.0", "17.9.9"},
        {">= 18.17", "18.17.0 20.0.0", "18.16.9"},
        {">18", "19.0.0", "18.0.0 18.99.0"},
        {">18.2.3", "18.2.4", "18.2.3"},
        {"<20", "19.9.9 0.0.0", "20.0.0"},
        {"<=20", "20.99.0", "21.0.0"},
        {"<=20.1.2", "20.1.2", "20.1.3"},
        {">=18 <21", "18.0.0 20.9.9", "21.0.0 17.0.0"},
        {">=18.0.0 <19.0.0 || >=20.0.0 <21.0.0", "18.5.0 20.5.0", "19.5.0 21.0.0"},
        {"^18.12.0 || ^20.9.0 || >=22", "18.12.0 20.9.1 22.0.0 30.0.0", "18.11.0 20.8.0 21.0.0"},
        {"^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"},
        {"^0.2.3", "0.2.3 0.2.9", "0.3.0 1.0.0"},
        {"^0.0.3", "0.0.3", "0.0.4 0.0.2"},
        {"^0.0", "0.0.9", "0.1.0"},
        {"^0.x", "0.9.0", "1.0.0"},
        {"^1.x", "1.0.0", "2.0.0"},
        {"^*", "7.0.0", ""},
        {"~1.2.3", "1.2.9", "1.3.0 1.2.2"},
        {"~1.2", "1.2.0", "1.3.0"},
        {"~1", "1.9.0", "2.0.0"},
        {"~> 1.2", "1.2.7", "1.3.0"},
        {"18 - 20", "18.0.0 20.99.0", "17.0.0 21.0.0"},
        {"1.2.3 - 2.3", "1.2.3 2.3.9", "2.4.0 1.2.2"},
        {"1.2 - 2.3.4", "1.2.0 2.3.4", "2.3.5"},
        {">=20.0.0-rc.1", "20.0.0", "19.9.9"},
        {"<20.0.0-0", "19.9.9", "20.0.0"},
        {">20.0.0-rc.1", "20.0.0", "19.9.9"},
        {"<=20.0.0-rc.1", "19.9.9", "20.0.0"},
        {"1.2.3+build.5", "1.2.3", "1.2.4"},
        {"||", "1.0.0", ""},
        {"1 ||", "5.0.0", ""},
        {">=5 <4", "", "4.0.0 5.0.0"},
        {"<*", "", "0.0.0 1.0.0"},
        {">*", "", "0.0.0 1.0.0"},
        {"999999.999999.999999", "999999.999999.999999", "999999.999999.999998"},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++) {
        const char *const lists[] = {table[i].no, table[i].yes};
        struct semver_range range;

        if (!semver_range_parse(table[i].range, &range))
            fail_msg("\"%s\" is no range", table[i].range);
        for (int want = 0; want < 2; want++)
            for (const char *p = lists[want]; *p; p += strspn(p, " ")) {
                char text[64];
                struct semver v;
                int parts;

                (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(p, " "), p);
                p += strcspn(p, " ");
                assert_true(semver_parse(text, &v, &parts));
                if (semver_range_allows(&range, &v) != want)
                    fail_msg("\"%s\": %s", table[i].range, text);
            }
    }
}

static void test_what_is_no_range_is_refused(void **state)
{
    static const char *const table[] = {
        "latest",  "lts/*",
        "1.2.3.4", "1.",
        "1..2",    ".1",
        "-1",      "1 -",
        "1 - ",    "- 2",
        "1 -2",    ">=",
        "> =1",    ">>1",
        "1,2",     ">=18<20",
        "1 | 2",   "|",
        "|||",     "1.2.3-",
        "1.2.3+",  "1.2.3-\xc3\xa4",
        "vv1",     "01234567",
        "1000000", "^^1",
        "1 && 2",  "${NODE}",
        "1\n.2",   "1 - 2 - 3x",
    };
    struct semver_range range = {.n = 7};

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++)
        if (semver_range_parse(table[i], &range))
            fail_msg("\"%s\" is taken for a range", table[i]);
    assert_int_equal(range.n, 7);
}

static void test_a_range_larger_than_the_limits_is_refused(void **state)
{
    char text[SEMVER_TEXT_MAX + 2];
    struct semver_range range;

    (void)state;
    memset(text, ' ', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(semver_range_parse(text, &range));
    text[sizeof(text) - 2] = '\0';
    assert_true(semver_range_parse(text, &range));
    for (size_t i = 0; i < SEMVER_ALTERNATIVES_MAX; i++)
        memcpy(text + 3 * i, "1||", 3);
    text[3 * SEMVER_ALTERNATIVES_MAX - 2] = '\0';
    assert_true(semver_range_parse(text, &range));
    assert_int_equal(range.n, SEMVER_ALTERNATIVES_MAX);
    text[3 * SEMVER_ALTERNATIVES_MAX - 2] = '|';
    text[3 * SEMVER_ALTERNATIVES_MAX] = '\0';
    assert_false(semver_range_parse(text, &range));
}

static void test_a_version_says_how_many_parts_it_has(void **state)
{
    static const struct {
        const char *text;
        int parts;
        unsigned v[3];
    } table[] = {{"22", 1, {22, 0, 0}},
                 {"v22.4", 2, {22, 4, 0}},
                 {"22.4.1", 3, {22, 4, 1}},
                 {"4.0.0-rc.45+sha224.abc", 3, {4, 0, 0}},
                 {"22.x", 1, {22, 0, 0}},
                 {"", 0, {0}},
                 {"x", 0, {0}},
                 {"22-rc.1", 0, {0}},
                 {"1.2.3 ", 0, {0}},
                 {"^1.2.3", 0, {0}}};

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++) {
        struct semver v = {{7, 7, 7}};
        int parts = 0;

        assert_int_equal(semver_parse(table[i].text, &v, &parts), table[i].parts > 0);
        assert_int_equal(parts, table[i].parts);
        if (parts > 0)
            assert_memory_equal(v.v, table[i].v, sizeof(v.v));
    }
}

/* ---- YAML ---- */

static void test_a_scalar_of_yaml_is_read_without_quotes_and_comments(void **state)
{
    static const struct {
        const char *text, *value; /* NULL: not found */
    } table[] = {
        {"k: 5.4\n", "5.4"},
        {"# k: 1\na: b\nk: '6.0'\n", "6.0"},
        {"k: \"9.0\" # newest\r\n", "9.0"},
        {"k: a b # c", "a b"},
        {"k: a#b", "a#b"},
        {"k:\n", NULL},
        {"k:1\n", NULL},
        {" k: 1\n", NULL},
        {"kk: 1\n", NULL},
        {"k: 'open\n'", NULL},
        {"k: # only\n", NULL},
        {"k: 0123456789abcdef\n", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++) {
        char value[16];

        assert_int_equal(yaml_scalar(table[i].text, "k", value, sizeof(value)),
                         table[i].value != NULL);
        assert_string_equal(value, table[i].value ? table[i].value : "");
    }
}

static void test_a_list_of_yaml_is_read_in_both_forms(void **state)
{
    static const struct {
        const char *text, *items; /* parted by "," */
    } table[] = {
        {"k:\n  - 'a/*'\n\n  # no\n  - \"b\" # b\n- c\nother:\n  - d\n", "a/*,b,c"},
        {"k: [a, 'b/*', \"c\"]\n", "a,b/*,c"},
        {"k: []\n", ""},
        {"k:\n", ""},
        {"k: [a, 'b\n", "a"},
        {"k:\n  -\n  - a\n  b: c\n  - d", "a"},
        {"j:\n  - a\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++) {
        CLEANUP(argv_release) struct argv list = ARGV_INIT;
        char joined[64] = "";
        struct error err = ERROR_INIT;

        assert_int_equal(yaml_list(table[i].text, "k", 10, &list, &err), 0);
        for (size_t k = 0; k < list.n; k++)
            (void)snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
                           k ? "," : "", list.v[k]);
        assert_string_equal(joined, table[i].items);
    }
}

static void test_a_list_of_yaml_that_is_too_long_is_refused(void **state)
{
    CLEANUP(argv_release) struct argv block = ARGV_INIT, flow = ARGV_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(yaml_list("k:\n- a\n- b\n- c\n", "k", 2, &block, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    err = (struct error)ERROR_INIT;
    assert_int_equal(yaml_list("k: [a,b,c]", "k", 2, &flow, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void test_another_key_of_yaml_is_found(void **state)
{
    static const char *const known[] = {"packages", "catalog", NULL};
    char key[16];

    (void)state;
    assert_false(yaml_other_key("packages:\n  - a\ncatalog:\n  x: 1\n", known, key, 16));
    assert_true(yaml_other_key("packages:\n  - a\noverrides:\n  x: 1\n", known, key, 16));
    assert_string_equal(key, "overrides");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_range_allows_what_node_semver_says_it_does),
        cmocka_unit_test(test_what_is_no_range_is_refused),
        cmocka_unit_test(test_a_range_larger_than_the_limits_is_refused),
        cmocka_unit_test(test_a_version_says_how_many_parts_it_has),
        cmocka_unit_test(test_a_scalar_of_yaml_is_read_without_quotes_and_comments),
        cmocka_unit_test(test_a_list_of_yaml_is_read_in_both_forms),
        cmocka_unit_test(test_a_list_of_yaml_that_is_too_long_is_refused),
        cmocka_unit_test(test_another_key_of_yaml_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
