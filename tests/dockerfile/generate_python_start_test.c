/* What starts a Python project, as whom, and that hostile text of it stays where it is quoted. */
#include "tests/dockerfile/python_project.h"

#define SHELL(line)    "CMD [\"/bin/sh\", \"-c\", \"exec " line "\"]"
#define FASTAPI        "from fastapi import FastAPI\napp = FastAPI()\n"
#define FLASK          "import flask\nweb: flask.Flask = flask.Flask(__name__)\n"
#define UVICORN(where) SHELL("uvicorn " where " --host $HOST --port $PORT")

static void test_a_framework_is_run_by_its_server(void **state)
{
    static const struct python_case table[] = {
        CASE(UVICORN("main:app"), "main.py", FASTAPI, "requirements.txt", "fastapi[standard]"),
        CASE(UVICORN("src.app:app"), "src/app.py", FASTAPI, "requirements.txt", "fastapi\nuvicorn"),
        CASE(UVICORN("--app-dir src app:app"), "src/app.py", "import db\n" FASTAPI, "src/db.py", "",
             "requirements.txt", "fastapi\nuvicorn"),
        CASE(UVICORN("--app-dir src shop.main:app"), "src/shop/main.py",
             "from shop.db import x\n" FASTAPI, "requirements.txt", "fastapi\nuvicorn"),
        CASE(UVICORN("src.shop.main:app"), "src/shop/main.py",
             "from src.shop.db import x\n" FASTAPI, "requirements.txt", "fastapi\nuvicorn"),
        SAYS("CMD [\"python\", \"main.py\"]", "fastapi in main.py: no server for it", "main.py",
             FASTAPI, "requirements.txt", "fastapi"),
        CASE("CMD [\"python\", \"main.py\"]", "main.py", FASTAPI, "requirements.txt", "uvicorn"),
        CASE("CMD [\"python\", \"main.py\"]", "main.py",
             "def f():\n    app = FastAPI()\n# app = FastAPI()\n", "requirements.txt",
             "fastapi\nuvicorn"),
        CASE("CMD [\"python\", \"main.py\"]", "main.py", "app == FastAPI()\n", "requirements.txt",
             "fastapi\nuvicorn"),
        CASE(UVICORN("main:app"), "app.py", "print()", "main.py", FASTAPI, "requirements.txt",
             "fastapi\nuvicorn"),
        CASE(SHELL("gunicorn --bind $HOST:$PORT api:web"), "api.py", FLASK, "requirements.txt",
             "Flask\nGunicorn"),
        SAYS(SHELL("flask --app app.main:web run --host $HOST --port $PORT"),
             "flask's own server is meant for development", "app/main.py", FLASK,
             "requirements.txt", "flask"),
        CASE(SHELL("gunicorn --bind $HOST:$PORT main:app"), "main.py", "app = create_app()\n",
             "requirements.txt", "flask\ngunicorn"),
        CASE(SHELL("streamlit run streamlit_app.py --server.address $HOST --server.port $PORT "
                   "--server.headless true"),
             "streamlit_app.py", "import streamlit as st\n", "requirements.txt", "streamlit"),
        CASE(SHELL("gunicorn --bind $HOST:$PORT my.wsgi:application"), "manage.py",
             "environ[\"DJANGO_SETTINGS_MODULE\"] = 'my.settings'", "my/wsgi.py", "",
             "requirements.txt", "django\ngunicorn"),
        CASE(UVICORN("my.asgi:application"), "manage.py",
             "setdefault(\"DJANGO_SETTINGS_MODULE\", \"my.settings.prod\")", "my/asgi.py", "",
             "requirements.txt", "django\nuvicorn"),
        SAYS(SHELL("python manage.py runserver --noreload $HOST:$PORT"),
             "django's own server is meant for development", "manage.py",
             "setdefault(\"DJANGO_SETTINGS_MODULE\", \"my.settings\")", "requirements.txt",
             "django"),
        FULL("CMD [\"python\", \"main.py\"]", NULL, NULL, "job", "main.py", FASTAPI,
             "requirements.txt", "fastapi\nuvicorn"),
    };

    (void)state;
    FOR_ALL(table, expect);
}

