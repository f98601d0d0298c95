/* The names of a path, one after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/path.h"

static void names_are_what_is_between_slashes_and_no_dots(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"/", ""},
        {".", ""},
        {"./././", ""},
        {"a", "[a]"},
        {"/a//b/./c/", "[a][b][c]"},
        {"./.a/..b/...", "[.a][..b][...]"},
        {"../a/..", "[..][a][..]"},
        {"a/.", "[a]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *rest = cases[i][0], *name;
        char got[64] = "";
        size_t len, at = 0;

        while (path_next(&rest, &name, &len))
            at += (size_t)snprintf(got + at, sizeof(got) - at, "[%.*s]", (int)len, name);
        assert_string_equal(got, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_what_is_between_slashes_and_no_dots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
