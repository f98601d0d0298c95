/* Who gets a build, and for how long. */
#include "tests/worker/state_fixture.h"

static enum lease_verdict heartbeat(struct fixture *f, const struct build *b, const char *worker)
{
    enum lease_verdict verdict = LEASE_LOST;

    MUST(f, state_heartbeat(f->s, b->id, worker, LEASE, &verdict, &f->err));
    return verdict;
}

static enum lease_verdict step(struct fixture *f, const struct build *b, const char *worker,
                               const char *name)
{
    enum lease_verdict verdict = LEASE_LOST;

    MUST(f, state_step(f->s, b->id, worker, name, &verdict, &f->err));
    return verdict;
}

static void expire(struct fixture *f)
{
    MUST(f, state_expire(f->s, &f->err));
}

static void give_back(struct fixture *f, const struct build *b, const char *worker)
{
    MUST(f, state_give_back(f->s, b->id, worker, &f->err));
}

static void assert_nothing_to_claim(struct fixture *f)
{
    struct build b;

    assert_false(claim_build(f, "idle", &b));
}

static void test_an_empty_queue_gives_nothing(void **state)
{
    struct fixture *f = *state;

    begin_build(f, "waiting", BUILD_FOR_IMAGE);
    assert_nothing_to_claim(f);
}

static void test_a_claimed_build_runs(void **state)
{
    struct fixture *f = *state;
    struct build queued = queue_build(f, "one");
    struct build b;

    pass_time(f, 7);
    b = must_claim(f, "w");
    assert_string_equal(b.id, queued.id);
    assert_int_equal(b.phase, BUILD_RUNNING);
    assert_int_equal(b.attempts, 1);
    assert_int_equal(b.started, START + 7);
    assert_string_equal(b.archive, queued.archive);
    assert_nothing_to_claim(f);
}

static void test_the_oldest_upload_goes_first(void **state)
{
    struct fixture *f = *state;
    struct build early = begin_build(f, "early", BUILD_FOR_IMAGE);
    struct build late = begin_build(f, "late", BUILD_FOR_IMAGE);

    accept_upload(f, &late); /* asked for later, uploaded earlier */
    pass_time(f, 1);
    accept_upload(f, &early);
    assert_string_equal(must_claim(f, "w").id, late.id);
    assert_string_equal(must_claim(f, "w").id, early.id);
}

static void test_uploads_of_one_moment_go_in_the_order_of_their_requests(void **state)
{
    struct fixture *f = *state;
    struct build b[20];
    char name[16];

    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "n%d", (i * 7) % 20);
        b[i] = queue_build(f, name);
    }
    for (int i = 0; i < 20; i++)
        assert_string_equal(must_claim(f, "w").id, b[i].id);
}

static void test_a_target_has_one_running_build(void **state)
{
    struct fixture *f = *state;
    struct build first = queue_build(f, "one");
    struct build second;
    struct build other;

    must_claim(f, "w1");
    second = queue_build(f, "one");
    pass_time(f, 1);
    other = queue_build(f, "two");
    assert_string_equal(must_claim(f, "w2").id, other.id); /* younger, but free */
    assert_nothing_to_claim(f);
    finish_build(f, &first, "w1", ERR_NONE);
    assert_string_equal(must_claim(f, "w2").id, second.id);
}

static void test_a_heartbeat_keeps_the_lease(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    for (int i = 0; i < 5; i++) {
        pass_time(f, LEASE - 1);
        expire(f);
        assert_int_equal(heartbeat(f, &b, "w"), LEASE_KEPT);
    }
    assert_int_equal(phase_of(f, &b), BUILD_RUNNING);
    assert_int_equal(load_build(f, b.id).attempts, 1);
}

static void test_a_silent_worker_loses_its_build_to_the_queue(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "silent");
    pass_time(f, LEASE - 1);
    expire(f);
    assert_int_equal(phase_of(f, &b), BUILD_RUNNING);
    pass_time(f, 1);
    expire(f);
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
    b = must_claim(f, "next"); /* at once */
    assert_int_equal(b.attempts, 2);
    assert_int_equal(b.started, START);
}

static void test_a_worker_whose_lease_is_lost_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    struct build before;
    struct build after;

    must_claim(f, "late");
    pass_time(f, LEASE);
    expire(f);
    must_claim(f, "next");
    assert_int_equal(step(f, &b, "next", "build"), LEASE_KEPT);
    before = load_build(f, b.id);

    assert_int_equal(heartbeat(f, &b, "late"), LEASE_LOST);
    assert_int_equal(step(f, &b, "late", "push"), LEASE_LOST);
    give_back(f, &b, "late");
    assert_int_equal(finish_build(f, &b, "late", ERR_NONE).verdict, LEASE_LOST);
    assert_int_equal(finish_build(f, &b, "late", ERR_INPUT).verdict, LEASE_LOST);
    assert_int_equal(finish_build(f, &b, "late", ERR_SYSTEM).phase, BUILD_RUNNING);
    after = load_build(f, b.id);
    assert_memory_equal(&before, &after, sizeof(before));

    pass_time(f, LEASE - 1); /* nor did it prolong the other's lease */
    expire(f);
    assert_int_equal(phase_of(f, &b), BUILD_RUNNING);
    pass_time(f, 1);
    expire(f);
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
}

