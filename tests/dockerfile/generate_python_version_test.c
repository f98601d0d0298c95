/* Which Python a project gets. */
#include "tests/dockerfile/python_project.h"

#define POETRY(python) "[tool.poetry.dependencies]\npython = \"" python "\"\n"
#define STAGE(version) "FROM python:" version "-slim AS build"
#define ALONE(version) "FROM python:" version "-slim"

static void test_the_first_file_that_pins_a_version_decides_it(void **state)
{
    static const struct python_case table[] = {
        CASE(ALONE("3.12"), MAIN),
        CASE(ALONE("3.11"), MAIN, ".python-version", "3.11.4\n"),
        SAYS(ALONE("3.10"), "Python 3.10 (.python-version) is no longer maintained", MAIN,
             ".python-version", "\n# mine\n 3.10 # old\n3.9\n"),
        CASE(ALONE("3.13"), MAIN, ".python-version", "cpython@3.13\r\n"),
        CASE(ALONE("3.12"), MAIN, ".python-version", "3\n"),
        SAYS(ALONE("3.13"), ".python-version: \"my-env\" is no version", MAIN, ".python-version",
             "my-env\n", ".tool-versions", "python 3.13.1 3.9\n"),
        CASE(ALONE("3.14"), MAIN, ".tool-versions", "pythonista 3.9\nnodejs 22\npython\t3.14\n"),
        CASE(ALONE("3.11"), MAIN, ".tool-versions", "nodejs 22\n", "runtime.txt", "python-3.11.9"),
        CASE(ALONE("3.11"), MAIN, ".python-version", "3.11", "runtime.txt", "python-3.13"),
        SAYS(STAGE("3.11"),
             "Python 3.11 (.python-version), which requires-python in pyproject.toml "
             "does not allow",
             MAIN, ".python-version", "3.11", "pyproject.toml", PROJECT(">=3.12")),
        CASE(STAGE("3.13"), MAIN, "pyproject.toml", PROJECT(">=3.10,<3.14"), "Pipfile",
             "[requires]\npython_version = \"3.11\"\n", "Pipfile.lock", "{}"),
        CASE(STAGE("3.11"), MAIN, "Pipfile", "[requires]\npython_version = \"3.11\"\n",
             "Pipfile.lock", "{}"),
        CASE(STAGE("3.13"), MAIN, "Pipfile",
             "[requires]\npython_full_version = \"3.13.2\"\npython_version = \"3.11\"\n",
             "Pipfile.lock", "{}"),
        CASE(STAGE("3.14"), MAIN, "pyproject.toml", PROJECT(">=3.10")),
        SAYS(STAGE("3.11"), "no poetry.lock", MAIN, "pyproject.toml",
             PROJECT(">=3.10") POETRY("~3.11")),
        SAYS(STAGE("3.11.0"),
             "requires-python in pyproject.toml \"==3.11\" allows Python 3.11.0 and no newer", MAIN,
             "pyproject.toml", PROJECT("==3.11")),
    };

    (void)state;
    FOR_ALL(table, expect);
}

static void test_a_version_that_cannot_be_had_is_refused(void **state)
{
    static const struct python_case table[] = {
        CASE("Python 3.8 (.python-version): supported are 3.9 to 3.14", MAIN, ".python-version",
             "3.8"),
        CASE("Python 3.15 (.python-version)", MAIN, ".python-version", "3.15.0"),
        CASE("Python 2.7.18 (runtime.txt)", MAIN, "runtime.txt", "python-2.7.18"),
        CASE(".python-version asks for \"pypy3.10-7.3.17\": only CPython can be had", MAIN,
             ".python-version", "pypy3.10-7.3.17"),
        CASE("requires-python in pyproject.toml \">=3.15\": no version of Python satisfies it",
             MAIN, "pyproject.toml", PROJECT(">=3.15")),
        CASE("requires-python in pyproject.toml \">=3.13\" and python of "
             "[tool.poetry.dependencies] in "
             "pyproject.toml \"<3.12\": no version of Python satisfies both",
             MAIN, "pyproject.toml", PROJECT(">=3.13") POETRY("<3.12")),
        CASE("requires-python in pyproject.toml: \"newest\" is no version specifier", MAIN,
             "pyproject.toml", PROJECT("newest")),
        CASE("read pyproject.toml: requires-python in pyproject.toml, line 2: no version specifier",
             MAIN, "pyproject.toml", "[project]\nrequires-python = 3.11\n"),
        CASE("Python 3.7 (python_version in Pipfile)", MAIN, "Pipfile",
             "[requires]\npython_version = \"3.7\"\n"),
    };

    (void)state;
    FOR_ALL(table, expect_refusal);
}

