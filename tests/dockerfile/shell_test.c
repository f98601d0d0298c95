/* A shell script and its simple commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "dockerfile/shell.h"

/* Commands in [ ], their words in | |, one that reads from the one before with < in front, and an
 * apostrophe before the program. */
static void print(const struct shell_script *script, struct buf *out)
{
    for (size_t i = 0; i < script->n; i++) {
        const struct shell_command *c = &script->v[i];

        buf_addf(out, "%s[", c->piped ? "<" : "");
        for (size_t k = 0; k < c->words.n; k++)
            buf_addf(out, "%s%s%s", k ? "|" : "", k == c->program ? "'" : "", c->words.v[k]);
        buf_adds(out, "]");
    }
}

struct shell_case {
    const char *text, *want;
};

static void check_all(const struct shell_case *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_release) struct buf got = BUF_INIT(4096);
        struct arena arena = {.blocks = NULL};
        struct shell_script script = {.n = 0};

        shell_split(&arena, table[i].text, &script);
        print(&script, &got);
        if (strcmp(buf_str(&got), table[i].want) != 0)
            fail_msg("%s\ngot  %s\nwant %s", table[i].text, buf_str(&got), table[i].want);
        arena_release(&arena);
    }
}

#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof((table)[0]))

static void test_operators_part_commands(void **state)
{
    static const struct shell_case table[] = {
        {"a b && c || d;e\nf & g", "['a|b]['c]['d]['e]['f]['g]"},
        {"a|b |& c || d", "['a]<['b]<['c]['d]"},
        {"a |\n b", "['a]<['b]"},
        {"(a; b) | c", "['a]['b]<['c]"},
        {"{ a; }", "[{|'a][}]"},
        {"a;;b", "['a]['b]"},
        {" \t\n;&|", ""},
        {"", ""},
        {"a # b; c\nd#e", "['a]['d#e]"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_quotes_keep_words_together(void **state)
{
    static const struct shell_case table[] = {
        {"a 'b; c' \"d && e\" f\\ g", "['a|b; c|d && e|f g]"},
        {"a''b \"\" 'c'\"d\"", "['ab||cd]"},
        {"a \"b\\\"c\\d\" 'e\\'", "['a|b\"c\\d|e\\]"},
        {"a \\\nb c\\", "['a|b|c]"},
        {"a $(b; c \"d)\" ) e", "['a|$(b; c \"d)\" )|e]"},
        {"a $(b (c;d) e) f", "['a|$(b (c;d) e)|f]"},
        {"a `b; c` ${d;} $e $", "['a|`b; c`|${d;}|$e|$]"},
        {"a \"$(b; `c`)\" d", "['a|$(b; `c`)|d]"},
        {"a 'b", "['a|b]"},
        {"a \"b", "['a|b]"},
        {"a $(b", "['a|$(b]"},
        {"a `b", "['a|`b]"},
        {"a `", "['a|`]"},
        {"a \"\\", "['a|\\]"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_redirections_are_no_words(void **state)
{
    static const struct shell_case table[] = {
        {"a >b c", "['a|c]"},
        {"a > b c", "['a|c]"},
        {"a>b", "['a]"},
        {"2>&1 a 2>&- b", "['a|b]"},
        {"a &>b c", "['a|c]"},
        {"a >|b c", "['a|c]"},
        {"a <<-EOF b", "['a|b]"},
        {"a <<<'b c' d", "['a|d]"},
        {"a <(b; c) d", "['a|d]"},
        {"a 2 >b", "['a|2]"},
        {"> b", ""},
        {"a >", "['a]"},
        {"a 22>'b;c' d; e", "['a|d]['e]"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_the_program_is_behind_assignments_and_reserved_words(void **state)
{
    static const struct shell_case table[] = {
        {"A=1 B='2 3' c d=e", "[A=1|B=2 3|'c|d=e]"},
        {"if ! a; then b; else c; fi", "[if|!|'a][then|'b][else|'c][fi]"},
        {"while a; do b; done", "[while|'a][do|'b][done]"},
        {"A=1", "[A=1]"},
        {"=1 a", "['=1|a]"},
    };

    (void)state;
    CHECK_ALL(table);
}

static void test_the_worker_is_behind_what_runs_it(void **state)
{
    static const struct shell_case table[] = {
        {"sudo -E A=1 /usr/bin/a b", "/usr/bin/a"},
        {"env A=1 exec a", "a"},
        {"xargs -r a", "a"},
        {"a sudo b", "a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct arena arena = {.blocks = NULL};
        struct shell_script script = {.n = 0};

        shell_split(&arena, table[i].text, &script);
        assert_int_equal(script.n, 1);
        assert_string_equal(script.v[0].words.v[script.v[0].worker], table[i].want);
        arena_release(&arena);
    }
    assert_string_equal(shell_name("/usr/bin/a"), "a");
    assert_string_equal(shell_name("a/"), "a/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators_part_commands),
        cmocka_unit_test(test_quotes_keep_words_together),
        cmocka_unit_test(test_redirections_are_no_words),
        cmocka_unit_test(test_the_program_is_behind_assignments_and_reserved_words),
        cmocka_unit_test(test_the_worker_is_behind_what_runs_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
