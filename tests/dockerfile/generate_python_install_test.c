/* How what a Python project needs is installed: manager, manifests, Debian packages. */
#include "tests/dockerfile/python_project.h"

#define CACHE(dir)  "--mount=type=cache,target=/root/.cache/" dir " "
#define UV_SYNC     "RUN " CACHE("uv") "uv sync --locked --no-dev --no-editable"
#define PIP_INSTALL "RUN " CACHE("pip") ".venv/bin/pip install --no-input --progress-bar off "

static void test_a_lock_file_or_else_a_manifest_decides_the_manager(void **state)
{
    static const struct python_case table[] = {
        CASE(UV_SYNC " --no-install-project", MAIN, "pyproject.toml", NAMED, "uv.lock", ""),
        SAYS("COPY requirements.txt ./", "requirements.txt is UTF-16", MAIN, "requirements.txt",
             "\xff\xfe"
             "f"),
        SAYS(UV_SYNC " --no-install-project", "requirements.txt is not used: uv.lock decides", MAIN,
             "pyproject.toml", NAMED, "uv.lock", "", "requirements.txt", "six"),
        SAYS(UV_SYNC " --no-install-project",
             "more than one lock file: took uv.lock, not poetry.lock", MAIN, "pyproject.toml",
             NAMED, "uv.lock", "", "poetry.lock", ""),
        SAYS("RUN " CACHE("pypoetry") "poetry install --no-ansi --only=main --no-root --compile",
             "more than one lock file: took poetry.lock, not pdm.lock", MAIN, "pyproject.toml",
             NAMED, "pdm.lock", "", "poetry.lock", ""),
        CASE("RUN " CACHE("pdm") "pdm install --check --prod --no-editable --no-self", MAIN,
             "pyproject.toml", NAMED, "pdm.lock", "", "Pipfile", ""),
        SAYS("RUN " CACHE("pipenv") CACHE("pip") "pipenv verify && pipenv sync",
             "requirements.txt is not used", MAIN, "Pipfile", "", "Pipfile.lock", "",
             "requirements.txt", ""),
        SAYS("RUN " CACHE("pipenv") CACHE("pip") "pipenv install --skip-lock", "no Pipfile.lock",
             MAIN, "Pipfile", "", "requirements.txt", ""),
        SAYS(PIP_INSTALL "-r requirements.txt", "uv.lock is not used: there is no pyproject.toml",
             MAIN, "requirements.txt", "six", "uv.lock", ""),
        CASE(PIP_INSTALL "-r requirements.txt", MAIN, "requirements.txt", "", "pyproject.toml",
             NAMED, "setup.py", ""),
        CASE(PIP_INSTALL "-r requirements/prod.txt", MAIN, "requirements/prod.txt", "six"),
        CASE("RUN " CACHE("uv") "uv pip install -r pyproject.toml", MAIN, "pyproject.toml", NAMED,
             "setup.py", ""),
        SAYS("RUN " CACHE("uv") "uv sync --no-dev --no-editable --no-install-project", "no uv.lock",
             MAIN, "pyproject.toml", NAMED "[tool.uv]\nmanaged = true\n"),
        SAYS("RUN " CACHE("pdm") "pdm install --prod --no-editable", "no pdm.lock", MAIN,
             "pyproject.toml", NAMED "[tool.pdm]\ndistribution = true\n"),
        CASE(PIP_INSTALL ".", MAIN, "pyproject.toml", "[tool.ruff]\nline-length = 100\n",
             "setup.py", ""),
        CASE("RUN python -m venv --without-pip .venv", MAIN, "pyproject.toml",
             "[tool.ruff]\nline-length = 100\n"),
    };

    (void)state;
    FOR_ALL(table, expect);
}

static void test_the_manager_is_one_that_runs_on_that_python(void **state)
{
    static const struct python_case table[] = {
        SAYS("RUN " CACHE("pip") "pip install --no-input --progress-bar off poetry==2.5.1",
             "Python 3.10", MAIN, "pyproject.toml", NAMED, "poetry.lock", "", ".python-version",
             "3.10"),
        SAYS("RUN " CACHE("pip") "pip install --no-input --progress-bar off poetry==2.2.1",
             "Python 3.9", MAIN, "pyproject.toml", NAMED, "poetry.lock", "", ".python-version",
             "3.9"),
    };

    (void)state;
    FOR_ALL(table, expect);
}

