/* What BuildKit makes of real Dockerfiles, and why it refuses some, is what we make of them. */
#include <string.h>

#include "tests/dockerfile/conformance.h"
#include "tests/dockerfile/stand_in.h"

struct scores {
    struct score verdict, config, history, message, line;
};

static const json_t *build_of(const json_t *row)
{
    return json_object_get(json_object_get(row, "buildkit"), "build");
}

static bool is_good(const json_t *row)
{
    const json_t *k = json_object_get(row, "buildkit");

    return is_true(json_object_get(k, "parse"), "ok") &&
           is_true(json_object_get(k, "instructions"), "ok");
}

static bool same_config(const struct dockerfile_config *config, const json_t *want)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct error err;
    json_t *have;
    bool same;

    assert_int_equal(dockerfile_config_write(config, &text, &err), 0);
    have = json_loads(buf_str(&text), 0, NULL);
    assert_non_null(have);
    same = json_equal(have, want);
    if (!same)
        print_message("%s\n", buf_str(&text));
    json_decref(have);
    return same;
}

/* The parser has taken the tabs from <<- bodies, which BuildKit's history still shows. */
static bool same_history(const struct argv *have, const json_t *want)
{
    bool same = have->n == json_array_size(want);

    for (size_t i = 0; same && i < have->n; i++) {
        const char *line = json_string_value(json_array_get(want, i));

        same = strcmp(have->v[i], line) == 0 || strstr(line, "<<-") != NULL;
        if (!same)
            print_message("%s\n%s\n", have->v[i], line);
    }
    return same;
}

static void compare_image(const json_t *row, const struct dockerfile_evaluation *e,
                          struct scores *s)
{
    const char *id = text_of(row, "id");
    size_t n, target;
    const struct dockerfile_outcome *outcomes = dockerfile_outcomes(e, &n, &target);
    const struct dockerfile_config *config = &outcomes[target].config;

    assert_true(target < n);
    score_add(&s->config, same_config(config, json_object_get(build_of(row), "config")), id);
    score_add(&s->history,
              same_history(&config->history, json_object_get(build_of(row), "history")), id);
}

static void compare_refusal(const json_t *row, const struct error *err, struct scores *s)
{
    const json_t *error = json_object_get(build_of(row), "error");
    const char *id = text_of(row, "id");
    int line = (int)json_integer_value(json_object_get(error, "line"));
    bool same = strstr(err->msg, text_of(error, "message")) != NULL;

    score_add(&s->message, same, id);
    if (!same)
        print_message("%s\n%s\n", err->msg, text_of(error, "message"));
    /* Some of BuildKit's have no line where ours have one. */
    if (line)
        score_add(&s->line, dockerfile_error_line(err) == line, id);
}

static void compare(const json_t *row, struct scores *s)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    CLEANUP(dockerfile_freep) struct dockerfile *d = NULL;
    const struct dockerfile_request request = {.bases = &stand_ins};
    const json_t *text = json_object_get(row, "dockerfile");
    struct error err = ERROR_INIT;
    bool ok;

    if (dockerfile_parse(json_string_value(text), json_string_length(text),
                         &dockerfile_limits_default, &d, &err) < 0)
        return; /* corpus_test.c says whether that is right */
    ok = dockerfile_evaluate(d, &request, &e, &err) == 0;
    /* That the checks refuse is the checks' to say. */
    if (strstr(text_of(json_object_get(build_of(row), "error"), "message"), "lint violation"))
        return;
    score_add(&s->verdict, ok == is_true(build_of(row), "ok"), text_of(row, "id"));
    if (ok && is_true(build_of(row), "ok"))
        compare_image(row, e, s);
    else if (!ok && !is_true(build_of(row), "ok"))
        compare_refusal(row, &err, s);
}

static void test_images_and_refusals_are_buildkits(void **state)
{
    struct scores s = {.verdict = {.what = "would it build"},
                       .config = {.what = "configuration"},
                       .history = {.what = "history"},
                       .message = {.what = "why not"},
                       .line = {.what = "where not"}};
    json_t *rows = conformance_lines("corpus/corpus.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row)
        if (is_good(row))
            compare(row, &s);
    json_decref(rows);
    score_is(&s.verdict, 414, 414);
    score_is(&s.config, 387, 387);
    score_is(&s.history, 387, 387);
    score_is(&s.message, 27, 27);
    score_is(&s.line, 21, 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_and_refusals_are_buildkits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
