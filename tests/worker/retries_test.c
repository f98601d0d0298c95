/* How a try ends, and when there is another. */
#include "tests/worker/state_fixture.h"

static bool nothing_to_claim(struct fixture *f)
{
    struct build b;

    return !claim_build(f, "idle", &b);
}

static void test_a_success_keeps_digest_and_size(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    struct ending end;

    must_claim(f, "w");
    pass_time(f, 9);
    end = finish_build(f, &b, "w", ERR_NONE);
    assert_int_equal(end.verdict, LEASE_KEPT);
    assert_int_equal(end.phase, BUILD_SUCCEEDED);
    b = load_build(f, b.id);
    assert_int_equal(b.phase, BUILD_SUCCEEDED);
    assert_string_equal(b.digest, DIGEST);
    assert_int_equal(b.image_size, 12345);
    assert_int_equal(b.finished, START + 9);
    assert_string_equal(b.fault, "");
}

static void test_the_users_faults_are_final(void **state)
{
    static const enum error_kind kinds[] = {ERR_INPUT, ERR_LIMIT};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct build b = queue_build(f, "one");

        must_claim(f, "w");
        assert_int_equal(finish_build(f, &b, "w", kinds[i]).phase, BUILD_FAILED);
        b = load_build(f, b.id);
        assert_string_equal(b.fault, error_kind_name(kinds[i]));
        assert_string_equal(b.message, "it went wrong");
        assert_int_equal(b.attempts, 1);
        pass_time(f, 3600 * NS_PER_SEC);
        assert_true(nothing_to_claim(f));
    }
}

static void test_other_faults_are_tried_again_until_the_tries_are_used_up(void **state)
{
    static const enum error_kind kinds[] = {ERR_REMOTE, ERR_SYSTEM};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct build b = queue_build(f, "one");

        for (int try = 1; try <= ATTEMPTS_MAX; try++) {
            struct ending end;

            pass_time(f, 3600 * NS_PER_SEC);
            assert_int_equal(must_claim(f, "w").attempts, try);
            end = finish_build(f, &b, "w", kinds[i]);
            assert_int_equal(end.verdict, LEASE_KEPT);
            assert_int_equal(end.phase, try < ATTEMPTS_MAX ? BUILD_QUEUED : BUILD_FAILED);
        }
        b = load_build(f, b.id);
        assert_int_equal(b.phase, BUILD_FAILED);
        assert_string_equal(b.fault, error_kind_name(kinds[i]));
    }
}

static void test_a_try_that_succeeds_after_a_failure_leaves_no_trace_of_it(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    finish_build(f, &b, "w", ERR_REMOTE);
    pass_time(f, 60 * NS_PER_SEC);
    must_claim(f, "w");
    assert_int_equal(finish_build(f, &b, "w", ERR_NONE).phase, BUILD_SUCCEEDED);
    b = load_build(f, b.id);
    assert_string_equal(b.fault, "");
    assert_string_equal(b.message, "");
}

static void test_the_pause_before_a_try_doubles(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    for (int try = 1; try < ATTEMPTS_MAX; try++) {
        int64_t pause = NS_PER_SEC << (try - 1);

        must_claim(f, "w");
        finish_build(f, &b, "w", ERR_SYSTEM);
        pass_time(f, pause - 1);
        assert_true(nothing_to_claim(f));
        pass_time(f, 1);
    }
    must_claim(f, "w");
}

static void test_a_pause_lets_others_go_first(void **state)
{
    struct fixture *f = *state;
    struct build first = queue_build(f, "one");
    struct build second;

    must_claim(f, "w");
    finish_build(f, &first, "w", ERR_SYSTEM);
    second = queue_build(f, "two");
    assert_string_equal(must_claim(f, "w").id, second.id);
    pass_time(f, NS_PER_SEC);
    assert_string_equal(must_claim(f, "w").id, first.id);
}

static void test_workers_that_die_use_up_tries(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    for (int try = 1; try <= ATTEMPTS_MAX; try++) {
        must_claim(f, "w");
        if (try == 2)
            MUST(f, state_worker_died(f->s, "w", &f->err));
        pass_time(f, LEASE);
        MUST(f, state_expire(f->s, &f->err));
        assert_int_equal(phase_of(f, &b), try < ATTEMPTS_MAX ? BUILD_QUEUED : BUILD_FAILED);
    }
    b = load_build(f, b.id);
    assert_string_equal(b.fault, "system");
    assert_non_null(strstr(b.message, "the worker stopped"));
    assert_int_equal(b.finished, f->now);
}

static void test_a_failure_of_a_build_frees_its_target(void **state)
{
    struct fixture *f = *state;
    struct build bad = queue_build(f, "one");
    struct build good;

    must_claim(f, "w");
    finish_build(f, &bad, "w", ERR_INPUT);
    good = queue_build(f, "one");
    assert_string_equal(must_claim(f, "w").id, good.id);
    assert_int_equal(phase_of(f, &bad), BUILD_FAILED); /* history is not rewritten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_success_keeps_digest_and_size),
        STATE_TEST(test_the_users_faults_are_final),
        STATE_TEST(test_other_faults_are_tried_again_until_the_tries_are_used_up),
        STATE_TEST(test_a_try_that_succeeds_after_a_failure_leaves_no_trace_of_it),
        STATE_TEST(test_the_pause_before_a_try_doubles),
        STATE_TEST(test_a_pause_lets_others_go_first),
        STATE_TEST(test_workers_that_die_use_up_tries),
        STATE_TEST(test_a_failure_of_a_build_frees_its_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
