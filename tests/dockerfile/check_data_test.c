/* BuildKit's warnings about real Dockerfiles, and in its own tests of the checks, are ours. */
#include <string.h>

#include "dockerfile/rules/rule.h"
#include "tests/dockerfile/conformance.h"
#include "tests/dockerfile/stand_in.h"

static int find(const struct dockerfile_findings *f, const json_t *warning, const bool *taken)
{
    for (size_t i = 0; i < f->n; i++)
        if (!taken[i] && strcmp(f->warnings[i].rule, text_of(warning, "rule")) == 0 &&
            f->warnings[i].first_line == json_integer_value(json_object_get(warning, "line")) &&
            strcmp(f->warnings[i].detail, text_of(warning, "detail")) == 0)
            return (int)i;
    return -1;
}

/* All of them, in any order. */
static bool same_warnings(const struct dockerfile_findings *f, const json_t *want)
{
    bool taken[256] = {false};
    const json_t *warning;
    size_t k;

    if (f->n != json_array_size(want) || f->n > 256)
        return false;
    json_array_foreach (want, k, warning) {
        int at = find(f, warning, taken);

        if (at < 0)
            return false;
        taken[at] = true;
    }
    return true;
}

static void print_warnings(const struct dockerfile_findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        print_message("  %s %d %s\n", f->warnings[i].rule, f->warnings[i].first_line,
                      f->warnings[i].detail);
    if (f->failure.kind)
        print_message("  %s\n", f->failure.msg);
}

static void report(const json_t *text, const struct dockerfile_check_request *request,
                   struct dockerfile_report *ret)
{
    struct error err = ERROR_INIT;

    if (dockerfile_report(json_string_value(text), json_string_length(text),
                          &dockerfile_limits_default, request, ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static void score_warnings(struct score *s, const struct dockerfile_report *r, const json_t *want,
                           const char *id)
{
    bool same = same_warnings(&r->findings, want);

    score_add(s, same, id);
    if (!same)
        print_warnings(&r->findings);
}

static void test_warnings_about_real_dockerfiles_are_buildkits(void **state)
{
    struct score all = {.what = "warnings of all stages"}, some = {.what = "of those needed"};
    struct score fatal = {.what = "fatal"};
    json_t *rows = conformance_lines("corpus/corpus.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        const json_t *buildkit = json_object_get(row, "buildkit");
        const json_t *build = json_object_get(buildkit, "build");
        struct dockerfile_check_request request = {.build = {.bases = &stand_ins}};
        struct dockerfile_report r;
        const char *message = text_of(json_object_get(build, "error"), "message");

        report(json_object_get(row, "dockerfile"), &request, &r);
        score_warnings(&some, &r, json_object_get(build, "warnings"), text_of(row, "id"));
        score_add(&fatal, r.findings.fatal == (strstr(message, "lint violation") != NULL),
                  text_of(row, "id"));
        dockerfile_report_release(&r);
        if (!json_object_get(buildkit, "lint"))
            continue;
        request.all_stages = true;
        report(json_object_get(row, "dockerfile"), &request, &r);
        score_warnings(&all, &r, json_object_get(json_object_get(buildkit, "lint"), "warnings"),
                       text_of(row, "id"));
        dockerfile_report_release(&r);
    }
    json_decref(rows);
    score_is(&some, 435, 435);
    score_is(&all, 435, 435);
    score_is(&fatal, 435, 435);
}

static void read_args(json_t *row, struct argv *args)
{
    const json_t *option = json_object_get(row, "check_option");
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(row, "build_args"), name, value)
        argv_pushf(args, "%s=%s", name, json_string_value(value));
    if (json_is_string(option))
        argv_pushf(args, "BUILDKIT_DOCKERFILE_CHECK=%s", json_string_value(option));
}

static bool same_refusal(const struct dockerfile_findings *f, const json_t *want)
{
    const char *message = json_string_value(want);

    if (!message)
        return f->failure.kind == ERR_NONE;
    if (!strstr(f->failure.msg, message) && !strstr(message, f->failure.msg))
        print_message("%s\n%s\n", f->failure.msg, message);
    return f->failure.kind == ERR_INPUT &&
           (strstr(f->failure.msg, message) || strstr(message, f->failure.msg));
}

static void compare_case(json_t *row, bool all, const char *key, struct score *s,
                         struct score *refusals)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *ignore = NULL;
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    const char *rules = text_of(row, "dockerignore");
    struct dockerfile_check_request request = {
        .build = {.target = text_of(row, "target"), .build_args = &args, .bases = &stand_ins},
        .all_stages = all};
    struct dockerfile_report r;
    struct error err = ERROR_INIT;

    read_args(row, &args);
    if (*rules)
        assert_int_equal(dockerfile_ignore_parse(rules, strlen(rules), &ignore, &err), 0);
    request.ignore = ignore;
    report(json_object_get(row, "dockerfile"), &request, &r);
    score_warnings(s, &r, json_object_get(row, key), text_of(row, "id"));
    score_add(refusals, same_refusal(&r.findings, json_object_get(row, "build_error")),
              text_of(row, "id"));
    dockerfile_report_release(&r);
}

static void test_the_upstream_cases_of_the_checks(void **state)
{
    struct score all = {.what = "all stages"}, target = {.what = "target"};
    struct score refusals = {.what = "refusals"};
    json_t *rows = conformance_lines("buildkit/lint/cases.jsonl");
    json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        compare_case(row, true, "warnings_all_stages", &all, &refusals);
        compare_case(row, false, "warnings_target_stage", &target, &refusals);
    }
    json_decref(rows);
    score_is(&all, 87, 87);
    score_is(&target, 87, 87);
    score_is(&refusals, 174, 174);
}

/* A rule that the table does not have can not warn. */
static void test_the_rules_have_buildkits_texts(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    json_t *rules;
    const json_t *want;
    size_t k, found = 0;

    (void)state;
    conformance_read("buildkit/lint/rules.json", &text);
    rules = json_loads(buf_str(&text), 0, NULL);
    json_array_foreach (rules, k, want)
        for (size_t i = 0; i < rule_sets[0].n; i++) {
            const struct rule *have = &rule_sets[0].rules[i];

            if (strcmp(have->name, text_of(want, "name")) != 0)
                continue;
            assert_string_equal(have->description, text_of(want, "description"));
            assert_string_equal(have->url ? have->url : "", text_of(want, "url"));
            assert_int_equal(have->experimental, is_true(want, "experimental"));
            found++;
        }
    assert_int_equal(found, json_array_size(rules));
    assert_int_equal(found, rule_sets[0].n);
    json_decref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warnings_about_real_dockerfiles_are_buildkits),
        cmocka_unit_test(test_the_upstream_cases_of_the_checks),
        cmocka_unit_test(test_the_rules_have_buildkits_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
