/* BuildKit's answers to 435 real Dockerfiles are ours too. */
#include <string.h>

#include "dockerfile/dump.h"
#include "dockerfile/graph.h"
#include "tests/dockerfile/conformance.h"

struct answer {
    struct dockerfile d;
    struct fault fault;
    struct error err;
    bool parsed; /* the first step */
    bool ok;     /* both */
};

static void answer(const json_t *row, struct answer *a)
{
    const json_t *text = json_object_get(row, "dockerfile");

    memset(a, 0, sizeof(*a));
    a->parsed = parse_text(&a->d, json_string_value(text), json_string_length(text),
                           &dockerfile_limits_default, &a->fault, &a->err) == 0;
    a->ok = a->parsed && stages_build(&a->d, &a->fault, &a->err) == 0;
}

static const json_t *part(const json_t *row, const char *name)
{
    return json_object_get(json_object_get(row, "buildkit"), name);
}

static bool expected_ok(const json_t *row)
{
    return is_true(part(row, "parse"), "ok") && is_true(part(row, "instructions"), "ok");
}

static const json_t *expected_error(const json_t *row)
{
    const json_t *e = json_object_get(part(row, "parse"), "error");

    return e ? e : json_object_get(part(row, "instructions"), "error");
}

/* ---- what is compared ---- */

static bool same_dump(const json_t *row, const struct answer *a)
{
    CLEANUP(buf_release) struct buf dump = BUF_INIT(1 << 20);

    dump_text(&a->d, &dump);
    return strcmp(buf_str(&dump), text_of(part(row, "parse"), "dump")) == 0;
}

static bool same_node(const json_t *node, const struct dockerfile_instruction *i)
{
    return strcmp(text_of(node, "cmd"), i->written) == 0 &&
           strcmp(text_of(node, "original"), i->original) == 0 &&
           json_integer_value(json_object_get(node, "start")) == i->first_line &&
           json_integer_value(json_object_get(node, "end")) == i->last_line;
}

static bool same_heredocs(const json_t *node, const struct dockerfile_instruction *i)
{
    const json_t *docs = json_object_get(node, "heredocs");

    if (json_array_size(docs) != i->n_heredocs)
        return false;
    for (size_t k = 0; k < i->n_heredocs; k++) {
        const json_t *doc = json_array_get(docs, k);

        if (strcmp(text_of(doc, "name"), i->heredocs[k].name) != 0 ||
            is_true(doc, "expand") != i->heredocs[k].expand ||
            is_true(doc, "chomp") != i->heredocs[k].chomp)
            return false;
        if (!i->heredocs[k].chomp && strcmp(text_of(doc, "content"), i->heredocs[k].content) != 0)
            return false;
    }
    return true;
}

static bool same_nodes(const json_t *row, const struct answer *a)
{
    const json_t *nodes = json_object_get(part(row, "parse"), "nodes");

    if (json_array_size(nodes) != a->d.n_instructions)
        return false;
    for (size_t k = 0; k < a->d.n_instructions; k++)
        if (!same_node(json_array_get(nodes, k), &a->d.instructions[k]) ||
            !same_heredocs(json_array_get(nodes, k), &a->d.instructions[k]))
            return false;
    return true;
}

static bool same_stages(const json_t *row, const struct answer *a)
{
    const json_t *stages = json_object_get(part(row, "instructions"), "stages");

    if (json_array_size(stages) != a->d.n_stages)
        return false;
    for (size_t k = 0; k < a->d.n_stages; k++) {
        const json_t *stage = json_array_get(stages, k);
        const struct dockerfile_stage *s = &a->d.stages[k];

        if (strcmp(text_of(stage, "name"), s->name ? s->name : "") != 0 ||
            strcmp(text_of(stage, "base"), s->base) != 0 ||
            json_array_size(json_object_get(stage, "commands")) != s->n_instructions - 1)
            return false;
    }
    return true;
}

/* BuildKit's message, in ours behind "dockerfile parse error on line N: ". */
static bool same_message(const json_t *row, const struct answer *a)
{
    const char *want = text_of(expected_error(row), "message");
    size_t n = strlen(want), m = strlen(a->err.msg);

    return n >= m && strcmp(want + n - m, a->err.msg) == 0;
}

struct scores {
    struct score verdict, line, message, dump, nodes, stages;
};

static void compare(const json_t *row, struct scores *s)
{
    const char *id = text_of(row, "id");
    struct answer a;

    answer(row, &a);
    score_add(&s->verdict, a.ok == expected_ok(row), id);
    if (!a.ok && !expected_ok(row)) {
        score_add(&s->line,
                  a.fault.buildkit_line ==
                      json_integer_value(json_object_get(expected_error(row), "line")),
                  id);
        score_add(&s->message, same_message(row, &a), id);
    }
    if (a.parsed && is_true(part(row, "parse"), "ok")) {
        score_add(&s->dump, same_dump(row, &a), id);
        score_add(&s->nodes, same_nodes(row, &a), id);
    }
    if (a.ok && expected_ok(row))
        score_add(&s->stages, same_stages(row, &a), id);
    arena_release(&a.d.arena);
}

static void test_real_dockerfiles_are_read_as_buildkit_reads_them(void **state)
{
    struct scores s = {.verdict = {.what = "verdict"},
                       .line = {.what = "error line"},
                       .message = {.what = "error message"},
                       .dump = {.what = "dump"},
                       .nodes = {.what = "lines, originals and heredocs"},
                       .stages = {.what = "stages"}};
    json_t *rows = conformance_lines("corpus/corpus.jsonl");
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row)
        compare(row, &s);
    json_decref(rows);
    score_is(&s.verdict, 435, 435);
    score_is(&s.line, 20, 20);
    score_is(&s.message, 20, 20);
    score_is(&s.dump, 429, 429);
    score_is(&s.nodes, 429, 429);
    score_is(&s.stages, 415, 415);
}

/* Errors about bases and stages come from BuildKit's next layer, which the graph stands for. */
static bool is_about_stages(const char *message)
{
    return strstr(message, "base name") || strstr(message, "stage") ||
           strstr(message, "variable expansion is not supported") ||
           strstr(message, "empty platform");
}

static void test_errors_about_stages_are_buildkits(void **state)
{
    struct score s = {.what = "errors about stages"};
    json_t *rows = conformance_lines("corpus/corpus.jsonl");
    struct argv no_args = ARGV_INIT;
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row) {
        const json_t *build = part(row, "build");
        const char *message = text_of(json_object_get(build, "error"), "message");
        const json_t *text = json_object_get(row, "dockerfile");
        CLEANUP(argv_release) struct argv images = ARGV_INIT;
        struct dockerfile *d;
        struct error err = ERROR_INIT;
        bool refused;

        if (!expected_ok(row) || (!is_true(build, "ok") && !is_about_stages(message)))
            continue;
        assert_int_equal(dockerfile_parse(json_string_value(text), json_string_length(text),
                                          &dockerfile_limits_default, &d, &err),
                         0);
        refused = dockerfile_images(d, &no_args, &images, &err) < 0;
        if (is_true(build, "ok"))
            score_add(&s, !refused, text_of(row, "id"));
        else
            score_add(&s, refused && strstr(err.msg, message), text_of(row, "id"));
        if (refused && !strstr(err.msg, message))
            print_message("  %s\n  %s\n", err.msg, message);
        dockerfile_free(d);
    }
    json_decref(rows);
    score_is(&s, 398, 398);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_dockerfiles_are_read_as_buildkit_reads_them),
        cmocka_unit_test(test_errors_about_stages_are_buildkits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
