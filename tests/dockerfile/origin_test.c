/* What a source of ADD is, and which Dockerfiles get something from the web. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <string.h>

#include "dockerfile/dockerfile.h"

static void test_sources_are_files_addresses_or_repositories(void **state)
{
    static const struct {
        const char *source;
        enum dockerfile_origin origin;
    } cases[] = {
        {"a", DOCKERFILE_ORIGIN_CONTEXT},
        {"./http://x", DOCKERFILE_ORIGIN_CONTEXT},
        {"HTTP://x/y", DOCKERFILE_ORIGIN_CONTEXT},
        {"ftp://x/y", DOCKERFILE_ORIGIN_CONTEXT},
        {"github.com/a/b", DOCKERFILE_ORIGIN_CONTEXT},
        {"http://x/y", DOCKERFILE_ORIGIN_URL},
        {"https://x/y.git.zip", DOCKERFILE_ORIGIN_URL},
        {"https://x/y.git", DOCKERFILE_ORIGIN_GIT},
        {"https://x/y.git#main", DOCKERFILE_ORIGIN_GIT},
        {"https://x/y.git?what=this", DOCKERFILE_ORIGIN_GIT},
        {"git@x:y", DOCKERFILE_ORIGIN_GIT},
        {"ssh://x/y", DOCKERFILE_ORIGIN_GIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(dockerfile_origin_of(cases[i].source), cases[i].origin);
}

static void test_an_add_of_an_address_is_found_in_any_stage(void **state)
{
    static const struct {
        const char *text;
        bool adds;
    } cases[] = {
        {"FROM a\nADD x /y\nRUN curl http://x\nCOPY http: /\n", false},
        {"FROM a\nADD http://x/y /y\nFROM b\n", true},
        {"FROM a\nADD --chmod=600 x https://x/y /y/\n", true},
        {"FROM a\nADD [\"http://x/y\", \"/y\"]\n", true},
        {"FROM a\nARG X\nADD $X /y\n", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(dockerfile_freep) struct dockerfile *d = NULL;
        struct error err = ERROR_INIT;

        assert_int_equal(dockerfile_parse(cases[i].text, strlen(cases[i].text),
                                          &dockerfile_limits_default, &d, &err),
                         0);
        assert_int_equal(dockerfile_adds_from_web(d), cases[i].adds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources_are_files_addresses_or_repositories),
        cmocka_unit_test(test_an_add_of_an_address_is_found_in_any_stage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
