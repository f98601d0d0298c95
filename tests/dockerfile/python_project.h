/* tests/dockerfile/python_project — small Python projects in memory, and what is generated for
 * them.
 */
#ifndef TESTS_DOCKERFILE_PYTHON_PROJECT_H
#define TESTS_DOCKERFILE_PYTHON_PROJECT_H

#include <string.h>

#include "base/text.h"
#include "dockerfile/check.h"
#include "dockerfile/generate/python.h"
#include "tests/dockerfile/sample.h"

#define FILES_MAX 8

/* Files as path and text in turn, up to NULL. */
struct python_case {
    const char *files[2 * FILES_MAX];
    const char *want; /* a line of the Dockerfile; of a refusal, its message or its beginning */
    const char *said; /* a note or a warning or its beginning; NULL: no warning is given */
    const char *prod; /* [entrypoint] prod */
    const char *type; /* NULL: agent */
};

static inline int generate(const struct python_case *c, struct dockerfile_generation *out,
                           struct error *err)
{
    struct dockerfile_source_file files[FILES_MAX];
    struct dockerfile_source_files all = {files, 0};
    struct dockerfile_settings settings = {.entrypoint_prod = (char *)c->prod};
    struct dockerfile_source source = dockerfile_source_memory(&all);

    for (; all.n < FILES_MAX && c->files[2 * all.n]; all.n++)
        files[all.n] =
            (struct dockerfile_source_file){c->files[2 * all.n], c->files[2 * all.n + 1]};
    dockerfile_generation_init(out);
    return dockerfile_generate(&source, &settings, c->type ? c->type : "agent", out, err);
}

/* Nothing that Kiln itself would warn of. */
static inline void check_advice(const struct dockerfile *d, const char *text)
{
    const struct dockerfile_check_request request = {.all_stages = true, .hadolint = true};
    struct dockerfile_findings findings;
    struct error err = ERROR_INIT;

    if (dockerfile_check(d, &request, &findings, &err) < 0)
        fail_msg("%s", err.msg);
    if (findings.failure.kind != ERR_NONE)
        fail_msg("%s\n%s", findings.failure.msg, text);
    if (findings.n > 0)
        fail_msg("%s: %s\n%s", findings.warnings[0].rule, findings.warnings[0].detail, text);
    dockerfile_findings_release(&findings);
}

/* What is generated parses, and takes images of Python and uv alone. */
static inline void check_dockerfile(const char *text)
{
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    struct argv no_args = ARGV_INIT;
    struct dockerfile *d = must_parse(text);
    struct error err = ERROR_INIT;

    if (dockerfile_images(d, &no_args, &images, &err) < 0)
        fail_msg("%s\n%s", err.msg, text);
    assert_true(images.n == 1 || images.n == 2);
    for (size_t i = 0; i < images.n; i++)
        assert_true(text_starts(images.v[i], "python:3.") ||
                    text_starts(images.v[i], "ghcr.io/astral-sh/uv:"));
    check_advice(d, text);
    dockerfile_free(d);
}

static inline bool has_line(const char *text, const char *line)
{
    size_t n = strlen(line);

    for (; text; text = strchr(text, '\n')) {
        text += *text == '\n';
        if (strncmp(text, line, n) == 0 && (text[n] == '\n' || text[n] == '\0'))
            return true;
    }
    return false;
}

static inline bool has_beginning(const struct argv *lines, const char *text)
{
    for (size_t i = 0; i < lines->n; i++)
        if (text_starts(lines->v[i], text))
            return true;
    return false;
}

static inline void expect(const struct python_case *c)
{
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
    struct error err = ERROR_INIT;

    if (generate(c, &out, &err) < 0)
        fail_msg("%s, wanted %s", err.msg, c->want);
    check_dockerfile(buf_str(&out.text));
    if (!has_line(buf_str(&out.text), c->want))
        fail_msg("no line \"%s\" in:\n%s", c->want, buf_str(&out.text));
    if (c->said && !has_beginning(&out.notes, c->said) && !has_beginning(&out.warnings, c->said))
        fail_msg("nothing said of \"%s\" for:\n%s", c->said, buf_str(&out.text));
    if (!c->said && out.warnings.n > 0)
        fail_msg("warned: %s", out.warnings.v[0]);
}

static inline void expect_refusal(const struct python_case *c)
{
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
    struct error err = ERROR_INIT;

    if (generate(c, &out, &err) == 0)
        fail_msg("accepted, wanted \"%s\":\n%s", c->want, buf_str(&out.text));
    if (!text_starts(err.msg, c->want))
        fail_msg("%s, wanted %s", err.msg, c->want);
    assert_int_equal(err.kind, ERR_INPUT);
}

#define FULL(want, said, prod, type, ...)                                                          \
    {                                                                                              \
        {__VA_ARGS__}, want, said, prod, type                                                      \
    }
#define PROD(want, said, prod, ...) FULL(want, said, prod, NULL, __VA_ARGS__)
#define SAYS(want, said, ...)       FULL(want, said, NULL, NULL, __VA_ARGS__)
#define CASE(want, ...)             FULL(want, NULL, NULL, NULL, __VA_ARGS__)

#define FOR_ALL(table, f)                                                                          \
    for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++)                                \
    f(&(table)[i])

/* ---- what projects are made of ---- */

#define MAIN            "main.py", ""
#define PROJECT(python) "[project]\nname = \"x\"\nrequires-python = \"" python "\"\n"
#define BUILT           "[build-system]\nrequires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"\n"
#define NAMED           "[project]\nname = \"my-app\"\n"

#endif