static void test_entry_files_are_looked_for_in_the_clients_order(void **state)
{
    static const struct python_case table[] = {
        CASE("CMD [\"python\", \"app.py\"]", "app.py", "", "main.py", ""),
        CASE("CMD [\"python\", \"app/api.py\"]", "src/main.py", "", "app/api.py", ""),
        CASE("CMD [\"python\", \"src/server.py\"]", "requirements.txt", "", "src/server.py", ""),
        CASE("CMD [\"python\", \"-m\", \"src.main\"]", "src/main.py", "from .x import y\n"),
        CASE("CMD [\"python\", \"-m\", \"app.main\"]", "app/main.py", "import app.x\n"),
        CASE("CMD [\"python\", \"-m\", \"src\"]", "src/main.py", "import x\n", "src/x.py", "",
             "src/__main__.py", ""),
        CASE("CMD [\"python\", \"src/main.py\"]", "src/main.py",
             "if __name__ == '__main__':\n    x()\n", "src/__main__.py", ""),
        CASE("CMD [\"python\", \"-m\", \"tool\"]", "requirements.txt", "", "tool/__main__.py", ""),
        CASE(SHELL("env PYTHONPATH=src python -m tool"), "requirements.txt", "",
             "src/tool/__main__.py", ""),
        CASE("CMD [\"serve\"]", "pyproject.toml",
             NAMED BUILT "[project.scripts]\nserve = \"x:y\"\n"),
        CASE("CMD [\"my-app\"]", "pyproject.toml",
             NAMED BUILT "[project.scripts]\nserve = \"x:y\"\nmy-app = \"x:z\"\n"),
    };

    (void)state;
    FOR_ALL(table, expect);
}

static void test_the_projects_own_command_comes_before_all_others(void **state)
{
    static const struct python_case table[] = {
        PROD("CMD [\".venv/bin/python3\", \"-m\", \"src\"]", NULL, ".venv/bin/python3 -m src",
             "main.py", FASTAPI, "requirements.txt", "fastapi\nuvicorn"),
        CASE("CMD [\"gunicorn\", \"x:y\"]", MAIN, "Procfile", "web: gunicorn x:y"),
        PROD("CMD [\"python\", \"-m\", \"src\"]", "\"uv run\" is left out", "uv run python -m src",
             MAIN),
        PROD("CMD [\"python\", \"main.py\"]", "\"poetry run\" is left out", "poetry run main.py",
             MAIN),
        PROD(SHELL("uvicorn x:y --port $PORT"), "\"uv run\" is left out",
             "uv run uvicorn x:y --port $PORT", MAIN),
        PROD("CMD [\"python\", \"-m\", \"src\"]", "\"uv run --frozen --no-sync\" is left out",
             "uv run --frozen --no-sync -m src", MAIN),
        PROD("CMD [\"/bin/sh\", \"-c\", \"cd x && uv run y\"]",
             "the start command uses \"uv run \"", "cd x && uv run y", MAIN),
        PROD("CMD [\"uv\", \"run\", \"--with\", \"x\", \"y\"]",
             "the start command uses \"uv run \"", "uv run --with x y", MAIN),
    };

    (void)state;
    FOR_ALL(table, expect);
}

static void test_without_an_entry_point_the_error_says_what_to_do(void **state)
{
    static const struct python_case table[] = {
        CASE("no entry point found: looked for [entrypoint] prod in "
             "blaxel.toml, a Procfile, app.py, main.py, api.py, app/main.py, app/app.py, "
             "app/api.py, "
             "src/main.py, src/app.py, src/api.py, server.py, a package with a __main__.py",
             "requirements.txt", ""),
        CASE("no entry point found", "pyproject.toml",
             NAMED BUILT "[project.scripts]\na = \"x:y\"\nb = \"x:z\"\n"),
        CASE("no entry point found", "pyproject.toml", NAMED "[project.scripts]\na = \"x:y\"\n"),
    };
    static const struct python_case sandbox = {{"requirements.txt", "six"},
                                               "WORKDIR /app",
                                               "No program to start was found",
                                               NULL,
                                               "sandbox"};

    (void)state;
    FOR_ALL(table, expect_refusal);
    expect(&sandbox);
}

/* ---- types ---- */

