/* TOML documents read leaf by leaf, and what is no TOML refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "base/toml.h"

/* Writes "path:line type value|" for every leaf. */
static int record(void *self, const struct toml_leaf *leaf, struct error *err)
{
    struct buf *out = self;

    (void)err;
    buf_addf(out, "%s:%d ", leaf->path, leaf->line);
    switch (leaf->type) {
    case TOML_STRING:
        buf_addf(out, "string %s|", leaf->text);
        break;
    case TOML_INTEGER:
        buf_addf(out, "integer %lld|", (long long)leaf->integer);
        break;
    case TOML_FLOAT:
        buf_addf(out, "float %g|", leaf->real);
        break;
    case TOML_BOOL:
        buf_addf(out, "bool %d|", leaf->boolean);
        break;
    case TOML_DATETIME:
        buf_addf(out, "datetime %s|", leaf->text);
        break;
    }
    return 0;
}

static void assert_leaves(const char *text, const char *expected)
{
    struct buf out = BUF_INIT(10000);
    struct toml_visitor v = {.leaf = record, .self = &out};
    struct error err = ERROR_INIT;

    if (toml_walk(text, strlen(text), &v, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&out), expected);
    buf_release(&out);
}

static void assert_refused(const char *text, size_t len, enum error_kind kind, const char *begins)
{
    struct buf out = BUF_INIT(10000);
    struct toml_visitor v = {.leaf = record, .self = &out};
    struct error err = ERROR_INIT;

    assert_int_equal(toml_walk(text, len, &v, &err), -1);
    assert_int_equal(err.kind, kind);
    if (!text_starts(err.msg, begins))
        fail_msg("\"%s\" does not begin with \"%s\"", err.msg, begins);
    buf_release(&out);
}

static void test_every_type_is_told_with_its_line(void **state)
{
    (void)state;
    assert_leaves("a = \"x\"\nb = 42\n\nc = 1.5\nd = true\ne = false\nf = 0x0\n",
                  "a:1 string x|b:2 integer 42|c:4 float 1.5|d:5 bool 1|e:6 bool 0|"
                  "f:7 integer 0|");
}

static void test_dates_and_times_come_as_text(void **state)
{
    (void)state;
    assert_leaves("a = 1979-05-27T07:32:00Z\nb = 1979-05-27\nc = 07:32:00\n"
                  "d = 1979-05-27 07:32:00\ne = 1979-05-27T07:32:00.5-08:00",
                  "a:1 datetime 1979-05-27T07:32:00Z|b:2 datetime 1979-05-27|"
                  "c:3 datetime 07:32:00|d:4 datetime 1979-05-27T07:32:00|"
                  "e:5 datetime 1979-05-27T07:32:00.5-08:00|");
}

static void test_paths_name_tables_arrays_and_odd_keys(void **state)
{
    (void)state;
    assert_leaves("[build]\nargs = [\"x\", [1, 2]]\n[[step]]\nrun = \"a\"\n[[step]]\nrun = \"b\"\n",
                  "build.args[0]:2 string x|build.args[1][0]:2 integer 1|"
                  "build.args[1][1]:2 integer 2|step[0].run:4 string a|step[1].run:6 string b|");
    assert_leaves("a.\"b c\".d = 1\n", "a.\"b c\".d:1 integer 1|");
    assert_leaves("\"\" = 1", "\"\":1 integer 1|");
    assert_leaves("'a\"b\\' = 1", "\"a\\\"b\\\\\":1 integer 1|");
    assert_leaves("\"new\\nline\" = 1", "\"new\\u000aline\":1 integer 1|");
    assert_leaves("x = { y = { z = 1 } }", "x.y.z:1 integer 1|");
}

static int record_group(void *self, const struct toml_group *group, struct error *err)
{
    (void)err;
    buf_addf(self, "%s:%d %s|", group->path, group->line, group->array ? "array" : "table");
    return 0;
}

static void assert_groups(const char *text, const char *expected)
{
    struct buf out = BUF_INIT(10000);
    struct toml_visitor v = {.leaf = record, .group = record_group, .self = &out};
    struct error err = ERROR_INIT;

    if (toml_walk(text, strlen(text), &v, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&out), expected);
    buf_release(&out);
}

static void test_tables_and_arrays_are_told_to_who_asks(void **state)
{
    (void)state;
    assert_groups("x = 1\n\n[type]\n[a.b]\n", "a:4 table|a.b:4 table|type:3 table|x:1 integer 1|");
    assert_groups("\nb.c = 1\n", "b:2 table|b.c:2 integer 1|");
    assert_groups("x = {}\ny = [\n[1]]\n", "x:1 table|y:2 array|y[0]:3 array|y[0][0]:3 integer 1|");
    assert_groups("\n[[s]]\n[[s]]\n[[s.t]]\nz = 2\n",
                  "s:2 array|s[0]:2 table|s[1]:3 table|s[1].t:4 array|s[1].t[0]:4 table|"
                  "s[1].t[0].z:5 integer 2|");
}

