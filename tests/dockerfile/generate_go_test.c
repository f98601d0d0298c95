/* A Go project: what its files and its start command say about the build. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate.h"
#include "dockerfile/generate/go_module.h"
#include "dockerfile/generate/go_package.h"
#include "dockerfile/generate/go_path.h"

#define MAIN        "package main\n"
#define FILES_MAX   8
#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

/* A project, the command that starts it, and a part of what comes out: of the Dockerfile, or of
 * the error when that begins with "!". */
struct go_case {
    struct dockerfile_source_file files[FILES_MAX];
    const char *prod;
    const char *want;
};

static int generate(const struct go_case *c, struct dockerfile_generation *g, struct error *err)
{
    struct dockerfile_source_files files = {.v = c->files};
    struct dockerfile_source source = dockerfile_source_memory(&files);
    struct dockerfile_settings settings = {.entrypoint_prod = (char *)c->prod,
                                           .entrypoint_line = 2};

    while (files.n < FILES_MAX && c->files[files.n].path)
        files.n++;
    return dockerfile_generate(&source, &settings, "agent", g, err);
}

static void check(const struct go_case *c)
{
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation g;
    struct error err = ERROR_INIT;
    int r;

    dockerfile_generation_init(&g);
    r = generate(c, &g, &err);
    if (c->want[0] != '!' && r < 0)
        fail_msg("%s: %s", c->prod ? c->prod : "", err.msg);
    if (c->want[0] == '!' && (r == 0 || err.kind == ERR_SYSTEM))
        fail_msg("%s: accepted\n%s", c->prod ? c->prod : "", buf_str(&g.text));
    if (!strstr(r < 0 ? err.msg : buf_str(&g.text), c->want + (c->want[0] == '!')))
        fail_msg("%s: no \"%s\" in:\n%s", c->prod ? c->prod : "", c->want,
                 r < 0 ? err.msg : buf_str(&g.text));
}

static void check_all(const struct go_case *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&table[i]);
}

static void test_toolchain_then_go_decides_the_image(void **state)
{
    static const struct {
        const char *module, *from, *toolchain;
    } table[] = {
        {"go 1.22", "golang:1.22-bookworm", "local"},
        {"go 1.22.0", "golang:1.22-bookworm", "local"},
        {"go 1.22.3", "golang:1.22-bookworm", "auto"},
        {"go 1.25rc1", "golang:1.25-bookworm", "local"},
        {"go 1.21\ntoolchain go1.23.4", "golang:1.23-bookworm", "auto"},
        {"go 1.21\ntoolchain go1.23", "golang:1.23-bookworm", "local"},
        {"go 1.21\ntoolchain default", "golang:1.21-bookworm", "local"},
        {"go 1.24\ntoolchain go1.23.4", "golang:1.24-bookworm", "local"},
        {"go 1.13", "golang:1.25-bookworm", "local"},
        {"go 1.13.5", "golang:1.25-bookworm", "local"},
        {"go 1.99", "golang:1.26-bookworm", "auto"},
        {"go 2.0", "golang:1.26-bookworm", "auto"},
        {"go 123456.1", "golang:1.25-bookworm", "local"},
        {"go x", "golang:1.25-bookworm", "local"},
        {"", "golang:1.25-bookworm", "local"},
        {"go 1.22 // not 1.23", "golang:1.22-bookworm", "local"},
        {"go (\n1.22\n)", "golang:1.22-bookworm", "local"},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++) {
        char module[128], want[128];
        struct go_case c = {.files = {{"go.mod", module}, {"main.go", MAIN}}, .want = want};

        (void)snprintf(module, sizeof(module), "module m\n%s\n", table[i].module);
        (void)snprintf(want, sizeof(want), "FROM %s AS build\n", table[i].from);
        check(&c);
        (void)snprintf(want, sizeof(want), "ENV GOTOOLCHAIN=%s\n", table[i].toolchain);
        check(&c);
    }
}

