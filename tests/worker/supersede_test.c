/* Of one target only the newest build counts. */
#include "tests/worker/state_fixture.h"

static enum lease_verdict heartbeat(struct fixture *f, const struct build *b, const char *worker)
{
    enum lease_verdict verdict = LEASE_LOST;

    MUST(f, state_heartbeat(f->s, b->id, worker, LEASE, &verdict, &f->err));
    return verdict;
}

static struct build newest(struct fixture *f, const char *name)
{
    const struct target t = sandbox(name);
    enum presence presence = ABSENT;
    struct build b = {.created = 0};

    MUST(f, state_build_newest(f->s, &t, &presence, &b, &f->err));
    assert_int_equal(presence, PRESENT);
    return b;
}

static void test_a_newer_upload_cancels_one_that_is_queued(void **state)
{
    struct fixture *f = *state;
    struct build old = queue_build(f, "one");
    struct build new = begin_build(f, "one", BUILD_FOR_IMAGE);
    struct build b;

    assert_int_equal(phase_of(f, &old), BUILD_QUEUED); /* a request alone takes nothing away */
    pass_time(f, 3);
    accept_upload(f, &new);
    old = load_build(f, old.id);
    assert_int_equal(old.phase, BUILD_CANCELLED);
    assert_string_equal(old.message, "superseded by a newer upload");
    assert_int_equal(old.finished, START + 3);
    assert_string_equal(must_claim(f, "w").id, new.id);
    assert_false(claim_build(f, "w", &b));
    assert_string_equal(newest(f, "one").id, new.id);
}

static void test_a_newer_upload_tells_the_one_that_runs_to_stop(void **state)
{
    struct fixture *f = *state;
    struct build old = queue_build(f, "one");
    enum lease_verdict verdict;
    struct ending end;

    must_claim(f, "w");
    assert_int_equal(heartbeat(f, &old, "w"), LEASE_KEPT);
    queue_build(f, "one");
    assert_int_equal(heartbeat(f, &old, "w"), LEASE_CANCELLED);
    MUST(f, state_step(f->s, old.id, "w", "push", &verdict, &f->err));
    assert_int_equal(verdict, LEASE_CANCELLED);
    assert_string_equal(load_build(f, old.id).step, "");
    end = finish_build(f, &old, "w", ERR_SYSTEM);
    assert_int_equal(end.verdict, LEASE_CANCELLED);
    assert_int_equal(end.phase, BUILD_CANCELLED);
    assert_string_equal(load_build(f, old.id).message, "superseded by a newer upload");
}

static void test_a_superseded_build_that_succeeds_all_the_same_does_not_count(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build old = queue_build(f, "one");
    bool used;

    must_claim(f, "w");
    queue_build(f, "one");
    assert_int_equal(finish_build(f, &old, "w", ERR_NONE).phase, BUILD_CANCELLED);
    MUST(f, state_digest_in_use(f->s, &t, DIGEST, &used, &f->err));
    assert_false(used);
}

static void test_a_superseded_build_keeps_its_lease_until_it_ends(void **state)
{
    struct fixture *f = *state;
    struct build old = queue_build(f, "one");
    struct build new;
    struct build b;

    must_claim(f, "w");
    new = queue_build(f, "one");
    pass_time(f, LEASE - 1);
    assert_int_equal(heartbeat(f, &old, "w"), LEASE_CANCELLED);
    pass_time(f, LEASE - 1);
    MUST(f, state_expire(f->s, &f->err));
    assert_int_equal(phase_of(f, &old), BUILD_RUNNING);
    assert_false(claim_build(f, "v", &b)); /* the two must not push at once */
    finish_build(f, &old, "w", ERR_SYSTEM);
    assert_string_equal(must_claim(f, "v").id, new.id);
}

static void test_a_superseded_build_whose_worker_died_is_not_tried_again(void **state)
{
    struct fixture *f = *state;

    for (int died = 0; died < 2; died++) {
        struct build old = queue_build(f, "one");
        struct build new;

        must_claim(f, "w");
        new = queue_build(f, "one");
        if (died)
            MUST(f, state_worker_died(f->s, "w", &f->err));
        pass_time(f, LEASE);
        MUST(f, state_expire(f->s, &f->err));
        old = load_build(f, old.id);
        assert_int_equal(old.phase, BUILD_CANCELLED);
        assert_string_equal(old.message, "superseded by a newer upload");
        assert_string_equal(must_claim(f, "v").id, new.id);
        finish_build(f, &new, "v", ERR_NONE);
    }
}

