/* A report, or the failure instead of one, arrives as it was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "uploads/uploads.h"

static int cross(const struct upload_report *r, const struct error *failure,
                 struct upload_report *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT(8 << 20);

    assert_int_equal(upload_report_write(r, failure, &json, err), 0);
    return upload_report_read(json.data, json.len, ret, err);
}

static void test_a_report_with_any_bytes_crosses_unchanged(void **state)
{
    CLEANUP(upload_report_release) struct upload_report sent, got;
    unsigned char all[256];
    struct error err;

    (void)state;
    upload_report_init(&sent);
    upload_report_init(&got);
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (unsigned char)i;
    sent.entries = 5, sent.files = 4, sent.directories = 3, sent.symlinks = 2,
    sent.bytes = 1u << 31;
    sent.has_env_build = true;
    buf_add(&sent.env_build, all, sizeof(all));
    argv_push(&sent.warnings, "first \"quoted\"", "zweit\u00e4ns", NULL);
    assert_int_equal(cross(&sent, NULL, &got, &err), 0);
    assert_int_equal(got.entries, 5);
    assert_int_equal(got.files, 4);
    assert_int_equal(got.directories, 3);
    assert_int_equal(got.symlinks, 2);
    assert_int_equal(got.bytes, 1u << 31);
    assert_false(got.has_docker_config);
    assert_true(got.has_env_build);
    assert_int_equal(got.env_build.len, sizeof(all));
    assert_memory_equal(got.env_build.data, all, sizeof(all));
    assert_int_equal(got.warnings.n, 2);
    assert_string_equal(got.warnings.v[0], "first \"quoted\"");
    assert_string_equal(got.warnings.v[1], "zweit\u00e4ns");
}

static void test_the_largest_files_fit(void **state)
{
    CLEANUP(upload_report_release) struct upload_report sent, got;
    CLEANUP_FREE char *text = calloc(1, 1 << 20);
    struct error err;

    (void)state;
    upload_report_init(&sent);
    upload_report_init(&got);
    sent.has_env_build = sent.has_docker_config = true;
    buf_add(&sent.env_build, text, 1 << 20);
    buf_add(&sent.docker_config, text, 1 << 20);
    assert_false(sent.env_build.full || sent.docker_config.full);
    assert_int_equal(cross(&sent, NULL, &got, &err), 0);
    assert_int_equal(got.env_build.len, 1 << 20);
    assert_int_equal(got.docker_config.len, 1 << 20);
}

static void test_a_failure_keeps_its_kind_and_words(void **state)
{
    static const enum error_kind kinds[] = {ERR_INPUT, ERR_LIMIT, ERR_REMOTE, ERR_SYSTEM};
    CLEANUP(upload_report_release) struct upload_report sent, got;
    struct error failure, err;

    (void)state;
    upload_report_init(&sent);
    upload_report_init(&got);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        (void)error_set(&failure, kinds[i], "archive entry \"\u00fc\": %d", (int)i);
        err = (struct error)ERROR_INIT;
        assert_int_equal(cross(&sent, &failure, &got, &err), -1);
        assert_int_equal(err.kind, kinds[i]);
        assert_string_equal(err.msg, failure.msg);
    }
}

static void test_a_message_cut_within_a_character_still_crosses(void **state)
{
    CLEANUP(upload_report_release) struct upload_report sent, got;
    struct error failure, err;

    (void)state;
    upload_report_init(&sent);
    upload_report_init(&got);
    (void)error_set(&failure, ERR_INPUT, "entry caf\xc3");
    assert_int_equal(cross(&sent, &failure, &got, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_string_equal(err.msg, "entry caf?");
}

static void test_what_is_no_report_is_our_own_fault(void **state)
{
#define REST   "\"docker_config\":null,\"env_build\":null,\"revision\":\"\",\"warnings\":[]}"
#define COUNTS "\"counts\":{\"entries\":1,\"files\":1,\"directories\":1,\"symlinks\":1,\"bytes\":1}"
    static const char *const documents[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{" COUNTS "}",
        "{\"counts\":{\"entries\":-1,\"files\":1,\"directories\":1,\"symlinks\":1,\"bytes\":1}"
        "," REST,
        "{" COUNTS
        ",\"docker_config\":\"zz\",\"env_build\":null,\"revision\":\"\",\"warnings\":[]}",
        "{" COUNTS ",\"docker_config\":\"0\",\"env_build\":null,\"revision\":\"\",\"warnings\":[]}",
        "{" COUNTS ",\"docker_config\":7,\"env_build\":null,\"revision\":\"\",\"warnings\":[]}",
        "{" COUNTS ",\"docker_config\":null,\"env_build\":null,\"revision\":\"\",\"warnings\":[1]}",
        "{" COUNTS
        ",\"docker_config\":null,\"env_build\":null,\"revision\":\"main\",\"warnings\":[]}",
        "{" COUNTS ",\"docker_config\":null,\"env_build\":null,\"warnings\":[]}",
        "{\"failure\":{}}",
        "{\"failure\":{\"kind\":\"none\",\"message\":\"x\"}}",
        "{\"failure\":{\"kind\":\"odd\",\"message\":\"x\"}}",
        "{\"failure\":{\"kind\":\"input\"}}",
    };
    CLEANUP(upload_report_release) struct upload_report got;
    struct error err;

    (void)state;
    upload_report_init(&got);
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        err = (struct error)ERROR_INIT;
        assert_int_equal(upload_report_read(documents[i], strlen(documents[i]), &got, &err), -1);
        assert_int_equal(err.kind, ERR_SYSTEM);
    }
    assert_int_equal(got.entries, 0);
    assert_int_equal(
        upload_report_read("{" COUNTS "," REST, strlen("{" COUNTS "," REST), &got, &err), 0);
    assert_int_equal(got.entries, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_report_with_any_bytes_crosses_unchanged),
        cmocka_unit_test(test_the_largest_files_fit),
        cmocka_unit_test(test_a_failure_keeps_its_kind_and_words),
        cmocka_unit_test(test_a_message_cut_within_a_character_still_crosses),
        cmocka_unit_test(test_what_is_no_report_is_our_own_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
