/* BuildKit's own parser cases, rule by rule. */
#include <string.h>

#include "dockerfile/dump.h"
#include "dockerfile/grammar.h"
#include "dockerfile/heredoc.h"
#include "dockerfile/words.h"
#include "tests/dockerfile/conformance.h"

static int parse(struct dockerfile *d, const char *text, size_t len, struct error *err)
{
    struct fault fault;

    memset(d, 0, sizeof(*d));
    return parse_text(d, text, len, &dockerfile_limits_default, &fault, err);
}

static void read_case(const char *folder, const char *name, const char *file, struct buf *out)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s/%s", folder, name, file);
    conformance_read(path, out);
}

static void test_every_upstream_file_has_its_dump(void **state)
{
    static const char folder[] = "buildkit/parser/testfiles";
    struct score s = {.what = "testfiles"};
    json_t *names = conformance_names(folder);
    const json_t *name;
    size_t k;

    (void)state;
    json_array_foreach (names, k, name) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
        CLEANUP(buf_release) struct buf want = BUF_INIT(1 << 20);
        CLEANUP(buf_release) struct buf dump = BUF_INIT(1 << 20);
        struct dockerfile d;
        struct error err;

        read_case(folder, json_string_value(name), "Dockerfile", &text);
        read_case(folder, json_string_value(name), "result", &want);
        if (parse(&d, buf_str(&text), text.len, &err) == 0)
            dump_text(&d, &dump);
        buf_addc(&dump, '\n');
        score_add(&s, strcmp(buf_str(&dump), buf_str(&want)) == 0, json_string_value(name));
        arena_release(&d.arena);
    }
    json_decref(names);
    score_is(&s, 33, 33);
}

static void test_every_upstream_bad_file_is_refused(void **state)
{
    static const char folder[] = "buildkit/parser/testfiles-negative";
    struct score s = {.what = "testfiles-negative"};
    json_t *names = conformance_names(folder);
    const json_t *name;
    size_t k;

    (void)state;
    json_array_foreach (names, k, name) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
        struct dockerfile d;
        struct error err;

        read_case(folder, json_string_value(name), "Dockerfile", &text);
        score_add(&s, parse(&d, buf_str(&text), text.len, &err) < 0, json_string_value(name));
        arena_release(&d.arena);
    }
    json_decref(names);
    score_is(&s, 4, 4);
}

static void test_instructions_know_their_lines(void **state)
{
    static const int lines[][2] = {{5, 5}, {11, 12}, {17, 31}};
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct dockerfile d;
    struct error err;

    (void)state;
    conformance_read("buildkit/parser/testfile-line/Dockerfile", &text);
    assert_int_equal(parse(&d, buf_str(&text), text.len, &err), 0);
    assert_int_equal(d.n_instructions, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(d.instructions[i].first_line, lines[i][0]);
        assert_int_equal(d.instructions[i].last_line, lines[i][1]);
    }
    arena_release(&d.arena);
}

/* The parser knows directives as "# name = value" on the first lines.  The other spellings of
 * syntax (behind a shebang, after //, in JSON) are for whoever chooses a frontend, and we have one
 * alone. */
static bool is_for_the_parser(const json_t *row)
{
    const char *input = text_of(row, "input");

    return input[0] != '/' && input[0] != '{' && strncmp(input, "#!", 2) != 0;
}

static bool same_directive(const json_t *row)
{
    const json_t *input = json_object_get(row, "input");
    const char *name = text_of(row, "directive");
    const char *raw = json_object_get(row, "raw") ? text_of(row, "raw") : "";
    const char *want = *raw ? raw : text_of(row, "value");
    struct dockerfile d;
    struct error ignored;
    const char *have;
    bool same;

    (void)!parse(&d, json_string_value(input), json_string_length(input), &ignored);
    if (strcmp(name, "escape") == 0)
        same = d.directives.escape_given && d.directives.escape == *want;
    else {
        have = strcmp(name, "syntax") == 0 ? d.directives.syntax : d.directives.check;
        same = is_true(row, "found") ? have && strcmp(have, want) == 0 : !have;
    }
    arena_release(&d.arena);
    return same;
}

