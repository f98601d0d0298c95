/* .env.build and .docker/config.json: what is taken from them, and what never shows in an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "uploads/uploads.h"

static void test_env_lines_become_words(void **state)
{
    static const struct {
        const char *text;
        const char *words[4];
    } cases[] = {
        {"", {NULL}},
        {"A=1", {"A=1"}},
        {"A=1\nB=2\n", {"A=1", "B=2"}},
        {"A=1\r\nB=2\r\n", {"A=1", "B=2"}},
        {"\n# comment\n  # another\n\nA=1\n", {"A=1"}},
        {"A=\n", {"A="}},
        {"A=\"x y\"\nB='x\"y'\n", {"A=x y", "B=x\"y"}},
        {"A=\"\"x\"\"\n", {"A=\"x\""}},
        {"A=\"x\nB='\n", {"A=\"x", "B='"}},
        {" A = x \n", {"A=x"}},
        {"URL=https://h/?a=b&c=#d\n", {"URL=https://h/?a=b&c=#d"}},
        {"_a9=caf\u00e9", {"_a9=caf\u00e9"}},
        {"A=1\nA=2\n", {"A=1", "A=2"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(argv_release) struct argv words = ARGV_INIT;
        struct error err;
        size_t n = 0;

        assert_int_equal(upload_parse_env(cases[i].text, strlen(cases[i].text), &words, &err), 0);
        for (; cases[i].words[n]; n++) {
            assert_true(n < words.n);
            assert_string_equal(words.v[n], cases[i].words[n]);
        }
        assert_int_equal(words.n, n);
    }
}

static void test_a_bad_env_line_is_named_by_number_and_not_shown(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *line;
    } cases[] = {
        {"A=1\nhunter2\n", 12, "line 2"}, {"\n\n9hunter2=x", 13, "line 3"},
        {"=hunter2", 8, "line 1"},        {"export A=hunter2", 16, "line 1"},
        {"hunter2-A=1", 11, "line 1"},    {"A=hunter2\0x", 11, "line 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(argv_release) struct argv words = ARGV_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(upload_parse_env(cases[i].text, cases[i].len, &words, &err), -1);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_non_null(strstr(err.msg, cases[i].line));
        assert_null(strstr(err.msg, "hunter2"));
    }
}

static void test_only_credentials_are_left_of_a_docker_config(void **state)
{
    static const struct {
        const char *config, *clean;
    } cases[] = {
        {"{}", "{\"auths\":{}}"},
        {"{\"auths\":{}}", "{\"auths\":{}}"},
        {"{\"auths\":{\"r.example\":{\"auth\":\"dTpw\"}}}",
         "{\"auths\":{\"r.example\":{\"auth\":\"dTpw\"}}}"},
        {"{\"auths\":{\"b\":{\"auth\":\"dTpw\",\"email\":\"e\"},\"a:5000\":{\"auth\":\"dQ==\"}},"
         "\"credsStore\":\"desktop\",\"credHelpers\":{\"x\":\"evil\"},\"plugins\":{},"
         "\"cliPluginsExtraDirs\":[\"/tmp\"],\"HttpHeaders\":{\"A\":\"b\"}}",
         "{\"auths\":{\"a:5000\":{\"auth\":\"dQ==\"},\"b\":{\"auth\":\"dTpw\"}}}"},
        {"{\"auths\":{\"https://index.docker.io/v1/\":{}},\"credsStore\":\"x\"}", "{\"auths\":{}}"},
        {"{\"auths\":{\"r\":{\"username\":\"u\",\"password\":\"p\"}}}",
         "{\"auths\":{\"r\":{\"auth\":\"dTpw\"}}}"},
        {"{\"auths\":{\"r\":{\"auth\":\"not base64!\"}}}", "{\"auths\":{}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(buf_release) struct buf out = BUF_INIT(4096);
        struct error err;

        assert_int_equal(
            upload_clean_docker_config(cases[i].config, strlen(cases[i].config), &out, &err), 0);
        assert_string_equal(buf_str(&out), cases[i].clean);
    }
}

static void test_what_is_no_docker_config_is_refused_without_showing_it(void **state)
{
    static const char *const configs[] = {
        "",
        "hunter2",
        "{\"auths\":{\"r\":{\"auth\":\"hunter2\"}}",
        "[\"hunter2\"]",
        "\"hunter2\"",
        "{\"auths\":[\"hunter2\"]}",
        "{\"auths\":{\"r\":\"hunter2\"}}",
        "{\"auths\":{\"\":{\"auth\":\"hunter2=\"}}}",
        "{\"auths\":{\"a\\nb\":{\"auth\":\"hunter2=\"}}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        CLEANUP(buf_release) struct buf out = BUF_INIT(4096);
        struct error err = ERROR_INIT;

        assert_int_equal(upload_clean_docker_config(configs[i], strlen(configs[i]), &out, &err),
                         -1);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_non_null(strstr(err.msg, ".docker/config.json"));
        assert_null(strstr(err.msg, "hunter2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_env_lines_become_words),
        cmocka_unit_test(test_a_bad_env_line_is_named_by_number_and_not_shown),
        cmocka_unit_test(test_only_credentials_are_left_of_a_docker_config),
        cmocka_unit_test(test_what_is_no_docker_config_is_refused_without_showing_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