static bool generates(const char *type, const char *text)
{
    const struct python_case c = {{MAIN}, NULL, NULL, NULL, type};
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
    struct error err = ERROR_INIT;

    assert_int_equal(generate(&c, &out, &err), 0);
    return strstr(buf_str(&out.text), text) != NULL;
}

static void test_only_a_sandbox_is_root_and_only_a_job_has_no_port(void **state)
{
    static const struct {
        const char *type;
        bool user, port;
    } table[] = {{"agent", true, true},
                 {"function", true, true},
                 {"job", true, false},
                 {"sandbox", false, true}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(generates(table[i].type, "\nUSER 1000:1000\n"), table[i].user);
        assert_int_equal(generates(table[i].type, "useradd --uid 1000"), table[i].user);
        assert_int_equal(generates(table[i].type, "COPY --chown=1000:1000 . .\n"), table[i].user);
        assert_int_equal(generates(table[i].type, "PORT="), table[i].port);
    }
}

/* ---- hostile text ---- */

static size_t count_instructions(const char *text)
{
    struct dockerfile *d = must_parse(text);
    size_t n, count = 0;
    const struct dockerfile_stage *stages = dockerfile_stages(d, &n);

    for (size_t i = 0; i < n; i++)
        count += stages[i].n_instructions;
    dockerfile_free(d);
    return count;
}

/* Text of the project that a comment or a command quotes adds no instruction. */
static void test_text_of_the_project_stays_where_it_is_quoted(void **state)
{
    static const struct python_case table[] = {
        CASE(NULL, MAIN, "pyproject.toml", NAMED "dependencies = [\"./a\\nRUN evil\\\\\\n\"]\n"),
        CASE(NULL, MAIN, "pyproject.toml",
             NAMED "[tool.uv.sources.\"a\\nRUN evil\"]\npath = \"\\u00ff\\nRUN evil\"\n"),
        CASE(NULL, MAIN, "requirements.txt", "-r a\\\rRUN evil\n./\xff\xfe\\\n"),
        CASE(NULL, MAIN, "pyproject.toml", PROJECT(">=3.9\\nRUN evil")),
        CASE(NULL, "pyproject.toml", NAMED BUILT "[project.scripts]\n\"a\\nRUN evil\" = \"x\"\n",
             MAIN),
        CASE(NULL, "main.py", "app\\\nRUN = FastAPI()\n", "requirements.txt", "fastapi\nuvicorn"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
        struct error err = ERROR_INIT;

        if (generate(&table[i], &out, &err) < 0) {
            assert_int_equal(err.kind, ERR_INPUT);
            continue;
        }
        assert_true(count_instructions(buf_str(&out.text)) <= 25);
        for (const char *s = buf_str(&out.text); (s = strstr(s, "evil")); s++) {
            const char *line = s;

            while (line > buf_str(&out.text) && line[-1] != '\n')
                line--;
            assert_int_equal(*line, '#');
        }
    }
}

static void test_there_are_limits(void **state)
{
    CLEANUP(buf_release) struct buf many = BUF_INIT(1 << 20);
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation out;
    struct python_case c = {{MAIN, "requirements.txt", NULL}, NULL, NULL, NULL, NULL};
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < 10001; i++)
        buf_addf(&many, "p%d\n", i);
    c.files[3] = buf_str(&many);
    assert_int_equal(generate(&c, &out, &err), -1);
    assert_string_equal(err.msg, "read the dependencies: more than 10000");
    assert_int_equal(err.kind, ERR_LIMIT);
    dockerfile_generation_release(&out);

    buf_clear(&many);
    for (int i = 0; i < 64; i++)
        buf_addf(&many, "-r f%d\n", i);
    c.files[3] = buf_str(&many);
    assert_int_equal(generate(&c, &out, &err), -1);
    assert_string_equal(err.msg, "read requirements.txt: more than 64 files are included");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_framework_is_run_by_its_server),
        cmocka_unit_test(test_entry_files_are_looked_for_in_the_clients_order),
        cmocka_unit_test(test_the_projects_own_command_comes_before_all_others),
        cmocka_unit_test(test_without_an_entry_point_the_error_says_what_to_do),
        cmocka_unit_test(test_only_a_sandbox_is_root_and_only_a_job_has_no_port),
        cmocka_unit_test(test_text_of_the_project_stays_where_it_is_quoted),
        cmocka_unit_test(test_there_are_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