static void test_the_program_is_found_where_programs_are(void **state)
{
    static const struct go_case table[] = {
        {{{"go.mod", ""}, {"server.go", MAIN}}, NULL, "-o /out/app .\n"},
        {{{"go.mod", ""}, {"x.go", "package x"}, {"src/main.go", MAIN}}, NULL, "/app ./src\n"},
        {{{"go.mod", ""}, {"cmd/main.go", MAIN}, {"cmd/a/main.go", MAIN}}, NULL, "/app ./cmd\n"},
        {{{"go.mod", ""}, {"src/main.go", MAIN}, {"cmd/main.go", MAIN}}, NULL, "/app ./src\n"},
        {{{"go.mod", ""}, {"cmd/a.b_c-1/x.go", MAIN}}, NULL, "/app ./cmd/a.b_c-1\n"},
        {{{"go.mod", ""}, {"cmd/a/x.go", MAIN}, {"cmd/b/b.go", "package b"}}, NULL, "./cmd/a\n"},
        {{{"go.mod", ""}, {"cmd/a/x.go", MAIN}, {"cmd/b;c/b.go", MAIN}}, NULL, "./cmd/a\n"},
        {{{"go.mod", ""}, {"main_test.go", MAIN}, {"cmd/a/x.go", MAIN}}, NULL, "./cmd/a\n"},
        {{{"go.mod", ""}, {"x.go", "//go:build ignore\n" MAIN}, {"cmd/a/x.go", MAIN}},
         NULL,
         "./cmd/a\n"},
        {{{"go.mod", ""}, {"cmd/a/x.go", MAIN}, {"cmd/b/b.go", MAIN}},
         NULL,
         "!several Go programs: ./cmd/a, ./cmd/b; say which with [entrypoint] prod"},
        {{{"go.mod", ""}, {"x.go", "package x"}}, NULL, "!no Go program: looked for"},
        {{{"go.mod", ""}, {"cmd/b;c/b.go", MAIN}}, NULL, "!no Go program: looked for"},
    };

    (void)state;
    check_all(table, N_OF(table));
}

static void test_a_workspace_has_the_program_of_one_of_its_modules(void **state)
{
    static const struct go_case table[] = {
        {{{"go.work", "use ./a"}, {"a/go.mod", ""}, {"a/x.go", MAIN}}, NULL, "/app ./a\n"},
        {{{"go.work", "use (\n./a\n\"./b\"\n)"},
          {"a/go.mod", ""},
          {"b/go.mod", ""},
          {"b/cmd/x/x.go", MAIN}},
         NULL,
         "/app ./b/cmd/x\n"},
        {{{"go.work", "use ./a\nuse ./b\nuse ./a/"},
          {"a/go.mod", ""},
          {"b/go.mod", ""},
          {"a/x.go", MAIN},
          {"b/cmd/x/x.go", MAIN}},
         NULL,
         "!several Go programs: ./a, ./b/cmd/x;"},
        {{{"go.work", "use ./a\nuse ./b"},
          {"a/go.mod", ""},
          {"b/go.mod", ""},
          {"a/x.go", MAIN},
          {"b/cmd/x/x.go", MAIN}},
         "./x",
         "/app ./b/cmd/x\n"},
        {{{"go.work", "use ."}, {"go.mod", ""}, {"main.go", MAIN}}, NULL, "/out/app .\n"},
        {{{"go.work", "use ./a"}, {"a/go.mod", ""}, {"a/a.go", MAIN}, {"main.go", MAIN}},
         NULL,
         "/out/app .\n"},
        {{{"go.work", "use ../a"}, {"main.go", MAIN}},
         NULL,
         "!go.work line 1: use \"../a\" is outside the project"},
        {{{"go.work", "\nuse ./a"}, {"main.go", MAIN}},
         NULL,
         "!go.work line 2: use \"./a\": there is no go.mod in that directory of the project"},
        {{{"go.work", "use ./a\xff"}, {"main.go", MAIN}},
         NULL,
         "!go.work line 1: use \"./a\\xff\": there is no go.mod"},
        {{{"go.work", "go 1.22.1\nuse ./a"}, {"a/go.mod", "go 1.20"}, {"a/x.go", MAIN}},
         NULL,
         "FROM golang:1.22-bookworm"},
    };

    (void)state;
    check_all(table, N_OF(table));
}