static int refuse_group(void *self, const struct toml_group *group, struct error *err)
{
    (void)self;
    return error_set(err, ERR_INPUT, "no %s here", group->path);
}

static void test_a_group_can_end_the_walk(void **state)
{
    struct buf out = BUF_INIT(100);
    struct toml_visitor v = {.leaf = record, .group = refuse_group, .self = &out};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(toml_walk("a = []\nb = 1", 12, &v, &err), -1);
    assert_string_equal(err.msg, "no a here");
    assert_int_equal(out.len, 0);
}

/* Else a long key above many values would be copied as often as there are values. */
static void test_a_key_longer_than_any_path_is_refused(void **state)
{
    struct buf text = BUF_INIT(TOML_PATH_MAX + 20);
    struct buf out = BUF_INIT(2 * TOML_PATH_MAX);
    struct toml_visitor v = {.leaf = record, .self = &out};
    struct error err = ERROR_INIT;

    (void)state;
    buf_adds(&text, "\n[");
    for (int i = 0; i < TOML_PATH_MAX - 2; i++)
        buf_addc(&text, 'k');
    buf_adds(&text, "]\na = 1\n");
    assert_int_equal(toml_walk(buf_str(&text), text.len, &v, &err), 0);
    buf_clear(&text);
    buf_adds(&text, "\n[");
    for (int i = 0; i < TOML_PATH_MAX + 1; i++)
        buf_addc(&text, 'k');
    buf_adds(&text, "]\n");
    assert_refused(buf_str(&text), text.len, ERR_LIMIT, "line 2: a key of more than 4096 bytes");
    buf_release(&text);
    buf_release(&out);
}

static void test_letters_of_every_script_are_kept(void **state)
{
    (void)state;
    assert_leaves(
        "a = \"\"\"x\\\n \xc3\xa9 \xcf\x8b\"\"\" # \xcf\x8b\n\"\xcf\x8b\" = '\xe6\x97\xa5'",
        "a:1 string x\xc3\xa9 \xcf\x8b|\"\xcf\x8b\":3 string \xe6\x97\xa5|");
}

static void test_an_empty_document_has_no_leaves(void **state)
{
    (void)state;
    assert_leaves("", "");
    assert_leaves("# only a comment\n[table]\nempty = []\n", "");
}

static int check_nul(void *self, const struct toml_leaf *leaf, struct error *err)
{
    (void)err;
    *(size_t *)self = leaf->text_len;
    assert_memory_equal(leaf->text, "a\0b", 4);
    return 0;
}

static void test_a_nul_inside_a_string_is_kept(void **state)
{
    size_t len = 0;
    struct toml_visitor v = {.leaf = check_nul, .self = &len};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(toml_walk("a = \"a\\u0000b\"", 14, &v, &err), 0);
    assert_int_equal(len, 3);
}

