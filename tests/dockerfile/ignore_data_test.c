/* moby/patternmatcher's answers about ignore files are ours too. */
#include <string.h>

#include "dockerfile/ignore.h"
#include "dockerfile/ignore_pattern.h"
#include "tests/dockerfile/conformance.h"

static void join_lines(const json_t *lines, struct buf *out)
{
    const json_t *line;
    size_t k;

    json_array_foreach (lines, k, line) {
        buf_adds(out, json_string_value(line));
        buf_addc(out, '\n');
    }
}

/* ---- single questions ---- */

static bool same_answer(const json_t *row)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *g = NULL;
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 16);
    struct error err = ERROR_INIT;

    join_lines(json_object_get(row, "patterns"), &text);
    if (dockerfile_ignore_parse(buf_str(&text), text.len, &g, &err) < 0)
        return is_true(row, "error");
    return !is_true(row, "error") &&
           dockerfile_ignore_matches(g, text_of(row, "path")) == is_true(row, "match");
}

static void test_every_upstream_case_has_its_answer(void **state)
{
    struct score s = {.what = "patternmatcher/cases"};
    json_t *rows = conformance_lines("patternmatcher/cases.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row)
        score_add(&s, same_answer(row), text_of(row, "path"));
    json_decref(rows);
    score_is(&s, 137, 137);
}

/* ---- what patterns are made into ---- */

static const char *kind_name(enum ignore_pattern_kind kind)
{
    static const char *const names[] = {
        [IGNORE_EXACT] = "exactMatch",
        [IGNORE_PREFIX] = "prefixMatch",
        [IGNORE_SUFFIX] = "suffixMatch",
        [IGNORE_REGEX] = "regexpMatch",
    };

    return names[kind];
}

static void test_every_upstream_pattern_becomes_its_expression(void **state)
{
    struct score s = {.what = "patternmatcher/compile"};
    json_t *rows = conformance_lines("patternmatcher/compile.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        CLEANUP(buf_release) struct buf regex = BUF_INIT(1 << 16);
        const char *pattern = text_of(row, "pattern");
        enum ignore_pattern_kind kind;

        ignore_pattern_translate((struct span){pattern, strlen(pattern)}, &kind, &regex);
        score_add(
            &s,
            strcmp(kind_name(kind), text_of(row, "type")) == 0 &&
                (kind != IGNORE_REGEX || strcmp(buf_str(&regex), text_of(row, "regexp")) == 0),
            pattern);
    }
    json_decref(rows);
    score_is(&s, 21, 21);
}

/* ---- whole files ---- */

static bool same_file(const json_t *row)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *g = NULL;
    const json_t *text = json_object_get(row, "ignore");
    const json_t *path;
    struct error err = ERROR_INIT;
    size_t k;

    if (dockerfile_ignore_parse(json_string_value(text), json_string_length(text), &g, &err) < 0)
        return *text_of(row, "error") && strstr(err.msg, text_of(row, "error"));
    json_array_foreach (json_object_get(row, "paths"), k, path)
        if (dockerfile_ignore_matches(g, json_string_value(path)) !=
            json_is_true(json_array_get(json_object_get(row, "ignored"), k)))
            return false;
    return !*text_of(row, "error");
}

static void test_every_file_leaves_out_what_it_leaves_out_of_docker_builds(void **state)
{
    struct score s = {.what = "patternmatcher/dockerignore_oracle"};
    json_t *rows = conformance_lines("patternmatcher/dockerignore_oracle.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row)
        score_add(&s, same_file(row), text_of(row, "ignore"));
    json_decref(rows);
    score_is(&s, 49, 49);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_upstream_case_has_its_answer),
        cmocka_unit_test(test_every_upstream_pattern_becomes_its_expression),
        cmocka_unit_test(test_every_file_leaves_out_what_it_leaves_out_of_docker_builds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
