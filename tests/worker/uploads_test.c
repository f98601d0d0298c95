/* From the request for a URL to an accepted archive. */
#include "tests/worker/state_fixture.h"

static enum upload_outcome check_upload(struct fixture *f, const char *workspace, const char *id)
{
    enum upload_outcome outcome = UPLOAD_ACCEPTED;

    MUST(f, state_upload_check(f->s, workspace, id, &outcome, &f->err));
    return outcome;
}

static void test_a_build_waits_for_its_upload(void **state)
{
    struct fixture *f = *state;
    struct build made = begin_build(f, "one", BUILD_FOR_RESOURCE);
    struct build b = load_build(f, made.id);

    assert_int_equal(b.phase, BUILD_UPLOADING);
    assert_int_equal(b.purpose, BUILD_FOR_RESOURCE);
    assert_string_equal(b.workspace, WORKSPACE);
    assert_string_equal(b.type, "sandbox");
    assert_string_equal(b.name, "one");
    assert_int_equal(strlen(b.id), 32);
    assert_int_equal(strspn(b.tag, "abcdefghijklmnopqrstuvwxyz0123456789"), 12);
    assert_string_equal(b.tag, made.tag);
    assert_int_equal(b.created, START);
    assert_int_equal(b.upload_expires, START + UPLOAD_TIME);
    assert_int_equal(b.uploaded, 0);
    assert_int_equal(check_upload(f, WORKSPACE, b.id), UPLOAD_ACCEPTED);
}

static void test_an_accepted_upload_is_queued(void **state)
{
    struct fixture *f = *state;
    struct build b = begin_build(f, "one", BUILD_FOR_IMAGE);
    enum upload_outcome outcome;
    bool used;

    pass_time(f, 5);
    MUST(f, state_upload_accept(f->s, WORKSPACE, b.id, "key.zip", 77, &outcome, &f->err));
    assert_int_equal(outcome, UPLOAD_ACCEPTED);
    b = load_build(f, b.id);
    assert_int_equal(b.phase, BUILD_QUEUED);
    assert_string_equal(b.archive, "key.zip");
    assert_int_equal(b.archive_size, 77);
    assert_int_equal(b.uploaded, START + 5);
    MUST(f, state_archive_in_use(f->s, "key.zip", &used, &f->err));
    assert_true(used);
}

static void test_a_second_upload_to_the_same_url_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    enum upload_outcome outcome;

    assert_int_equal(check_upload(f, WORKSPACE, b.id), UPLOAD_USED);
    MUST(f, state_upload_accept(f->s, WORKSPACE, b.id, "another", 5, &outcome, &f->err));
    assert_int_equal(outcome, UPLOAD_USED);
    assert_string_equal(load_build(f, b.id).archive, b.archive);
    assert_int_equal(load_build(f, b.id).archive_size, b.archive_size);
}

static void test_an_upload_is_used_up_in_every_later_phase(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    assert_int_equal(accept_upload(f, &b), UPLOAD_USED);
    finish_build(f, &b, "w", ERR_NONE);
    assert_int_equal(accept_upload(f, &b), UPLOAD_USED);
    assert_int_equal(phase_of(f, &b), BUILD_SUCCEEDED);
}

static void test_a_new_url_kills_the_old_one(void **state)
{
    struct fixture *f = *state;
    struct build old = begin_build(f, "one", BUILD_FOR_IMAGE);
    struct build new = begin_build(f, "one", BUILD_FOR_IMAGE);

    assert_string_not_equal(old.id, new.id);
    assert_string_not_equal(old.tag, new.tag);
    assert_int_equal(check_upload(f, WORKSPACE, old.id), UPLOAD_SUPERSEDED);
    assert_int_equal(accept_upload(f, &old), UPLOAD_SUPERSEDED);
    assert_int_equal(phase_of(f, &old), BUILD_CANCELLED);
    assert_string_equal(load_build(f, old.id).archive, "");
    assert_int_equal(accept_upload(f, &new), UPLOAD_ACCEPTED);
}

static void test_a_new_url_leaves_other_targets_alone(void **state)
{
    struct fixture *f = *state;
    struct target agent = {WORKSPACE, "agent", "one"};
    struct target foreign = {"other", "sandbox", "one"};
    struct build others[3];

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    others[0] = begin_build(f, "two", BUILD_FOR_IMAGE);
    MUST(f, state_build_begin(f->s, &agent, BUILD_FOR_IMAGE, &others[1], &f->err));
    MUST(f, state_build_begin(f->s, &foreign, BUILD_FOR_IMAGE, &others[2], &f->err));
    begin_build(f, "one", BUILD_FOR_IMAGE);
    queue_build(f, "one");
    for (int i = 0; i < 3; i++)
        assert_int_equal(accept_upload(f, &others[i]), UPLOAD_ACCEPTED);
}