static void test_directives_are_found_where_buildkit_finds_them(void **state)
{
    struct score s = {.what = "directives"};
    json_t *rows = conformance_lines("buildkit/parser/directives.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row)
        if (is_for_the_parser(row))
            score_add(&s, same_directive(row), text_of(row, "input"));
    json_decref(rows);
    score_is(&s, 7, 7);
}

/* A NUL, which our words can not hold, is WORD_NUL in them. */
static bool same_string(const json_t *want, const char *have)
{
    const char *s = json_string_value(want);
    size_t len = json_string_length(want);

    for (size_t i = 0; i < len; i++) {
        size_t n = s[i] ? 1 : strlen(WORD_NUL);

        if (strncmp(have, s[i] ? &s[i] : WORD_NUL, n) != 0)
            return false;
        have += n;
    }
    return !*have;
}

static bool same_strings(const json_t *want, const struct argv *have)
{
    if (json_array_size(want) != have->n)
        return false;
    for (size_t i = 0; i < have->n; i++)
        if (!same_string(json_array_get(want, i), have->v[i]))
            return false;
    return true;
}

static bool same_json(const json_t *row)
{
    const json_t *values = json_object_get(row, "values");
    struct arena a = {.blocks = NULL};
    struct argv words = ARGV_INIT;
    enum json_form form = words_json(&a, text_of(row, "input"), &words);
    bool same;

    if (values)
        same = form == JSON_STRINGS && same_strings(values, &words);
    else
        same = form == JSON_MIXED;
    arena_release(&a);
    return same;
}

static void test_json_arrays_are_read_as_go_reads_them(void **state)
{
    struct score s = {.what = "json_arrays"};
    json_t *rows = conformance_lines("buildkit/parser/json_arrays.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row)
        score_add(&s, same_json(row), text_of(row, "input"));
    json_decref(rows);
    score_is(&s, 16, 16);
}

static void test_words_keep_their_quotes(void **state)
{
    struct score s = {.what = "parse_words"};
    json_t *rows = conformance_lines("buildkit/parser/parse_words.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        struct arena a = {.blocks = NULL};
        struct argv words = ARGV_INIT;

        words_split_quoted(&a, text_of(row, "input"), '\\', &words);
        score_add(&s, same_strings(json_object_get(row, "words"), &words), text_of(row, "input"));
        arena_release(&a);
    }
    json_decref(rows);
    score_is(&s, 8, 8);
}

static bool same_heredoc_word(const json_t *row)
{
    struct arena a = {.blocks = NULL};
    struct dockerfile_heredoc doc;
    struct error ignored;
    bool is = false;
    int r = heredoc_parse_word(&a, text_of(row, "word"), &is, &doc, &ignored);
    bool same = is_true(row, "error") ? r < 0
                                      : r == 0 && is == is_true(row, "heredoc") &&
                                            (!is || strcmp(doc.name, text_of(row, "name")) == 0);

    arena_release(&a);
    return same;
}

/* The line with a body for each of the names it should have. */
static bool same_heredoc_line(const json_t *row)
{
    const json_t *names = json_object_get(row, "names"), *name;
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    struct dockerfile d;
    struct error ignored;
    size_t k;
    bool same;

    buf_addf(&text, "%s\n", text_of(row, "line"));
    json_array_foreach (names, k, name)
        buf_addf(&text, "body of %s\n%s\n", json_string_value(name), json_string_value(name));
    same = parse(&d, buf_str(&text), text.len, &ignored) == 0 && d.n_instructions == 1 &&
           d.instructions[0].n_heredocs == json_array_size(names);
    json_array_foreach (names, k, name)
        same = same && strcmp(d.instructions[0].heredocs[k].name, json_string_value(name)) == 0;
    arena_release(&d.arena);
    return same;
}

static void test_heredocs_are_told_from_other_words(void **state)
{
    struct score s = {.what = "heredoc_words"};
    json_t *rows = conformance_lines("buildkit/parser/heredoc_words.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        if (json_object_get(row, "word"))
            score_add(&s, same_heredoc_word(row), text_of(row, "word"));
        else
            score_add(&s, same_heredoc_line(row), text_of(row, "line"));
    }
    json_decref(rows);
    score_is(&s, 29, 29);
}

static void test_bad_instructions_fail_in_buildkits_words(void **state)
{
    struct score s = {.what = "instruction errors"};
    json_t *rows = conformance_lines("buildkit/instructions/errors.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
        struct dockerfile *d = NULL;
        struct error err = ERROR_INIT;
        bool same;

        buf_addf(&text, "FROM scratch\n%s", text_of(row, "instruction"));
        same =
            dockerfile_parse(buf_str(&text), text.len, &dockerfile_limits_default, &d, &err) < 0 &&
            strstr(err.msg, "dockerfile parse error on line 2: ") &&
            strstr(err.msg, text_of(row, "error"));
        score_add(&s, same, text_of(row, "instruction"));
        dockerfile_free(d);
    }
    json_decref(rows);
    score_is(&s, 20, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_upstream_file_has_its_dump),
        cmocka_unit_test(test_every_upstream_bad_file_is_refused),
        cmocka_unit_test(test_instructions_know_their_lines),
        cmocka_unit_test(test_directives_are_found_where_buildkit_finds_them),
        cmocka_unit_test(test_json_arrays_are_read_as_go_reads_them),
        cmocka_unit_test(test_words_keep_their_quotes),
        cmocka_unit_test(test_heredocs_are_told_from_other_words),
        cmocka_unit_test(test_bad_instructions_fail_in_buildkits_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
