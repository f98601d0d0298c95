/* How a build is told what ended it: in plain words, as somebody's fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/verdict.h"

static const struct builder_config config = {
    .limits = {.memory = UINT64_C(4) << 30, .pids = 4096, .disk = UINT64_C(20) << 30},
    .timeout_ms = 30 * 60 * 1000};

static void test_every_outcome_has_its_own_words_and_fault(void **state)
{
    static const struct {
        enum builder_outcome outcome;
        enum error_kind kind;
        const char *words;
    } table[] = {
        {BUILDER_FAILED, ERR_INPUT, "what it said"},
        {BUILDER_TIMED_OUT, ERR_LIMIT,
         "took longer than the time limit of 30 min, at step 5/9 RUN npm run build"},
        {BUILDER_OUT_OF_MEMORY, ERR_LIMIT,
         "killed: out of memory, limit 4 GiB, at step 5/9 RUN npm run build"},
        {BUILDER_TOO_MANY_PROCESSES, ERR_LIMIT,
         "too many processes, limit 4096, at step 5/9 RUN npm run build"},
        {BUILDER_DISK_FULL, ERR_LIMIT, "disk full, limit 20 GiB, at step 5/9 RUN npm run build"},
        {BUILDER_KILLED, ERR_SYSTEM,
         "step 5/9 RUN npm run build was killed by a signal, as when the machine runs out of "
         "memory"},
        {BUILDER_MACHINE_FULL, ERR_SYSTEM,
         "the disk of the build machine is full, at step 5/9 RUN npm run build"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(verdict_of(&config, table[i].outcome, "step 5/9 RUN npm run build",
                                    "what it said", &err),
                         -1);
        assert_int_equal(err.kind, table[i].kind);
        assert_string_equal(err.msg, table[i].words);
    }
}

static void test_only_the_machines_faults_are_tried_again(void **state)
{
    (void)state;
    for (enum builder_outcome o = BUILDER_FAILED; o <= BUILDER_MACHINE_FULL; o++) {
        struct error err = ERROR_INIT;

        assert_int_equal(verdict_of(&config, o, "it", "", &err), -1);
        assert_int_equal(error_may_retry(err.kind),
                         o == BUILDER_KILLED || o == BUILDER_MACHINE_FULL);
    }
}

static void test_done_is_no_fault_and_cancelled_is_nobodys(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(verdict_of(&config, BUILDER_DONE, "it", "", &err), 0);
    assert_int_equal(verdict_of(&config, BUILDER_CANCELLED, "it", "", &err), -1);
    assert_int_equal(err.kind, ERR_NONE);
}

static void test_times_read_as_they_were_set(void **state)
{
    static const struct {
        int64_t ms;
        const char *words;
    } table[] = {
        {7200000, "took longer than the time limit of 2 h, at it"},
        {5400000, "took longer than the time limit of 90 min, at it"},
        {90000, "took longer than the time limit of 90 s, at it"},
        {1500, "took longer than the time limit of 1500 ms, at it"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct builder_config c = {.timeout_ms = table[i].ms};
        struct error err = ERROR_INIT;

        assert_int_equal(verdict_of(&c, BUILDER_TIMED_OUT, "it", "", &err), -1);
        assert_string_equal(err.msg, table[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_outcome_has_its_own_words_and_fault),
        cmocka_unit_test(test_only_the_machines_faults_are_tried_again),
        cmocka_unit_test(test_done_is_no_fault_and_cancelled_is_nobodys),
        cmocka_unit_test(test_times_read_as_they_were_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