static void test_an_upload_that_comes_too_late_is_refused(void **state)
{
    struct fixture *f = *state;
    struct build early = begin_build(f, "early", BUILD_FOR_IMAGE);
    struct build late = begin_build(f, "late", BUILD_FOR_IMAGE);

    pass_time(f, UPLOAD_TIME - 1);
    assert_int_equal(accept_upload(f, &early), UPLOAD_ACCEPTED);
    pass_time(f, 1);
    assert_int_equal(check_upload(f, WORKSPACE, late.id), UPLOAD_EXPIRED);
    assert_int_equal(accept_upload(f, &late), UPLOAD_EXPIRED);
    assert_int_equal(phase_of(f, &late), BUILD_UPLOADING);
}

static void test_an_upload_that_never_comes_ends_failed_and_says_why(void **state)
{
    struct fixture *f = *state;
    struct build b = begin_build(f, "one", BUILD_FOR_IMAGE);

    pass_time(f, UPLOAD_TIME - 1);
    MUST(f, state_expire(f->s, &f->err));
    assert_int_equal(phase_of(f, &b), BUILD_UPLOADING);
    pass_time(f, 1);
    MUST(f, state_expire(f->s, &f->err));
    b = load_build(f, b.id);
    assert_int_equal(b.phase, BUILD_FAILED);
    assert_string_equal(b.fault, "input");
    assert_non_null(strstr(b.message, "no archive was uploaded"));
    assert_int_equal(b.finished, START + UPLOAD_TIME);
    assert_int_equal(accept_upload(f, &b), UPLOAD_EXPIRED);
}

static void test_an_upload_that_never_comes_blocks_no_other(void **state)
{
    struct fixture *f = *state;
    struct build lost = begin_build(f, "one", BUILD_FOR_IMAGE);
    struct build b;

    b = queue_build(f, "one"); /* while the first still waits */
    assert_string_equal(must_claim(f, "w").id, b.id);
    finish_build(f, &b, "w", ERR_NONE);
    begin_build(f, "one", BUILD_FOR_IMAGE);
    pass_time(f, 2 * UPLOAD_TIME);
    MUST(f, state_expire(f->s, &f->err));
    b = queue_build(f, "one"); /* and after it is given up */
    assert_string_equal(must_claim(f, "w").id, b.id);
    assert_int_equal(phase_of(f, &lost), BUILD_CANCELLED);
}

static void test_another_workspace_cannot_upload(void **state)
{
    struct fixture *f = *state;
    struct build b = begin_build(f, "one", BUILD_FOR_IMAGE);
    enum upload_outcome outcome;

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    assert_int_equal(check_upload(f, "other", b.id), UPLOAD_UNKNOWN);
    MUST(f, state_upload_accept(f->s, "other", b.id, "key", 1, &outcome, &f->err));
    assert_int_equal(outcome, UPLOAD_UNKNOWN);
    assert_int_equal(phase_of(f, &b), BUILD_UPLOADING);
    assert_int_equal(check_upload(f, WORKSPACE, "00000000000000000000000000000000"),
                     UPLOAD_UNKNOWN);
}

static void test_a_url_asked_for_during_a_build_does_not_stop_it(void **state)
{
    struct fixture *f = *state;
    struct build running = queue_build(f, "one");
    struct build next;

    must_claim(f, "w");
    next = begin_build(f, "one", BUILD_FOR_IMAGE);
    assert_int_equal(finish_build(f, &running, "w", ERR_NONE).verdict, LEASE_KEPT);
    assert_int_equal(phase_of(f, &running), BUILD_SUCCEEDED);
    assert_int_equal(accept_upload(f, &next), UPLOAD_ACCEPTED);
}

static void test_the_newest_build_is_the_last_one_asked_for(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build newest;
    struct build found;
    enum presence presence;

    MUST(f, state_build_newest(f->s, &t, &presence, &found, &f->err));
    assert_int_equal(presence, ABSENT);
    for (int i = 0; i < 5; i++) /* in the same nanosecond */
        newest = begin_build(f, "one", BUILD_FOR_IMAGE);
    MUST(f, state_build_newest(f->s, &t, &presence, &found, &f->err));
    assert_int_equal(presence, PRESENT);
    assert_string_equal(found.id, newest.id);
}