static void test_a_project_that_is_a_package_is_installed_too(void **state)
{
    static const struct python_case table[] = {
        CASE(UV_SYNC, MAIN, "pyproject.toml", NAMED BUILT, "uv.lock", ""),
        CASE(UV_SYNC, MAIN, "pyproject.toml", NAMED "[tool.uv]\npackage = true\n", "uv.lock", ""),
        CASE("RUN " CACHE("uv") "uv pip install --no-deps .", MAIN, "pyproject.toml", NAMED BUILT),
        CASE("RUN " CACHE("pypoetry") "poetry install --no-ansi --only-root --compile", MAIN,
             "pyproject.toml", NAMED, "poetry.lock", "", "my_app/__init__.py", ""),
        CASE("RUN " CACHE("pypoetry") "poetry install --no-ansi --only-root --compile", MAIN,
             "pyproject.toml", "[tool.poetry]\npackages = [{include = \"x\"}]\n", "poetry.lock",
             ""),
        CASE("ENV SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0", MAIN, "pyproject.toml",
             "[build-system]\nrequires = [\"hatchling\", \"hatch-vcs\"]\n" NAMED, "uv.lock", ""),
    };

    (void)state;
    FOR_ALL(table, expect);
}

/* The last RUN of the build stage is that of the dependencies alone. */
static void test_a_project_that_is_no_package_is_not_installed(void **state)
{
    static const struct python_case table[] = {
        CASE("uv sync --locked --no-dev --no-editable\n", MAIN, "pyproject.toml",
             NAMED BUILT "[tool.uv]\npackage = false\n", "uv.lock", ""),
        CASE("--no-editable\n", MAIN, "pyproject.toml",
             NAMED BUILT "[tool.pdm]\ndistribution = false\n", "pdm.lock", ""),
        CASE("--only-root", MAIN, "pyproject.toml", NAMED BUILT, "poetry.lock", ""),
        CASE("--only-root", MAIN, "pyproject.toml",
             NAMED BUILT "[tool.poetry]\npackage-mode = false\n", "poetry.lock", "",
             "my_app/__init__.py", ""),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
        struct error err = ERROR_INIT;

        assert_int_equal(generate(&table[i], &out, &err), 0);
        if (strstr(buf_str(&out.text), table[i].want))
            fail_msg("\"%s\" in:\n%s", table[i].want, buf_str(&out.text));
    }
}

/* ---- what is copied first ---- */

#define TREE "COPY . ."

static void test_files_that_the_install_reads_are_copied_before_it(void **state)
{
    static const struct python_case table[] = {
        CASE("COPY pyproject.toml uv.lock uv.toml ./", MAIN, "pyproject.toml", NAMED, "uv.lock", "",
             "uv.toml", ""),
        CASE("COPY requirements/b.txt ./requirements/", MAIN, "requirements.txt",
             "-r requirements/a.txt", "requirements/a.txt", "-rb.txt\n-c ../c.txt",
             "requirements/b.txt", "", "c.txt", ""),
        CASE("COPY r.txt ./", MAIN, "requirements.txt", "--requirement=./r.txt", "r.txt",
             "-r requirements.txt"),
        CASE("COPY requirements.txt ./", MAIN, "requirements.txt", "-r https://example.com/r.txt"),
        CASE("COPY requirements.txt ./", MAIN, "requirements.txt", "x @ https://example.com/x.whl"),
    };
    static const struct python_case trees[] = {
        CASE("# . in requirements.txt comes from the project's own "
             "files",
             MAIN, "requirements.txt", "-e ."),
        CASE(TREE, MAIN, "requirements.txt", "./lib"),
        CASE("# requirements.txt looks for packages in wheels", MAIN, "requirements.txt",
             "--find-links=wheels"),
        CASE("# lib/x in requirements.txt comes from the "
             "project's own files",
             MAIN, "requirements.txt", "lib/x"),
        CASE("# x @ file:./lib in requirements.txt comes "
             "from the project's own files",
             MAIN, "requirements.txt", "x @ file:./lib"),
        CASE("# x-1.whl in requirements.txt comes from the "
             "project's own files",
             MAIN, "requirements.txt", "x-1.whl"),
        CASE("# requirements.txt includes ../up.txt", MAIN, "requirements.txt", "-r ../up.txt"),
        CASE("# a workspace in pyproject.toml", MAIN, "uv.lock", "", "pyproject.toml",
             NAMED "[tool.uv.workspace]\nmembers = [\"a\"]\n"),
        CASE("# lib in pyproject.toml comes from the project's own files", MAIN, "uv.lock", "",
             "pyproject.toml", NAMED "[tool.uv.sources]\nlib = {path = \"l\"}\n"),
        CASE("# lib in pyproject.toml comes from the project's own files", MAIN, "poetry.lock", "",
             "pyproject.toml", "[tool.poetry.dependencies.lib]\npath = \"l\"\n"),
        CASE("# lib in Pipfile comes from the project's own files", MAIN, "Pipfile.lock", "",
             "Pipfile", "[packages]\nlib = {path = \"l\"}\n"),
        CASE("# dynamic dependencies in pyproject.toml", MAIN, "uv.lock", "", "pyproject.toml",
             NAMED "dynamic = [\"dependencies\"]\n"),
    };

    (void)state;
    FOR_ALL(table, expect);
    FOR_ALL(trees, expect);
}

