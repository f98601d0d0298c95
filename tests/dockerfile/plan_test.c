/* A plan is made from a project's files alone, and crosses as JSON. */
#include "tests/dockerfile/sample.h"

#define MAX_FILES 8

/* Files are name, text, name, text, …, NULL. */
static void make_plan(const struct dockerfile_plan_request *asked, const char *const *words,
                      struct dockerfile_plan *ret)
{
    struct dockerfile_source_file v[MAX_FILES];
    struct dockerfile_source_files files = {v, 0};
    struct dockerfile_source source = dockerfile_source_memory(&files);
    struct dockerfile_plan_request req = *asked;
    static const struct argv none = ARGV_INIT;
    struct error err = ERROR_INIT;

    for (; words[2 * files.n]; files.n++)
        v[files.n] = (struct dockerfile_source_file){words[2 * files.n], words[2 * files.n + 1]};
    req.source = &source;
    req.type = req.type ? req.type : "agent";
    req.build_args = req.build_args ? req.build_args : &none;
    req.sandbox_image = "ghcr.io/blaxel-ai/sandbox:latest";
    dockerfile_plan_init(ret);
    if (dockerfile_plan_make(&req, ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static const struct dockerfile_plan_request plain = {.file = NULL};

static void test_the_dockerfile_is_found_where_the_project_has_it(void **state)
{
    static const char *const table[][9] = {
        {"Dockerfile", "Dockerfile", "FROM a\n", NULL},
        {"Dockerfile", "Dockerfile", "FROM a\n", "Containerfile", "FROM b\n", NULL},
        {"Containerfile", "Containerfile", "FROM a\n", NULL},
        {"docker/web", "blaxel.toml", "[build]\ndockerfile = \"docker/web\"\n", "Dockerfile",
         "FROM b\n", "docker/web", "FROM a\n", NULL},
        {"Dockerfile", "blaxel.toml", "[build]\ndockerfile = \"docker/web\"\n", "Dockerfile",
         "FROM a\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;

        make_plan(&plain, table[i] + 1, &p);
        assert_string_equal(p.failure.msg, "");
        assert_string_equal(p.file, table[i][0]);
        assert_string_equal(buf_str(&p.text), "FROM a\n");
        assert_false(p.generated);
    }
}

static void test_the_ignore_rules_are_the_dockerfiles_own_or_the_directorys(void **state)
{
    static const char *const table[][9] = {
        {"", "Dockerfile", "FROM a\n", NULL},
        {"x\n", "Dockerfile", "FROM a\n", ".dockerignore", "x\n", NULL},
        {"y\n", "Dockerfile", "FROM a\n", ".dockerignore", "x\n", "Dockerfile.dockerignore", "y\n",
         NULL},
        {"", "Dockerfile", "FROM a\n", ".containerignore", "x\n", NULL},
        {"", "Dockerfile", "FROM a\n", ".dockerignore", "x\n", "Dockerfile.dockerignore", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;

        make_plan(&plain, table[i] + 1, &p);
        assert_string_equal(buf_str(&p.ignore), table[i][0]);
    }
}

static void test_an_application_is_a_sandbox_and_a_volume_template_no_image(void **state)
{
    static const char *const application[] = {"blaxel.toml", "type = \"application\"\n",
                                              "Dockerfile", "FROM a\n", NULL};
    static const char *const template[] = {"blaxel.toml", "type = \"vt\"\n", "Dockerfile",
                                           "FROM a\n", NULL};
    struct dockerfile_plan_request own = {.type = ""};
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p, q, r;

    (void)state;
    make_plan(&own, application, &p);
    assert_string_equal(p.failure.msg, "");
    assert_string_equal(p.type, "sandbox");
    make_plan(&own, template, &q);
    assert_int_equal(q.failure.kind, ERR_INPUT);
    assert_non_null(strstr(q.failure.msg, "volume-template"));
    own.type = "agent";
    make_plan(&own, template, &r);
    assert_string_equal(r.failure.msg, "");
    assert_string_equal(r.type, "agent");
}

static void test_the_type_is_the_requests_then_the_projects_then_sandbox(void **state)
{
    static const char *const with[] = {"blaxel.toml", "type = \"job\"\n", "Dockerfile", "FROM a\n",
                                       NULL};
    static const char *const without[] = {"Dockerfile", "FROM a\n", NULL};
    static const struct {
        const char *asked;
        const char *const *files;
        const char *type;
    } table[] = {{"agent", with, "agent"}, {"", with, "job"}, {"", without, "sandbox"}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;
        const struct dockerfile_plan_request req = {.type = table[i].asked};

        make_plan(&req, table[i].files, &p);
        assert_string_equal(p.type, table[i].type);
    }
}

static void test_build_arguments_of_the_request_win(void **state)
{
    static const char *const files[] = {"blaxel.toml", "[build.args]\nTAG = \"1\"\nKEPT = \"2\"\n",
                                        "Dockerfile", "ARG TAG=0\nFROM a:${TAG}\n", NULL};
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p, q;
    struct argv given = ARGV_INIT;
    const struct dockerfile_plan_request req = {.build_args = &given};

    (void)state;
    make_plan(&plain, files, &p);
    assert_string_equal(p.images.v[0], "a:1");
    argv_push(&given, "TAG=9", NULL);
    make_plan(&req, files, &q);
    assert_string_equal(q.images.v[0], "a:9");
    assert_int_equal(q.build_args.n, 2);
    assert_string_equal(q.build_args.v[0], "KEPT=2");
    assert_string_equal(q.build_args.v[1], "TAG=9");
    argv_release(&given);
}

static void test_what_is_wrong_is_told_with_the_plan(void **state)
{
    static const struct {
        const char *files[5];
        const char *message;
    } table[] = {
        {{"Dockerfile", "FROM a\nRUM b\n", NULL},
         "dockerfile parse error on line 2: unknown instruction: RUM (did you mean RUN?)"},
        {{"Dockerfile", "FROM oci-archive:/x\n", NULL}, "the transport oci-archive is not allowed"},
        {{"blaxel.toml", "name = 3\n", "Dockerfile", "FROM a\n", NULL}, "blaxel.toml line 1: name"},
        {{"requirments.txt", "", NULL},
         "there is requirments.txt (did you mean requirements.txt?)"},
        {{"Dockerfile", "FROM a\nCOPY b /\n", NULL},
         "line 2: COPY \"b\": not found in the build context: no such file was uploaded"},
        {{"Dockerfile", "FROM a\nCOPY web/srcs/ /\n", "web/src/x", "", NULL},
         "no such file was uploaded (did you mean src?)"},
        {{"dockerfile", "FROM a\n", NULL}, "there is dockerfile (did you mean Dockerfile?)"},
        {{"Cargo.toml", "", NULL}, "none is made for Rust (Cargo.toml)"},
        {{"Dockerfile", "FROM a\nRUN --mount=type=bind,source=b,target=/b x\n", NULL},
         "line 2: RUN \"b\": not found in the build context"},
        {{"Dockerfile", "# check=error=true\nFROM a as B\n", NULL}, "lint violation found"},
        {{".dockerignore", "[a-\n", "Dockerfile", "FROM a\n", NULL},
         "the ignore file: line 1: syntax error in pattern"},
        {{"README", "", NULL}, "no Dockerfile, and no language detected"},
        {{"docker/Dockerfile", "FROM a\n", NULL}, "[build] dockerfile = \"docker/Dockerfile\""},
        {{"Dockerfile.prod", "FROM a\n", NULL}, "[build] dockerfile = \"Dockerfile.prod\""},
        {{"package.json", "{\"workspaces\": [\"*\"]}", "a/package.json", "{}", NULL},
         "as in prod = \"cd a && npm start\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;

        make_plan(&plain, table[i].files, &p);
        assert_int_equal(p.failure.kind, ERR_INPUT);
        if (!strstr(p.failure.msg, table[i].message))
            fail_msg("%s", p.failure.msg);
    }
}

static void test_a_command_that_no_shell_can_be_given_is_refused(void **state)
{
    static const char *const begins[] = {"FROM a\nRUN <<E\n", "FROM a\nRUN cat <<E >x\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;

        buf_adds(&text, begins[i]);
        for (int k = 0; k < 3000; k++)
            buf_adds(&text, "echo a line of a script that is not a short one\n");
        buf_adds(&text, "E\n");
        make_plan(&plain, (const char *[]){"Dockerfile", buf_str(&text), NULL}, &p);
        assert_int_equal(p.failure.kind, ERR_LIMIT);
        assert_non_null(strstr(p.failure.msg, "line 2: the command is longer than the 131071"));
    }
}

static void test_what_is_left_out_of_account_is_told(void **state)
{
    static const struct {
        const char *files[5];
        const char *warning; /* NULL: there is none */
    } table[] = {
        {{"Dockerfile", "# syntax=docker/dockerfile:1\nFROM a\n", NULL}, NULL},
        {{"Dockerfile", "# syntax=mirror.gcr.io/docker/dockerfile-upstream:master\nFROM a\n", NULL},
         NULL},
        {{"Dockerfile", "# syntax=ghcr.io/x/frontend\nFROM a\n", NULL},
         "the frontend \"ghcr.io/x/frontend\" of # syntax="},
        {{"blaxel.toml", "[build]\ndockerfile = \"web/D\"\n", "Dockerfile", "FROM a\n", NULL},
         "[build] dockerfile in blaxel.toml names \"web/D\", which is not there"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;

        make_plan(&plain, table[i].files, &p);
        assert_string_equal(p.failure.msg, "");
        assert_int_equal(p.warnings.n, table[i].warning ? 1 : 0);
        if (table[i].warning)
            assert_non_null(strstr(p.warnings.v[0], table[i].warning));
    }
}

/* What is there, what cannot be known from names, and what comes from elsewhere. */
static void test_sources_that_may_be_there_are_not_refused(void **state)
{
    static const char *const instructions[] = {
        "COPY . /",
        "COPY a /x",
        "COPY /a/b /",
        "COPY ./a/../a/ /",
        "COPY c* /",
        "COPY *.none /",
        "COPY --from=s /none /",
        "COPY <<E /x\nE",
        "COPY kept/x /x",
        "COPY kept /x",
        "ADD https://h/x /x",
        "COPY [\"a\", \"/\"]",
        "ADD a /x",
        "ADD git@h:r /x",
        "RUN --mount=type=cache,source=none,target=/x y",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
        char text[256];
        const char *const files[] = {
            "a/b",        "",   "kept/x", "", ".dockerignore", "kept/*\n!kept/x\n",
            "Dockerfile", text, NULL};
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;

        (void)snprintf(text, sizeof(text), "FROM a AS s\nFROM a\n%s\n", instructions[i]);
        make_plan(&plain, files, &p);
        if (p.failure.kind != ERR_NONE)
            fail_msg("%s: %s", instructions[i], p.failure.msg);
    }
}

static void test_a_source_that_the_ignore_rules_hide_is_not_found(void **state)
{
    static const char *const files[] = {
        "a/b", "", ".dockerignore", "a\n", "Dockerfile", "FROM a\nCOPY a /\n", NULL};
    static const char *const unneeded[] = {"Dockerfile", "FROM a AS s\nCOPY none /\nFROM a\n",
                                           NULL};
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p, q;

    (void)state;
    make_plan(&plain, files, &p);
    assert_non_null(strstr(p.failure.msg, "the ignore file leaves it out"));
    make_plan(&plain, unneeded, &q);
    assert_string_equal(q.failure.msg, "");
}

static void test_checks_stand_in_the_plan_with_their_lines(void **state)
{
    static const char *const files[] = {"Dockerfile",
                                        "FROM a AS b\nMAINTAINER me\nFROM a\nCMD x \\\n y\n", NULL};
    const struct dockerfile_plan_request all = {.all_stages = true};
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p, q;

    (void)state;
    make_plan(&plain, files, &p);
    make_plan(&all, files, &q);
    assert_true(p.n_checks > 0);
    assert_string_equal(p.checks[p.n_checks - 1].rule, "JSONArgsRecommended");
    assert_int_equal(p.checks[p.n_checks - 1].first_line, 4);
    assert_int_equal(p.checks[p.n_checks - 1].last_line, 5);
}

static void test_a_check_says_what_to_write_instead(void **state)
{
    const char *const files[] = {"Dockerfile", "FROM a:1\nRUN sudo b\n", NULL};
    const struct dockerfile_plan_request asked = {.type = "agent"};
    struct dockerfile_plan p;

    (void)state;
    make_plan(&asked, files, &p);
    assert_int_equal(p.n_checks, 1);
    assert_string_equal(p.checks[0].rule, "DL3004");
    assert_string_equal(p.checks[0].detail, "sudo in a RUN; leave sudo out, or change the USER");
    dockerfile_plan_release(&p);
}

static void test_a_project_without_a_dockerfile_gets_one(void **state)
{
    static const char *const files[] = {"go.mod", "module x\n\ngo 1.22\n", "main.go",
                                        "package main\nfunc main() {}\n", NULL};
    static const char *const both[] = {"go.mod",     "module x\n\ngo 1.22\n",
                                       "main.go",    "package main\nfunc main() {}\n",
                                       "Dockerfile", "FROM a\n",
                                       NULL};
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p, q;
    const struct dockerfile_plan_request again = {.generate = true};

    (void)state;
    make_plan(&plain, files, &p);
    assert_string_equal(p.failure.msg, "");
    assert_true(p.generated);
    assert_string_equal(p.language, "go");
    assert_string_equal(p.file, "");
    assert_true(p.notes.n > 0 && p.ignore.len > 0);
    assert_string_equal(p.images.v[0], "golang:1.22-bookworm");
    make_plan(&again, both, &q);
    assert_string_equal(buf_str(&q.text), buf_str(&p.text));
}

/* ---- JSON ---- */

static void test_a_plan_crosses_as_json_without_the_values_of_build_arguments(void **state)
{
    static const char *const files[] = {
        "blaxel.toml",
        "nam = \"x\"\n[build]\nslim = false\n",
        "Dockerfile",
        "FROM a AS b\nRUN \"\\t\u00e4\"\nFROM c\nCOPY --from=b / /\n",
        ".dockerignore",
        "*.log\n",
        NULL};
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p, q;
    CLEANUP(buf_release) struct buf json = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    struct argv given = ARGV_INIT;
    const struct dockerfile_plan_request req = {.build_args = &given};
    struct error err = ERROR_INIT;

    (void)state;
    argv_push(&given, "TOKEN=s3cr3t", NULL);
    make_plan(&req, files, &p);
    assert_int_equal(dockerfile_plan_write(&p, &json, &err), 0);
    assert_null(strchr(buf_str(&json), '\n'));
    assert_null(strstr(buf_str(&json), "s3cr3t"));
    assert_non_null(strstr(buf_str(&json), "\"buildArgs\":[\"TOKEN\"]"));
    dockerfile_plan_init(&q);
    if (dockerfile_plan_read(buf_str(&json), json.len, &q, &err) < 0)
        fail_msg("%s\n%s", err.msg, buf_str(&json));
    assert_string_equal(buf_str(&q.text), files[3]);
    assert_string_equal(buf_str(&q.ignore), "*.log\n");
    assert_false(q.settings.build_slim);
    assert_int_equal(q.warnings.n, p.warnings.n);
    assert_int_equal(q.n_stages, 2);
    assert_string_equal(q.stages[0].name, "b");
    assert_true(q.stages[0].needed);
    assert_null(q.stages[1].name);
    argv_push1(&q.build_args, "TOKEN=");
    assert_int_equal(dockerfile_plan_write(&q, &again, &err), 0);
    assert_string_equal(buf_str(&again), buf_str(&json));
    argv_release(&given);
}

static void test_a_failure_crosses_too(void **state)
{
    static const char *const files[] = {"Dockerfile", "FROM a\nRUM \xff\n", NULL};
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p, q;
    CLEANUP(buf_release) struct buf json = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;

    (void)state;
    make_plan(&plain, files, &p);
    dockerfile_plan_init(&q);
    assert_int_equal(dockerfile_plan_write(&p, &json, &err), 0);
    assert_int_equal(dockerfile_plan_read(buf_str(&json), json.len, &q, &err), 0);
    assert_int_equal(q.failure.kind, ERR_INPUT);
    assert_string_equal(q.failure.msg, p.failure.msg);
    assert_string_equal(buf_str(&q.text), "FROM a\nRUM ?\n");
}

static void test_what_is_no_plan_is_our_own_fault(void **state)
{
    static const char *const files[] = {"Dockerfile", "FROM a AS b\nRUN x\n", NULL};
    static const struct {
        const char *from, *to;
    } wounds[] = {
        {"{\"type\"", "[{\"type\""},
        {"\"type\":\"agent\"", "\"type\":7"},
        {"\"type\":\"agent\"", "\"type\":\"a type of far too many letters\""},
        {"\"notes\":[]", "\"notes\":[1]"},
        {"\"notes\":[]", "\"notes\":{}"},
        {"\"line\":1", "\"line\":-1"},
        {"\"line\":1", "\"line\":99999999999"},
        {"\"base\":\"a\"", "\"base\":null"},
        {"\"failure\":null", "\"failure\":{\"kind\":\"system\",\"message\":\"x\"}"},
        {"\"failure\":null", "\"failure\":{\"kind\":\"input\"}"},
        {"\"failure\":null", "\"failure\":true"},
        {"\"settings\":\"\"", "\"settings\":\"= =\""},
        {"\"dockerfile\":", "\"nothing\":"},
        {"\"checks\":[", "\"checks\":[{\"rule\":\"x\"},"},
    };
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;
    CLEANUP(buf_release) struct buf json = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;

    (void)state;
    make_plan(&plain, files, &p);
    assert_int_equal(dockerfile_plan_write(&p, &json, &err), 0);
    for (size_t i = 0; i < sizeof(wounds) / sizeof(wounds[0]); i++) {
        CLEANUP(buf_release) struct buf bad = BUF_INIT(1 << 20);
        CLEANUP(dockerfile_plan_release) struct dockerfile_plan q;
        const char *at = strstr(buf_str(&json), wounds[i].from);

        assert_non_null(at);
        buf_add(&bad, buf_str(&json), (size_t)(at - buf_str(&json)));
        buf_adds(&bad, wounds[i].to);
        buf_adds(&bad, at + strlen(wounds[i].from));
        dockerfile_plan_init(&q);
        if (dockerfile_plan_read(buf_str(&bad), bad.len, &q, &err) == 0)
            fail_msg("taken for a plan: %s", buf_str(&bad));
        assert_int_equal(err.kind, ERR_SYSTEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_dockerfile_is_found_where_the_project_has_it),
        cmocka_unit_test(test_the_ignore_rules_are_the_dockerfiles_own_or_the_directorys),
        cmocka_unit_test(test_an_application_is_a_sandbox_and_a_volume_template_no_image),
        cmocka_unit_test(test_the_type_is_the_requests_then_the_projects_then_sandbox),
        cmocka_unit_test(test_build_arguments_of_the_request_win),
        cmocka_unit_test(test_what_is_wrong_is_told_with_the_plan),
        cmocka_unit_test(test_a_command_that_no_shell_can_be_given_is_refused),
        cmocka_unit_test(test_what_is_left_out_of_account_is_told),
        cmocka_unit_test(test_sources_that_may_be_there_are_not_refused),
        cmocka_unit_test(test_a_source_that_the_ignore_rules_hide_is_not_found),
        cmocka_unit_test(test_checks_stand_in_the_plan_with_their_lines),
        cmocka_unit_test(test_a_check_says_what_to_write_instead),
        cmocka_unit_test(test_a_project_without_a_dockerfile_gets_one),
        cmocka_unit_test(test_a_plan_crosses_as_json_without_the_values_of_build_arguments),
        cmocka_unit_test(test_a_failure_crosses_too),
        cmocka_unit_test(test_what_is_no_plan_is_our_own_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