static void test_a_clock_set_back_does_not_make_an_old_build_the_newest(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build old = queue_build(f, "one");
    struct build newest;
    struct build found;
    enum presence presence;

    pass_time(f, -3600 * NS_PER_SEC);
    newest = queue_build(f, "one");
    MUST(f, state_build_newest(f->s, &t, &presence, &found, &f->err));
    assert_string_equal(found.id, newest.id);
    assert_int_equal(phase_of(f, &old), BUILD_CANCELLED);
}

static bool unfinished(struct fixture *f, const struct build *b)
{
    bool yes;

    MUST(f, state_build_unfinished(f->s, b->id, &yes, &f->err));
    return yes;
}

static void test_an_archive_is_in_use_until_its_build_ends(void **state)
{
    struct fixture *f = *state;
    struct build b = begin_build(f, "one", BUILD_FOR_IMAGE);
    bool used;

    assert_true(unfinished(f, &b));
    accept_upload(f, &b);
    b = must_claim(f, "w");
    MUST(f, state_archive_in_use(f->s, b.archive, &used, &f->err));
    assert_true(used && unfinished(f, &b));
    finish_build(f, &b, "w", ERR_INPUT);
    MUST(f, state_archive_in_use(f->s, b.archive, &used, &f->err));
    assert_false(used);
    assert_false(unfinished(f, &b));
    MUST(f, state_archive_in_use(f->s, "", &used, &f->err));
    assert_false(used);
}

static void count_awaited(void *self, const struct build *b)
{
    assert_int_equal(b->phase, BUILD_UPLOADING);
    ++*(size_t *)self;
}

static void test_late_uploads_elsewhere_are_ended_by_who_looked(void **state)
{
    struct fixture *f = *state;
    const struct state_config config = {.path = f->path,
                                        .clock = &f->clock,
                                        .attempts_max = ATTEMPTS_MAX,
                                        .upload_ns = UPLOAD_TIME,
                                        .uploads_elsewhere = true};
    struct build came = begin_build(f, "one", BUILD_FOR_IMAGE);
    struct build bad = begin_build(f, "two", BUILD_FOR_RESOURCE);
    struct build never = begin_build(f, "three", BUILD_FOR_IMAGE);
    enum upload_outcome outcome;
    struct state *s = NULL;
    size_t n = 0;

    MUST(f, state_open(&config, &s, &f->err));
    pass_time(f, UPLOAD_TIME + 1);
    MUST(f, state_expire(s, &f->err));
    MUST(f, state_uploads_awaited(s, count_awaited, &n, &f->err));
    assert_int_equal(n, 3);
    MUST(f, state_upload_accept(s, WORKSPACE, came.id, "key", 5, &outcome, &f->err));
    assert_int_equal(outcome, UPLOAD_ACCEPTED);
    MUST(f, state_upload_refuse(s, bad.id, ERR_LIMIT, "too large", &f->err));
    MUST(f, state_upload_refuse(s, came.id, ERR_LIMIT, "too late", &f->err));
    MUST(f, state_expire_uploads(s, &f->err));
    assert_int_equal(load_build(f, came.id).phase, BUILD_QUEUED);
    assert_int_equal(load_build(f, bad.id).phase, BUILD_FAILED);
    assert_string_equal(load_build(f, bad.id).fault, "limit");
    assert_string_equal(load_build(f, bad.id).message, "too large");
    assert_int_equal(load_build(f, never.id).phase, BUILD_FAILED);
    assert_string_equal(load_build(f, never.id).fault, "input");
    state_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_build_waits_for_its_upload),
        STATE_TEST(test_an_accepted_upload_is_queued),
        STATE_TEST(test_a_second_upload_to_the_same_url_changes_nothing),
        STATE_TEST(test_an_upload_is_used_up_in_every_later_phase),
        STATE_TEST(test_a_new_url_kills_the_old_one),
        STATE_TEST(test_a_new_url_leaves_other_targets_alone),
        STATE_TEST(test_an_upload_that_comes_too_late_is_refused),
        STATE_TEST(test_an_upload_that_never_comes_ends_failed_and_says_why),
        STATE_TEST(test_an_upload_that_never_comes_blocks_no_other),
        STATE_TEST(test_another_workspace_cannot_upload),
        STATE_TEST(test_a_url_asked_for_during_a_build_does_not_stop_it),
        STATE_TEST(test_the_newest_build_is_the_last_one_asked_for),
        STATE_TEST(test_a_clock_set_back_does_not_make_an_old_build_the_newest),
        STATE_TEST(test_an_archive_is_in_use_until_its_build_ends),
        FILE_TEST(test_late_uploads_elsewhere_are_ended_by_who_looked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