static void test_ten_uploads_in_a_row_build_the_first_and_the_last(void **state)
{
    struct fixture *f = *state;
    struct build b[10];

    b[0] = queue_build(f, "one");
    must_claim(f, "w");
    for (int i = 1; i < 10; i++)
        b[i] = queue_build(f, "one");
    assert_int_equal(finish_build(f, &b[0], "w", ERR_NONE).phase, BUILD_CANCELLED);
    for (int i = 1; i < 9; i++)
        assert_int_equal(phase_of(f, &b[i]), BUILD_CANCELLED);
    assert_string_equal(must_claim(f, "w").id, b[9].id);
    assert_int_equal(finish_build(f, &b[9], "w", ERR_NONE).phase, BUILD_SUCCEEDED);
    assert_string_equal(newest(f, "one").id, b[9].id);
}

static void test_other_names_types_and_workspaces_are_not_superseded(void **state)
{
    const struct target others[] = {
        {WORKSPACE, "sandbox", "two"}, {WORKSPACE, "agent", "one"}, {"other", "sandbox", "one"}};
    struct fixture *f = *state;
    struct build b[3];

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    for (int i = 0; i < 3; i++) {
        MUST(f, state_build_begin(f->s, &others[i], BUILD_FOR_IMAGE, &b[i], &f->err));
        accept_upload(f, &b[i]);
    }
    queue_build(f, "one");
    queue_build(f, "one");
    for (int i = 0; i < 3; i++)
        assert_int_equal(phase_of(f, &b[i]), BUILD_QUEUED);
}

static struct build write_sandbox(struct fixture *f, const char *name)
{
    const struct target t = sandbox(name);
    struct resource r = {.created = 0};
    enum resource_outcome outcome;
    struct build b = {.created = 0};

    MUST(f, state_resource_write(f->s, &t, &(const struct resource_body){"{}", "{}", NULL}, true,
                                 true, &outcome, &r, &b, &f->err));
    assert_int_equal(outcome, RESOURCE_WRITTEN);
    resource_release(&r);
    return b;
}

static void test_deleting_the_resource_cancels_its_builds(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build running = write_sandbox(f, "one");
    struct build waiting;
    struct build other = queue_build(f, "two");
    enum presence presence;

    pass_time(f, 1);
    accept_upload(f, &running);
    must_claim(f, "v"); /* "two", which was uploaded first */
    running = must_claim(f, "w");
    waiting = begin_build(f, "one", BUILD_FOR_RESOURCE);
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    assert_int_equal(presence, PRESENT);
    assert_int_equal(phase_of(f, &waiting), BUILD_CANCELLED);
    assert_int_equal(accept_upload(f, &waiting), UPLOAD_SUPERSEDED);
    assert_int_equal(heartbeat(f, &running, "w"), LEASE_CANCELLED);
    assert_int_equal(finish_build(f, &running, "w", ERR_NONE).phase, BUILD_CANCELLED);
    assert_string_equal(load_build(f, running.id).message, "its resource was deleted");
    assert_int_equal(heartbeat(f, &other, "v"), LEASE_KEPT);
}

static void test_deleting_the_resource_cancels_a_queued_build(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build b = write_sandbox(f, "one");
    enum presence presence;

    accept_upload(f, &b);
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    assert_int_equal(phase_of(f, &b), BUILD_CANCELLED);
    assert_false(claim_build(f, "w", &b));
}

static void test_a_build_of_a_resource_that_is_made_anew_is_not_cancelled(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build old = write_sandbox(f, "one");
    struct build new;
    enum presence presence;

    accept_upload(f, &old);
    must_claim(f, "w");
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    new = write_sandbox(f, "one");
    assert_int_equal(accept_upload(f, &new), UPLOAD_ACCEPTED);
    finish_build(f, &old, "w", ERR_NONE);
    assert_string_equal(must_claim(f, "w").id, new.id);
    assert_int_equal(finish_build(f, &new, "w", ERR_NONE).phase, BUILD_SUCCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_newer_upload_cancels_one_that_is_queued),
        STATE_TEST(test_a_newer_upload_tells_the_one_that_runs_to_stop),
        STATE_TEST(test_a_superseded_build_that_succeeds_all_the_same_does_not_count),
        STATE_TEST(test_a_superseded_build_keeps_its_lease_until_it_ends),
        STATE_TEST(test_a_superseded_build_whose_worker_died_is_not_tried_again),
        STATE_TEST(test_ten_uploads_in_a_row_build_the_first_and_the_last),
        STATE_TEST(test_other_names_types_and_workspaces_are_not_superseded),
        STATE_TEST(test_deleting_the_resource_cancels_its_builds),
        STATE_TEST(test_deleting_the_resource_cancels_a_queued_build),
        STATE_TEST(test_a_build_of_a_resource_that_is_made_anew_is_not_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
