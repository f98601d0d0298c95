/* What starts a program, as its project says it: [entrypoint] prod, then a Procfile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "dockerfile/generate/generator.h"

struct start_case {
    const char *prod, *procfile; /* NULL: not there */
    const char *cmd;             /* the line that comes out, NULL: nothing is found */
    const char *why;
};

#define PROD "[entrypoint] prod in blaxel.toml, line 3"

static void expect(const struct start_case *c)
{
    const struct dockerfile_source_file file = {"Procfile", c->procfile};
    const struct dockerfile_source_files files = {&file, c->procfile ? 1 : 0};
    const struct dockerfile_source source = dockerfile_source_memory(&files);
    struct dockerfile_settings settings = {.entrypoint_prod = (char *)c->prod,
                                           .entrypoint_line = 3};
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
    struct generator g = {.source = &source, .settings = &settings, .type = "agent", .out = &out};
    struct error err = ERROR_INIT;
    char want[512] = "";

    dockerfile_generation_init(&out);
    if (generator_start_from_project(&g, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(g.start.found, c->cmd != NULL);
    if (c->cmd) {
        draft_start(&g);
        (void)snprintf(want, sizeof(want), "# %s\nCMD %s\n", c->why, c->cmd);
    }
    assert_string_equal(buf_str(&out.text), want);
    argv_release(&g.start.words);
}

static void test_a_plain_command_is_words_and_others_get_a_shell(void **state)
{
    static const struct start_case table[] = {
        {".venv/bin/python3 -m src", NULL, "[\".venv/bin/python3\", \"-m\", \"src\"]", PROD},
        {"  node \t dist/index.js \n", NULL, "[\"node\", \"dist/index.js\"]", PROD},
        {"uvicorn app:app --port $PORT", NULL,
         "[\"/bin/sh\", \"-c\", \"exec uvicorn app:app --port $PORT\"]", PROD},
        {"a && b", NULL, "[\"/bin/sh\", \"-c\", \"a && b\"]", PROD},
        {"a; b", NULL, "[\"/bin/sh\", \"-c\", \"a; b\"]", PROD},
        {"a | b", NULL, "[\"/bin/sh\", \"-c\", \"a | b\"]", PROD},
        {"a & b", NULL, "[\"/bin/sh\", \"-c\", \"a & b\"]", PROD},
        {"A=1 b", NULL, "[\"/bin/sh\", \"-c\", \"exec env A=1 b\"]", PROD},
        {"exec b $X", NULL, "[\"/bin/sh\", \"-c\", \"exec b $X\"]", PROD},
        {"say \"a\\b\"", NULL, "[\"/bin/sh\", \"-c\", \"exec say \\\"a\\\\b\\\"\"]", PROD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        expect(&table[i]);
}

static void test_a_procfile_says_it_when_the_configuration_does_not(void **state)
{
    static const struct start_case table[] = {
        {NULL, "web: gunicorn app\n", "[\"gunicorn\", \"app\"]", "process \"web\" in Procfile"},
        {NULL, "# x\n\nworker: b\r\nweb: a\r\n", "[\"a\"]", "process \"web\" in Procfile"},
        {NULL, "web: a\nrelease: b\n", "[\"a\"]", "process \"web\" in Procfile"},
        {NULL, "bot: a b", "[\"a\", \"b\"]", "process \"bot\" in Procfile"},
        {NULL, "bot: a\nworker: b\n", NULL, NULL},
        {NULL, "no process\n", NULL, NULL},
        {NULL, "", NULL, NULL},
        {NULL, NULL, NULL, NULL},
        {"a", "web: b\n", "[\"a\"]", PROD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        expect(&table[i]);
}

static void test_a_command_that_is_blank_too_long_or_no_text_is_refused(void **state)
{
    static char text[9000];
    const struct dockerfile_source_files files = {NULL, 0};
    const struct dockerfile_source source = dockerfile_source_memory(&files);
    struct dockerfile_settings settings = {.entrypoint_prod = " \t"};
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
    struct generator g = {.source = &source, .settings = &settings, .out = &out};
    struct error err = ERROR_INIT;

    (void)state;
    dockerfile_generation_init(&out);
    assert_int_equal(generator_start_from_project(&g, &err), -1);
    assert_string_equal(err.msg, "[entrypoint] prod in blaxel.toml: the command is empty");
    memset(text, 'a', sizeof(text) - 1);
    settings.entrypoint_prod = text;
    assert_int_equal(generator_start_from_project(&g, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    settings.entrypoint_prod = (char[]){"run \xa0"};
    assert_int_equal(generator_start_from_project(&g, &err), -1);
    assert_string_equal(err.msg, "[entrypoint] prod in blaxel.toml: the command is not UTF-8");
}

static void test_a_reason_cannot_begin_a_line_of_its_own(void **state)
{
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
    struct generator g = {.out = &out};

    (void)state;
    dockerfile_generation_init(&out);
    draft_line(&g, "a\nRUN evil", "FROM x");
    draft_line(&g, "a\nRUN evil", "RUN y");
    draft_line(&g, "caf\xc3\xa9, caf\xc3", "RUN z");
    draft_line(&g, "caf\xc3\xa9", "RUN z");
    generator_note(&g, "a\nb\xff");
    assert_string_equal(buf_str(&out.text), "# a RUN evil\nFROM x\nRUN y\n"
                                            "# caf??, caf?\nRUN z\n# caf\xc3\xa9\nRUN z\n");
    assert_string_equal(out.notes.v[0], "a b?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_command_is_words_and_others_get_a_shell),
        cmocka_unit_test(test_a_procfile_says_it_when_the_configuration_does_not),
        cmocka_unit_test(test_a_command_that_is_blank_too_long_or_no_text_is_refused),
        cmocka_unit_test(test_a_reason_cannot_begin_a_line_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