static void test_a_syntax_error_names_line_and_column(void **state)
{
    static const char *const table[][2] = {
        {"a = 1\nb = ", "line 2, column 5: "},
        {"a = 1\nb = \"open\n", "line 2, column "},
        {"a = 1\n\na = 2\n", "line 3, column "},
        {"a = 99999999999999999999", "line 1, column "},
        {"[t\n", "line 1, column "},
        {"= 1", "line 1, column 1: "},
        {"a = 1 b = 2", "line 1, column "},
        {"\xff = 1", "line 1, column "},
        {"a = 1\n\n[ {a.b = 1} ]\nb = 1\n", "line 3: "},
        {"[ {", "line 1: "},
        {"rv\xcf\x8b = 1", "line 1, column 3: "},
        {"a = \"\xed\xa0\x80\"", "line 1, column "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_refused(table[i][0], strlen(table[i][0]), ERR_INPUT, table[i][1]);
}

static void test_an_error_is_one_line_whatever_it_repeats(void **state)
{
    static const char text[] = "nam = t\nb";
    struct buf out = BUF_INIT(100);
    struct toml_visitor v = {.leaf = record, .self = &out};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(toml_walk(text, strlen(text), &v, &err), -1);
    assert_false(text_has_control(err.msg, strlen(err.msg)));
    assert_non_null(strstr(err.msg, "\\u000a"));
}

static int count_leaf(void *self, const struct toml_leaf *leaf, struct error *err)
{
    (void)leaf;
    (void)err;
    ++*(int *)self;
    return 0;
}

static void test_nothing_is_told_of_a_document_with_an_error(void **state)
{
    int calls = 0;
    struct toml_visitor v = {.leaf = count_leaf, .self = &calls};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(toml_walk("a = 1\nb =", 9, &v, &err), -1);
    assert_int_equal(calls, 0);
}

static int refuse_second(void *self, const struct toml_leaf *leaf, struct error *err)
{
    return ++*(int *)self == 2 ? error_set(err, ERR_INPUT, "no %s here", leaf->path) : 0;
}

static void test_the_visitor_can_end_the_walk(void **state)
{
    int calls = 0;
    struct toml_visitor v = {.leaf = refuse_second, .self = &calls};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(toml_walk("a = [1, 2, 3]\nb = 1", 19, &v, &err), -1);
    assert_string_equal(err.msg, "no a[1] here");
    assert_int_equal(calls, 2);
}

static void test_a_document_of_the_largest_size_is_read_and_a_byte_more_is_not(void **state)
{
    char *text = malloc(TOML_TEXT_MAX + 1);
    struct buf out = BUF_INIT(100);
    struct toml_visitor v = {.leaf = record, .self = &out};
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', TOML_TEXT_MAX + 1);
    text[0] = '#';
    assert_int_equal(toml_walk(text, TOML_TEXT_MAX, &v, &err), 0);
    assert_refused(text, TOML_TEXT_MAX + 1, ERR_LIMIT, "the document is larger than 1048576 bytes");
    free(text);
}

/* text, then unit over and over up to a megabyte, then end. */
static void assert_flood_is_refused(const char *text, const char *unit, const char *end)
{
    struct buf flood = BUF_INIT(TOML_TEXT_MAX);
    struct toml_visitor v = {.leaf = record, .self = NULL};
    struct error err = ERROR_INIT;

    buf_adds(&flood, text);
    while (flood.len + strlen(unit) + strlen(end) <= TOML_TEXT_MAX)
        buf_adds(&flood, unit);
    buf_adds(&flood, end);
    assert_int_equal(toml_walk(buf_str(&flood), flood.len, &v, &err), -1);
    assert_true(err.kind == ERR_LIMIT || err.kind == ERR_INPUT);
    buf_release(&flood);
}

static void test_endless_depth_is_refused_and_not_recursed_into(void **state)
{
    (void)state;
    assert_flood_is_refused("", "a.", "a = 1");
    assert_flood_is_refused("", "a . ", "a = 1");
    assert_flood_is_refused("", "'a'.\"b\".", "a = 1");
    assert_flood_is_refused("[", "a.", "a]");
    assert_flood_is_refused("[[", "a.", "a]]");
    assert_flood_is_refused("a = ", "[", "");
    assert_flood_is_refused("a = ", "{a=", "");
    /* Quotes that could make the count of dots think it stands in a string. */
    assert_flood_is_refused("x = [ \"\"\"a\"\"\"\" , {", "a.", "a = 1} ]");
    assert_flood_is_refused("x = [ '''a'''' , {", "a.", "a = 1} ]");
    assert_flood_is_refused("x = [ \"\\\\\" , {", "a.", "a = 1} ]");
    assert_flood_is_refused("x = [ '\\' , {", "a.", "a = 1} ]");
    assert_flood_is_refused("# \" '''\n", "a.", "a = 1");
}

static void test_dots_that_nest_nothing_are_not_counted(void **state)
{
    struct buf text = BUF_INIT(1000);
    int calls = 0;
    struct toml_visitor v = {.leaf = count_leaf, .self = &calls};
    struct error err = ERROR_INIT;

    (void)state;
    buf_addf(&text, "a = \"%040d.\" # %s\nb = [0.1", 0, "........................................");
    for (int i = 0; i < 40; i++)
        buf_adds(&text, ",0.1");
    buf_adds(&text, "]\nc = \"........................................\"\n");
    assert_int_equal(toml_walk(buf_str(&text), text.len, &v, &err), 0);
    assert_int_equal(calls, 43);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_is_told_with_its_line),
        cmocka_unit_test(test_dates_and_times_come_as_text),
        cmocka_unit_test(test_paths_name_tables_arrays_and_odd_keys),
        cmocka_unit_test(test_tables_and_arrays_are_told_to_who_asks),
        cmocka_unit_test(test_a_group_can_end_the_walk),
        cmocka_unit_test(test_a_key_longer_than_any_path_is_refused),
        cmocka_unit_test(test_letters_of_every_script_are_kept),
        cmocka_unit_test(test_an_empty_document_has_no_leaves),
        cmocka_unit_test(test_a_nul_inside_a_string_is_kept),
        cmocka_unit_test(test_a_syntax_error_names_line_and_column),
        cmocka_unit_test(test_an_error_is_one_line_whatever_it_repeats),
        cmocka_unit_test(test_nothing_is_told_of_a_document_with_an_error),
        cmocka_unit_test(test_the_visitor_can_end_the_walk),
        cmocka_unit_test(test_a_document_of_the_largest_size_is_read_and_a_byte_more_is_not),
        cmocka_unit_test(test_endless_depth_is_refused_and_not_recursed_into),
        cmocka_unit_test(test_dots_that_nest_nothing_are_not_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
