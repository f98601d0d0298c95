/* tests/dockerfile/node_case — JavaScript and TypeScript projects written in the tests, and what
 * has to come out. */
#ifndef TESTS_DOCKERFILE_NODE_CASE_H
#define TESTS_DOCKERFILE_NODE_CASE_H

#include <string.h>

#include "base/text.h"
#include "dockerfile/generate.h"
#include "tests/dockerfile/sample.h"

#define FILES_MAX   8
#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

/* A package.json with a program, and what else it holds. */
#define WITH(more)                                                                                 \
    {"package.json", "{\"main\": \"index.js\"" more "}"},                                          \
    {                                                                                              \
        "index.js", ""                                                                             \
    }
/* The same, with a script that starts it. */
#define STARTS(script, more)                                                                       \
    {                                                                                              \
        "package.json", "{\"scripts\": {\"start\": \"" script "\"" more "}"                        \
    }
#define ONE ", \"dependencies\": {\"one\": \"1\"}"

/* What comes out: "+text" and "-text" stand and do not stand in the Dockerfile, "!text" in the
 * error, "?text" in a warning.  "@type" and "=prod" are given. */
struct node_case {
    struct dockerfile_source_file files[FILES_MAX];
    const char *want[4];
};

/* What follows the mark in one of the wants; instead when none has it. */
static inline const char *marked(const struct node_case *c, char mark, const char *instead)
{
    for (size_t i = 0; i < N_OF(c->want) && c->want[i]; i++)
        if (c->want[i][0] == mark)
            return c->want[i] + 1;
    return instead;
}

static inline int generate(const struct node_case *c, struct dockerfile_generation *g,
                           struct error *err)
{
    struct dockerfile_source_files files = {.v = c->files};
    struct dockerfile_source source = dockerfile_source_memory(&files);
    struct dockerfile_settings settings = {.entrypoint_prod = (char *)marked(c, '=', NULL)};

    while (files.n < FILES_MAX && c->files[files.n].path)
        files.n++;
    return dockerfile_generate(&source, &settings, marked(c, '@', "agent"), g, err);
}

/* What is generated is a Dockerfile, and names its images. */
static inline void check_file(const struct dockerfile_generation *g)
{
    CLEANUP(argv_release) struct argv images = ARGV_INIT, none = ARGV_INIT;
    CLEANUP(dockerfile_freep) struct dockerfile *d = must_parse(buf_str(&g->text));
    struct error err = ERROR_INIT;

    if (dockerfile_images(d, &none, &images, &err) < 0)
        fail_msg("%s\n%s", err.msg, buf_str(&g->text));
    assert_int_equal(images.n, 1);
    assert_string_equal(g->language, "typescript");
}

static inline bool is_warned_of(const struct dockerfile_generation *g, const char *text)
{
    for (size_t i = 0; i < g->warnings.n; i++)
        if (strstr(g->warnings.v[i], text))
            return true;
    return false;
}

static inline bool holds(const char *want, int r, const struct dockerfile_generation *g,
                         const struct error *err)
{
    const char *dockerfile = buf_str(&g->text);

    switch (want[0]) {
    case '+':
        return r == 0 && strstr(dockerfile, want + 1);
    case '-':
        return r == 0 && !strstr(dockerfile, want + 1);
    case '?':
        return r == 0 && is_warned_of(g, want + 1);
    case '@':
    case '=':
        return true;
    default:
        return r < 0 && (err->kind == ERR_INPUT || err->kind == ERR_LIMIT) &&
               strstr(err->msg, want + 1);
    }
}

static inline void check(const struct node_case *c)
{
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation g;
    struct error err = ERROR_INIT;
    int r;

    dockerfile_generation_init(&g);
    r = generate(c, &g, &err);
    if (r == 0)
        check_file(&g);
    for (size_t i = 0; i < N_OF(c->want) && c->want[i]; i++)
        if (!holds(c->want[i], r, &g, &err))
            fail_msg("%s\n%s\nwarning: %s\n%s", c->files[0].text, c->want[i],
                     g.warnings.n ? g.warnings.v[0] : "none", r < 0 ? err.msg : buf_str(&g.text));
}

#define CHECK(table)                                                                               \
    do {                                                                                           \
        (void)state;                                                                               \
        for (size_t i = 0; i < N_OF(table); i++)                                                   \
            check(&(table)[i]);                                                                    \
    } while (0)

#endif