static void test_a_worker_changes_nothing_while_the_build_waits_for_another(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "late");
    pass_time(f, LEASE);
    expire(f);
    assert_int_equal(heartbeat(f, &b, "late"), LEASE_LOST);
    assert_int_equal(finish_build(f, &b, "late", ERR_NONE).verdict, LEASE_LOST);
    give_back(f, &b, "late");
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
    assert_int_equal(load_build(f, b.id).attempts, 1);
}

static void test_a_build_that_is_over_stays_so(void **state)
{
    static const enum error_kind kinds[] = {ERR_NONE, ERR_INPUT};
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        struct build b = queue_build(f, "one");
        enum build_phase end;

        must_claim(f, "w");
        end = finish_build(f, &b, "w", kinds[i]).phase;
        assert_int_equal(finish_build(f, &b, "w", ERR_SYSTEM).verdict, LEASE_LOST);
        assert_int_equal(heartbeat(f, &b, "w"), LEASE_LOST);
        give_back(f, &b, "w");
        pass_time(f, 10 * LEASE);
        expire(f);
        MUST(f, state_worker_died(f->s, "w", &f->err));
        assert_int_equal(phase_of(f, &b), end);
    }
}

static void test_the_step_is_kept_while_the_build_runs(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    assert_int_equal(step(f, &b, "w", "push"), LEASE_KEPT);
    assert_string_equal(load_build(f, b.id).step, "push");
    finish_build(f, &b, "w", ERR_REMOTE);
    assert_string_equal(load_build(f, b.id).step, "");
}

static void test_a_build_that_is_given_back_is_unharmed(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    for (int i = 0; i < 2 * ATTEMPTS_MAX; i++) {
        assert_int_equal(must_claim(f, "draining").attempts, 1);
        give_back(f, &b, "draining");
        assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
        assert_int_equal(load_build(f, b.id).attempts, 0);
    }
    must_claim(f, "next");
    assert_int_equal(finish_build(f, &b, "next", ERR_NONE).phase, BUILD_SUCCEEDED);
}

static void test_a_cancelled_build_that_is_given_back_ends(void **state)
{
    struct fixture *f = *state;
    struct build old = queue_build(f, "one");
    struct build new;

    must_claim(f, "draining");
    new = queue_build(f, "one");
    give_back(f, &old, "draining");
    assert_int_equal(phase_of(f, &old), BUILD_CANCELLED);
    assert_string_equal(must_claim(f, "next").id, new.id);
}

static void test_the_builds_of_a_dead_worker_are_free_at_once(void **state)
{
    struct fixture *f = *state;
    struct build one = queue_build(f, "one");
    struct build two = queue_build(f, "two");
    struct build three = queue_build(f, "three");

    must_claim(f, "dead");
    must_claim(f, "dead");
    must_claim(f, "alive");
    MUST(f, state_worker_died(f->s, "dead", &f->err));
    assert_int_equal(phase_of(f, &one), BUILD_QUEUED);
    assert_int_equal(phase_of(f, &two), BUILD_QUEUED);
    assert_int_equal(phase_of(f, &three), BUILD_RUNNING);
    assert_string_equal(must_claim(f, "next").id, one.id);
    assert_int_equal(heartbeat(f, &one, "dead"), LEASE_LOST);
}

static void test_the_workers_that_hold_builds_are_listed_once(void **state)
{
    struct fixture *f = *state;
    struct argv names = ARGV_INIT;
    struct build b = queue_build(f, "one");

    queue_build(f, "two");
    queue_build(f, "three");
    must_claim(f, "done");
    must_claim(f, "busy");
    must_claim(f, "busy");
    finish_build(f, &b, "done", ERR_NONE);
    MUST(f, state_worker_list(f->s, &names, &f->err));
    assert_int_equal(names.n, 1);
    assert_string_equal(names.v[0], "busy");
    argv_release(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_an_empty_queue_gives_nothing),
        STATE_TEST(test_a_claimed_build_runs),
        STATE_TEST(test_the_oldest_upload_goes_first),
        STATE_TEST(test_uploads_of_one_moment_go_in_the_order_of_their_requests),
        STATE_TEST(test_a_target_has_one_running_build),
        STATE_TEST(test_a_heartbeat_keeps_the_lease),
        STATE_TEST(test_a_silent_worker_loses_its_build_to_the_queue),
        STATE_TEST(test_a_worker_whose_lease_is_lost_changes_nothing),
        STATE_TEST(test_a_worker_changes_nothing_while_the_build_waits_for_another),
        STATE_TEST(test_a_build_that_is_over_stays_so),
        STATE_TEST(test_the_step_is_kept_while_the_build_runs),
        STATE_TEST(test_a_build_that_is_given_back_is_unharmed),
        STATE_TEST(test_a_cancelled_build_that_is_given_back_ends),
        STATE_TEST(test_the_builds_of_a_dead_worker_are_free_at_once),
        STATE_TEST(test_the_workers_that_hold_builds_are_listed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
