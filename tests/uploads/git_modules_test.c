/* What .gitmodules says, and where a submodule is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "uploads/git_modules.h"

static void test_an_address_is_found_by_its_path_as_git_reads_it(void **state)
{
    static const char file[] = "# path = a\n"
                               "[core]\n\tpath = core\n\turl = https://core\n"
                               "[submodule \"a\"]\n\tpath = libs/a\n\turl = ../a.git ; old\n"
                               "  [Submodule \"b\"]\n\tURL=\"https://h/b b\"  # c\n PATH = b/ \r\n"
                               "[submodule \"c\"]\n\tpath = \"c \\\"d\\\" # e\"\n\turl = u\\\\v\n"
                               "[submodule \"none\"]\n\tpath = none\n"
                               "[submodule \"broken\"]\n\tpath = broken\n\turl = \"x\n"
                               "[submodule \"long\"]\n\tpath = long\n\turl = x\\\n\ty\n"
                               "[submodule \"last\"]\npath=last\nurl=first\nurl=second";
    static const struct {
        const char *path, *url;
    } cases[] = {{"libs/a", "../a.git"},  {"b", "https://h/b b"},
                 {"c \"d\" # e", "u\\v"}, {"last", "second"},
                 {"core", NULL},          {"none", NULL},
                 {"broken", NULL},        {"long", NULL},
                 {"libs", NULL},          {"", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char url[UPLOAD_GIT_TEXT];

        assert_int_equal(git_modules_find(file, cases[i].path, url), cases[i].url != NULL);
        if (cases[i].url)
            assert_string_equal(url, cases[i].url);
    }
}

static void test_a_relative_address_is_of_the_same_server(void **state)
{
    static const struct {
        const char *base, *url, *whole; /* NULL: it leads out */
    } cases[] = {
        {"https://h/a/b.git", "../c.git", "https://h/a/c.git"},
        {"https://h/a/b.git/", "./../c", "https://h/a/c"},
        {"https://h/a/b.git", "./c", "https://h/a/b.git/c"},
        {"https://h/a/b.git", "../../c/d", "https://h/c/d"},
        {"https://h:8443/b.git", "../x", "https://h:8443/x"},
        {"https://h/b.git", "../../x", NULL},
        {"https://h/b.git", "https://other/x.git", "https://other/x.git"},
        {"https://h/b.git", "git@h:x.git", "git@h:x.git"},
        {"https://h/b.git", "..", ".."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char whole[UPLOAD_GIT_TEXT];
        struct error err = ERROR_INIT;
        const int result = git_modules_resolve(cases[i].base, cases[i].url, whole, &err);

        assert_int_equal(result, cases[i].whole ? 0 : -1);
        if (cases[i].whole)
            assert_string_equal(whole, cases[i].whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_found_by_its_path_as_git_reads_it),
        cmocka_unit_test(test_a_relative_address_is_of_the_same_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
