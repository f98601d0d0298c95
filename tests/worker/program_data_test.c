/* Real Dockerfiles become programs, or are refused as BuildKit refuses them, and programs cross
 * into the jail as they are. */
#include "tests/dockerfile/conformance.h"

#include <string.h>

#include "builder/document.h"
#include "worker/program.h"

struct counts {
    size_t made, refused, not_here;
};

/* What is refused here and not by BuildKit says so. */
static bool is_not_here(const struct error *err)
{
    return err->kind == ERR_INPUT &&
           (strstr(err->msg, "is not supported here") || strstr(err->msg, "is not allowed here") ||
            strstr(err->msg, "is supported with sha256 only"));
}

static void assert_crosses(const struct builder_program *p, const char *id)
{
    CLEANUP(buf_release) struct buf once = BUF_INIT(DOCUMENT_MAX);
    CLEANUP(buf_release) struct buf twice = BUF_INIT(DOCUMENT_MAX);
    const struct document d = {.program = *p, .threads = 1};
    struct document read;
    struct error err = ERROR_INIT;

    assert_int_equal(document_write(&d, &once, &err), 0);
    if (document_read(buf_str(&once), once.len, &read, &err) < 0)
        fail_msg("%s: %s", id, err.msg);
    assert_int_equal(document_write(&read, &twice, &err), 0);
    assert_int_equal(read.program.n_stages, p->n_stages);
    if (strcmp(buf_str(&once), buf_str(&twice)) != 0)
        fail_msg("%s is another program on the other side", id);
    document_release(&read);
}

static bool evaluates(const struct dockerfile *d)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    const struct dockerfile_request request = {.to_build = true};
    struct error ignored = ERROR_INIT;

    return dockerfile_evaluate(d, &request, &e, &ignored) == 0;
}

static void try_one(const json_t *row, struct counts *c)
{
    CLEANUP(dockerfile_freep) struct dockerfile *d = NULL;
    CLEANUP(program_release) struct program program = {.evaluation = NULL};
    struct program_request req = {.name = "test/image"};
    const json_t *text = json_object_get(row, "dockerfile");
    const char *id = text_of(row, "id");
    struct error err = ERROR_INIT;
    bool made;

    if (dockerfile_parse(json_string_value(text), json_string_length(text),
                         &dockerfile_limits_default, &d, &err) < 0)
        return;
    req.dockerfile = d;
    made = program_make(&req, &program, &err) == 0;
    c->made += made;
    c->not_here += !made && is_not_here(&err);
    c->refused += !made && !is_not_here(&err);
    if (!made && !is_not_here(&err) && evaluates(d))
        fail_msg("%s: %s", id, err.msg);
    if (made)
        assert_crosses(&program.program, id);
}

static void test_real_dockerfiles_become_programs(void **state)
{
    json_t *rows = conformance_lines("corpus/corpus.jsonl");
    struct counts c = {.made = 0};
    const json_t *row;
    size_t k;

    (void)state;
    json_array_foreach (rows, k, row)
        try_one(row, &c);
    json_decref(rows);
    assert_int_equal(c.made, 387);
    assert_int_equal(c.refused, 27);
    assert_int_equal(c.not_here, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_dockerfiles_become_programs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
