/* tests/dockerfile/sample — Dockerfiles written in the tests. */
#ifndef TESTS_DOCKERFILE_SAMPLE_H
#define TESTS_DOCKERFILE_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/dockerfile.h"

static inline struct dockerfile *must_parse(const char *text)
{
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    if (dockerfile_parse(text, strlen(text), &dockerfile_limits_default, &d, &err) < 0)
        fail_msg("%s\n%s", err.msg, text);
    return d;
}

/* The instruction of that index in the last stage. */
static inline const struct dockerfile_instruction *nth(const struct dockerfile *d, size_t i)
{
    size_t n;
    const struct dockerfile_stage *stages = dockerfile_stages(d, &n);

    assert_true(i < stages[n - 1].n_instructions);
    return &stages[n - 1].instructions[i];
}

/* text fails with that kind and message. */
static inline void must_refuse(const char *text, size_t len, const struct dockerfile_limits *limits,
                               enum error_kind kind, const char *message)
{
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    if (dockerfile_parse(text, len, limits, &d, &err) == 0) {
        dockerfile_free(d);
        fail_msg("accepted: %s", text);
    }
    assert_string_equal(err.msg, message);
    assert_int_equal(err.kind, kind);
}

#endif