static void test_modules_come_before_sources_unless_they_depend_on_them(void **state)
{
#define REQUIRE  "module m\nrequire a.b/c v1.0.0\n"
#define DOWNLOAD "RUN --mount=type=cache,target=/go/pkg/mod go mod download\n"
    static const struct go_case table[] = {
        {{{"go.mod", REQUIRE}, {"go.sum", "x"}, {"main.go", MAIN}},
         NULL,
         "COPY go.mod go.sum ./\n" DOWNLOAD "# all of the sources\nCOPY . .\n"},
        {{{"go.mod", REQUIRE}, {"main.go", MAIN}}, NULL, "COPY go.mod ./\n" DOWNLOAD},
        {{{"go.mod", REQUIRE}, {"main.go", MAIN}}, NULL, "go build -trimpath -mod=mod -ldflags"},
        {{{"go.mod", REQUIRE "replace a.b/c => ./c"}, {"c/go.mod", ""}, {"main.go", MAIN}},
         NULL,
         "directory of the project\nCOPY . .\n# package main in the root\nRUN"},
        {{{"go.mod", REQUIRE "replace a.b/c v1.0.0 => ./c"}, {"c/go.mod", ""}, {"main.go", MAIN}},
         NULL,
         "go build -trimpath -ldflags"},
        {{{"go.mod", REQUIRE "replace a.b/c => ../c"}, {"main.go", MAIN}},
         NULL,
         "!go.mod line 3: replace \"../c\" is outside the project"},
        {{{"go.mod", REQUIRE "replace (\na.b/c => /c\n)"}, {"main.go", MAIN}},
         NULL,
         "!go.mod line 4: replace \"/c\" is outside the project"},
        {{{"go.mod", REQUIRE "replace a.b/c => a.b/d v1.2.3"}, {"main.go", MAIN}},
         NULL,
         "COPY go.mod ./\n" DOWNLOAD},
        {{{"go.mod", REQUIRE}, {"vendor/modules.txt", ""}, {"main.go", MAIN}},
         NULL,
         "nothing is downloaded\nCOPY . .\n# package main in the root\nRUN"},
        {{{"go.mod", "module m"}, {"main.go", MAIN}},
         NULL,
         "WORKDIR /src\n# all of the sources\nCOPY . .\n# package main in the root\nRUN"},
    };

    (void)state;
    check_all(table, N_OF(table));
}

static void test_cgo_is_on_where_c_is(void **state)
{
    static const struct go_case table[] = {
        {{{"go.mod", ""}, {"main.go", MAIN}}, NULL, "CGO_ENABLED=0 go build"},
        {{{"go.mod", ""}, {"main.go", MAIN "import \"C\"\n"}}, NULL, "CGO_ENABLED=1 go build"},
        {{{"go.mod", ""}, {"main.go", MAIN "// import \"C\"\n"}}, NULL, "CGO_ENABLED=0 go build"},
        {{{"go.mod", ""}, {"x.go", "package x\nimport \"C\""}, {"cmd/main.go", MAIN}},
         NULL,
         "# package main in cmd; x.go: import \"C\"\n"},
        {{{"go.mod", "require github.com/mattn/go-sqlite3 v1.14.22 // indirect"},
          {"main.go", MAIN}},
         NULL,
         "CGO_ENABLED=1 go build"},
        {{{"go.mod", "require github.com/confluentinc/confluent-kafka-go/v2 v2.3.0"},
          {"main.go", MAIN}},
         NULL,
         "CGO_ENABLED=1 go build"},
        {{{"go.mod", "require github.com/mattn/go-sqlite3-fake v1.0.0"}, {"main.go", MAIN}},
         NULL,
         "CGO_ENABLED=0 go build"},
    };

    (void)state;
    check_all(table, N_OF(table));
}

#define TWO                                                                                        \
    {                                                                                              \
        {"go.mod", "module a.b/m\n"}, {"cmd/a/a.go", MAIN}, {"cmd/b/b.go", MAIN},                  \
        {                                                                                          \
            "x.sh", "#!/bin/sh\n"                                                                  \
        }                                                                                          \
    }
#define TWO_AND_ROOT                                                                               \
    {                                                                                              \
        {"go.mod", ""}, {"main.go", MAIN},                                                         \
        {                                                                                          \
            "cmd/b/b.go", MAIN                                                                     \
        }                                                                                          \
    }