static void test_an_include_that_is_not_there_is_refused(void **state)
{
    static const struct python_case table[] = {
        CASE("requirements.txt includes base.txt, which is not there", MAIN, "requirements.txt",
             "-r base.txt"),
        CASE("read pyproject.toml: line 1", MAIN, "pyproject.toml", "[project\n"),
    };

    (void)state;
    FOR_ALL(table, expect_refusal);
}

/* ---- Debian packages ---- */

#define APT(names)                                                                                 \
    "RUN apt-get update && apt-get install -y --no-install-recommends " names                      \
    " && rm -rf /var/lib/apt/lists/*"

static void test_packages_that_need_something_of_debian_get_it(void **state)
{
    static const struct python_case table[] = {
        CASE(APT("libpq5"), MAIN, "requirements.txt", "psycopg2>=2"),
        CASE(APT("build-essential libpq-dev"), MAIN, "requirements.txt", "Psycopg2"),
        CASE(APT("build-essential libpq-dev"), MAIN, "requirements.txt", "psycopg[c]"),
        CASE(APT("ffmpeg"), MAIN, "requirements.txt", "moviepy\npydub"),
        CASE(APT("git"), MAIN, "requirements.txt", "x @ git+https://example.com/x"),
        CASE(APT("libmariadb3"), MAIN, "pyproject.toml", NAMED, "uv.lock",
             "[[package]]\nname = \"mysqlclient\"\n"),
        CASE(APT("poppler-utils"), MAIN, "Pipfile", "", "Pipfile.lock",
             "{\"default\": {\n  \"pdf2image\": {\n"),
        CASE(APT("git"), MAIN, "pyproject.toml",
             "[tool.poetry.dependencies]\nx = {git = \"https://x\"}\n", "poetry.lock", ""),
        CASE(APT("libcairo2"), MAIN, "setup.py", "setup(install_requires=['six', \"pycairo>1\"])"),
    };
    static const struct python_case none[] = {
        CASE("", MAIN, "requirements.txt", "psycopg2-binary\npsycopg[binary]\n# psycopg2\n"),
        CASE("", MAIN, "requirements.txt", "uwsgi-tools\nnot-psycopg2"),
    };

    (void)state;
    FOR_ALL(table, expect);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
        struct error err = ERROR_INIT;

        assert_int_equal(generate(&none[i], &out, &err), 0);
        assert_null(strstr(buf_str(&out.text), "apt-get"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lock_file_or_else_a_manifest_decides_the_manager),
        cmocka_unit_test(test_the_manager_is_one_that_runs_on_that_python),
        cmocka_unit_test(test_a_project_that_is_a_package_is_installed_too),
        cmocka_unit_test(test_a_project_that_is_no_package_is_not_installed),
        cmocka_unit_test(test_files_that_the_install_reads_are_copied_before_it),
        cmocka_unit_test(test_an_include_that_is_not_there_is_refused),
        cmocka_unit_test(test_packages_that_need_something_of_debian_get_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