struct specifier_case {
    const char *text;
    enum python_syntax syntax;
    const char *allowed; /* of 3.9 to 3.14 with their newest patch, and of 3.11.0 */
};

static void expect_allowed(const struct specifier_case *c)
{
    struct python_specifier s;
    CLEANUP(buf_release) struct buf have = BUF_INIT(256);

    if (!python_specifier_parse(c->text, c->syntax, &s))
        buf_adds(&have, "none");
    else {
        for (int minor = PYTHON_MINOR_MIN; minor <= PYTHON_MINOR_MAX; minor++)
            if (python_specifier_allows(&s, minor, PYTHON_PATCH_ANY))
                buf_addf(&have, "%d ", minor);
        if (python_specifier_allows(&s, 11, 0))
            buf_adds(&have, "11.0");
    }
    if (strcmp(buf_str(&have), c->allowed) != 0)
        fail_msg("\"%s\" allows %s, wanted %s", c->text, buf_str(&have), c->allowed);
}

static void test_specifiers_and_constraints_allow_what_their_tools_say(void **state)
{
    static const struct specifier_case table[] = {
        {">=3.10,<3.14", PYTHON_PEP440, "10 11 12 13 11.0"},
        {" >= 3.10 , != 3.12.* ", PYTHON_PEP440, "10 11 13 14 11.0"},
        {"", PYTHON_PEP440, "9 10 11 12 13 14 11.0"},
        {"~=3.11", PYTHON_PEP440, "11 12 13 14 11.0"},
        {"~=3.11.2", PYTHON_PEP440, "11 "},
        {"==3.11.*", PYTHON_PEP440, "11 11.0"},
        {"==3.11", PYTHON_PEP440, "11.0"},
        {"===3.11.0", PYTHON_PEP440, "11.0"},
        {"!=3.11", PYTHON_PEP440, "9 10 11 12 13 14 "},
        {"<=3.11", PYTHON_PEP440, "9 10 11.0"},
        {">3.11", PYTHON_PEP440, "11 12 13 14 "},
        {"<3.12.5", PYTHON_PEP440, "9 10 11 11.0"},
        {">=3.11.0rc1", PYTHON_PEP440, "11 12 13 14 11.0"},
        {">=3", PYTHON_PEP440, "9 10 11 12 13 14 11.0"},
        {">=4", PYTHON_PEP440, ""},
        {">=99999999999999999999", PYTHON_PEP440, ""},
        {"3.11", PYTHON_PEP440, "none"},
        {"^3.11", PYTHON_PEP440, "none"},
        {">=3.11.*", PYTHON_PEP440, "none"},
        {"~=3", PYTHON_PEP440, "none"},
        {">=", PYTHON_PEP440, "none"},
        {"=>3.11", PYTHON_PEP440, "none"},
        {">=3.10 || <3", PYTHON_PEP440, "none"},
        {"^3.10", PYTHON_POETRY, "10 11 12 13 14 11.0"},
        {"^3.11.2", PYTHON_POETRY, "11 12 13 14 "},
        {"~3.11", PYTHON_POETRY, "11 11.0"},
        {"~3.11.2", PYTHON_POETRY, "11 "},
        {"~3", PYTHON_POETRY, "9 10 11 12 13 14 11.0"},
        {"3.11.*", PYTHON_POETRY, "11 11.0"},
        {"3.11", PYTHON_POETRY, "11.0"},
        {"*", PYTHON_POETRY, "9 10 11 12 13 14 11.0"},
        {">=3.10 <3.12", PYTHON_POETRY, "10 11 11.0"},
        {"~3.9 || ~3.12", PYTHON_POETRY, "9 12 "},
        {"~3.9 | >=3.13,<3.14", PYTHON_POETRY, "9 13 "},
        {"|| 3.9", PYTHON_POETRY, "none"},
        {"3.9 ||", PYTHON_POETRY, "none"},
        {"3.9 - 3.11", PYTHON_POETRY, "none"},
    };

    (void)state;
    FOR_ALL(table, expect_allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_file_that_pins_a_version_decides_it),
        cmocka_unit_test(test_a_version_that_cannot_be_had_is_refused),
        cmocka_unit_test(test_specifiers_and_constraints_allow_what_their_tools_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