static void test_go_run_says_what_to_build_and_what_to_start_it_with(void **state)
{
    static const struct go_case table[] = {
        {TWO, "go run ./cmd/b", "/out/app ./cmd/b\n"},
        {TWO, "go run ./cmd/b", "\nCMD [\"/usr/local/bin/app\"]\n"},
        {TWO, "go run cmd/b/", "/out/app ./cmd/b\n"},
        {TWO, "go run a.b/m/cmd/b", "/out/app ./cmd/b\n"},
        {TWO, "go run ./cmd/b -v  x.go", "\nCMD [\"/usr/local/bin/app\", \"-v\", \"x.go\"]\n"},
        {TWO, "go run ./cmd/b --port $PORT",
         "\nCMD [\"/bin/sh\", \"-c\", \"exec /usr/local/bin/app --port $PORT\"]\n"},
        {TWO, "PORT=80 go run ./cmd/b",
         "\nCMD [\"/bin/sh\", \"-c\", \"exec env PORT=80 /usr/local/bin/app\"]\n"},
        {TWO, "go run -race -tags a,b ./cmd/b",
         "go build -trimpath -tags=a,b -ldflags=\"-s -w\" -o /out/app ./cmd/b\n"},
        {TWO, "go run --tags=a ./cmd/b", " -tags=a "},
        {TWO, "go run cmd/b/b.go x", "/out/app ./cmd/b/b.go\n"},
        {TWO, "go run cmd/b/b.go x", "\nCMD [\"/usr/local/bin/app\", \"x\"]\n"},
        {TWO_AND_ROOT, "go run .", "/out/app .\n"},
        {TWO_AND_ROOT, "go run main.go ./cmd/b/b.go x", "/out/app ./main.go ./cmd/b/b.go\n"},
        {TWO_AND_ROOT, "go run main.go main.go x", "\nCMD [\"/usr/local/bin/app\", \"x\"]\n"},
        {TWO, "go run .", "![entrypoint] prod in blaxel.toml, line 2: \".\" is no package main"},
        {TWO, "go run ./cmd/c", "!\"./cmd/c\" is no package main of the project"},
        {TWO, "go run ../x", "!\"../x\" is no directory of the project"},
        {TWO, "go run /x", "!\"/x\" is no directory of the project"},
        {TWO, "go run c.go", "!\"c.go\" is not in the project"},
        {TWO, "go run -tags 'a b' ./cmd/b", "!is no list of build tags"},
        {TWO, "go run -C cmd ./b", "!\"-C\" is not known here"},
        {TWO, "go run", "!\"go run\" without a package"},
        {TWO, "go run -tags", "!is no list of build tags"},
        {TWO, "go test ./...", "!only \"go run ./DIRECTORY\" says what to build"},
        {TWO, "go build -o x ./cmd/a && ./x",
         "!the image of a Go program holds the program and no Go"},
        {TWO, "cd cmd/a; go run .", "!the image of a Go program holds the program and no Go"},
    };

    (void)state;
    check_all(table, N_OF(table));
}

static void test_a_path_says_where_the_program_is_to_be(void **state)
{
    static const struct go_case table[] = {
        {TWO, "./b", "COPY --from=build /out/app /app/b\n"},
        {TWO, "./b", "/out/app ./cmd/b\n"},
        {TWO, "./b", "\nCMD [\"./b\"]\n"},
        {TWO, "/srv/bin/b --port $PORT", "COPY --from=build /out/app /srv/bin/b\n"},
        {TWO, "b", "COPY --from=build /out/app /usr/local/bin/b\n"},
        {TWO, "DEBUG=1 bin/b", "COPY --from=build /out/app /app/bin/b\n"},
        {TWO, "./server", "!several Go programs"},
        {TWO_AND_ROOT, "./server", "/out/app .\n"},
        {TWO_AND_ROOT, "/app/../../b", "!\"/app/../../b\" is no path of a program"},
        {TWO_AND_ROOT, "/", "!\"/\" is no path of a program"},
        {TWO_AND_ROOT, "bin/", "!\"bin/\" is no path of a program"},
        {TWO_AND_ROOT, "$HOME/b", "!\"$HOME/b\" is no path of a program"},
        {TWO_AND_ROOT, "./x.sh", "!there is no ./x.sh in the project"},
        {TWO_AND_ROOT, "make run", "!there is no make in the image of a Go program"},
    };

    (void)state;
    check_all(table, N_OF(table));
}

static void test_a_script_gets_the_project_around_it(void **state)
{
#define SCRIPT                                                                                     \
    {                                                                                              \
        {"go.mod", ""}, {"main.go", MAIN},                                                         \
        {                                                                                          \
            "x.sh", "#!/bin/sh\n"                                                                  \
        }                                                                                          \
    }
#define ALL "line 2\nCOPY . .\nCOPY --from=build /out/app /usr/local/bin/app\n"
    static const struct go_case table[] = {
        {SCRIPT, "./x.sh", ALL},
        {SCRIPT, "/app/x.sh -v", ALL},
        {SCRIPT, "sh x.sh", ALL},
        {SCRIPT, "./x.sh && app", ALL},
        {SCRIPT, "./x.sh", "\nCMD [\"./x.sh\"]\n"},
        {SCRIPT, "/bin/bash x.sh", ALL},
    };

    (void)state;
    check_all(table, N_OF(table));
}

