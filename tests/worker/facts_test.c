/* What a jail reports is read back, and nothing else is taken for a report. */
#include "tests/worker/state_fixture.h"

#include "worker/facts.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_facts_are_read_as_they_are_written(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    struct facts f = {.digest = HEX}, read;
    struct error err;

    (void)state;
    for (size_t i = 0; i < FACTS; i++)
        f.v[i] = UINT64_C(1) << (i * 4);
    facts_write(&f, NULL, &text);
    assert_int_equal(facts_read(buf_str(&text), &read, &err), 0);
    assert_memory_equal(&f, &read, sizeof(f));
    memset(&f, 0, sizeof(f));
    buf_clear(&text);
    facts_write(&f, NULL, &text);
    assert_int_equal(facts_read(buf_str(&text), &read, &err), 0);
    assert_string_equal(read.digest, "");
}

static void test_failures_keep_their_kind_and_text(void **state)
{
    static const enum error_kind kinds[] = {ERR_INPUT, ERR_LIMIT, ERR_REMOTE, ERR_SYSTEM};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
        const struct error said = {.kind = kinds[i], .msg = "done 1 2\n\xff: the link"};
        struct facts f = {.digest = ""};
        struct error err = ERROR_INIT;

        facts_write(&f, &said, &text);
        assert_int_equal(facts_read(buf_str(&text), &f, &err), -1);
        assert_int_equal(err.kind, kinds[i]);
        assert_string_equal(err.msg, said.msg);
    }
}

static void test_what_is_no_report_is_our_fault(void **state)
{
    static const char *const bad[] = {
        "",
        "done",
        "done ",
        "done 1 2 3",
        "done 1 2 3 4 5 6 7 8 9 10",
        "done 1 2 3 4 5 6 7 8 9 10 x",
        "done 1 2 3 4 5 6 7 8 9 10 - more",
        "done 1 2 3 4 5 6 7 8 9 -10 -",
        "done 1 2 3 4 5 6 7 8 9 99999999999999999999 -",
        "done 1 2 3 4 5 6 7 8 9 10 " HEX HEX,
        "input",
        "none text",
        "inputs text",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        struct facts f;

        assert_int_equal(facts_read(bad[i], &f, &err), -1);
        assert_int_equal(err.kind, ERR_SYSTEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts_are_read_as_they_are_written),
        cmocka_unit_test(test_failures_keep_their_kind_and_text),
        cmocka_unit_test(test_what_is_no_report_is_our_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