static void test_the_head_of_a_file_says_what_its_package_is(void **state)
{
    static const struct {
        const char *name, *text;
        struct go_file want;
    } table[] = {
        {"a.go", MAIN, {true, true, false}},
        {"a.go", "package mainly\n", {true, false, false}},
        {"a.go", "/* package x */ // y\n\npackage /* z */ main;", {true, true, false}},
        {"a.go", "", {false, false, false}},
        {"a.go", "\"unclosed", {false, false, false}},
        {"a.go", "/* unclosed", {false, false, false}},
        {"a.go", "not go", {false, false, false}},
        {"a.go", "//go:build linux\n" MAIN, {true, true, false}},
        {"a.go", "//go:build !linux\n" MAIN, {false, false, false}},
        {"a.go", "//go:build windows\n" MAIN, {false, false, false}},
        {"a.go", "//go:build !windows\n" MAIN, {true, true, false}},
        {"a.go", "// +build ignore\n\n" MAIN, {false, false, false}},
        {"a.go", "/* c */\n\n  //go:build ignore\n" MAIN, {false, false, false}},
        {"a.go", MAIN "//go:build ignore\n", {true, true, false}},
        {"a.go", "//go:build windows || linux\n" MAIN, {true, true, false}},
        {"a_test.go", MAIN, {false, false, false}},
        {"test.go", MAIN, {true, true, false}},
        {"_a.go", MAIN, {false, false, false}},
        {"a_windows.go", MAIN, {false, false, false}},
        {"a_linux.go", MAIN, {true, true, false}},
        {"windows.go", MAIN, {true, true, false}},
        {"a_darwin_arm64.go", MAIN, {false, false, false}},
        {"a_linux_arm64.go", MAIN, {true, true, false}},
        {"a.go", MAIN "import x \"a\"\nimport (\n\"b\"; . \"C\"\n)", {true, true, true}},
        {"a.go", MAIN "import \"a\"\nimport `C`", {true, true, true}},
        {"a.go", MAIN "import \"C\\", {true, true, false}},
        {"a.go", MAIN "var x = \"C\"\nimport \"C\"", {true, true, false}},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++) {
        struct go_file got;

        go_file_read(table[i].name, table[i].text, strlen(table[i].text), &got);
        if (got.built != table[i].want.built || got.main != table[i].want.main ||
            got.cgo != table[i].want.cgo)
            fail_msg("%s: %s: built %d main %d cgo %d", table[i].name, table[i].text, got.built,
                     got.main, got.cgo);
    }
}

static void test_a_path_never_leaves_the_root(void **state)
{
    static const struct {
        const char *base, *path, *want;
    } table[] = {
        {"", ".", ""},         {"", "./a//b/", "a/b"}, {"a", "../b", "b"}, {"a/b", "..", "a"},
        {"", "a/./../b", "b"}, {"", "..", NULL},       {"", "../a", NULL}, {"a", "../../b", NULL},
        {"", "/a", NULL},      {"a", "", "a"},         {"", "...", "..."}, {"", "a/..", ""},
    };
    char long_path[GO_PATH_MAX + 1], got[GO_PATH_MAX];

    (void)state;
    for (size_t i = 0; i < N_OF(table); i++) {
        bool joined = go_path_join(table[i].base, table[i].path, got);

        assert_int_equal(joined, table[i].want != NULL);
        if (joined)
            assert_string_equal(got, table[i].want);
    }
    memset(long_path, 'a', GO_PATH_MAX);
    long_path[GO_PATH_MAX] = '\0';
    assert_false(go_path_join("", long_path, got));
    long_path[GO_PATH_MAX - 2] = '\0';
    assert_true(go_path_join("", long_path, got));
    assert_string_equal(got, long_path);
}

static void test_a_large_source_file_is_passed_over(void **state)
{
    CLEANUP(buf_release) struct buf large = BUF_INIT(SOURCE_FILE_MAX + 16);
    struct go_case c = {.want = "/out/app .\n"};

    (void)state;
    buf_adds(&large, "package main\n//");
    while (!large.full)
        buf_addc(&large, 'x');
    c.files[0] = (struct dockerfile_source_file){"go.mod", ""};
    c.files[1] = (struct dockerfile_source_file){"data.go", large.data};
    c.files[2] = (struct dockerfile_source_file){"main.go", MAIN};
    check(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toolchain_then_go_decides_the_image),
        cmocka_unit_test(test_the_program_is_found_where_programs_are),
        cmocka_unit_test(test_a_workspace_has_the_program_of_one_of_its_modules),
        cmocka_unit_test(test_modules_come_before_sources_unless_they_depend_on_them),
        cmocka_unit_test(test_cgo_is_on_where_c_is),
        cmocka_unit_test(test_go_run_says_what_to_build_and_what_to_start_it_with),
        cmocka_unit_test(test_a_path_says_where_the_program_is_to_be),
        cmocka_unit_test(test_a_script_gets_the_project_around_it),
        cmocka_unit_test(test_the_head_of_a_file_says_what_its_package_is),
        cmocka_unit_test(test_a_path_never_leaves_the_root),
        cmocka_unit_test(test_a_large_source_file_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
