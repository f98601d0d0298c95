/* A build of a git source needs no upload: it is queued at once, and otherwise like any other. */
#include "tests/worker/state_fixture.h"

#include "worker/status.h"

#define SOURCE "https://git.example/owner/repo.git#v1.2:services/api"

static struct build from_source(struct fixture *f, const char *name)
{
    const struct target t = sandbox(name);
    struct build b;

    MUST(f, state_build_from_source(f->s, &t, BUILD_FOR_IMAGE, SOURCE, &b, &f->err));
    return b;
}

static void test_it_is_queued_at_once(void **state)
{
    struct fixture *f = *state;
    struct build b = from_source(f, "one");
    struct build stored = load_build(f, b.id);

    assert_int_equal(stored.phase, BUILD_QUEUED);
    assert_string_equal(stored.source, SOURCE);
    assert_string_equal(stored.archive, "");
    assert_int_equal(stored.uploaded, START);
    assert_int_equal(strlen(stored.tag), BUILD_TAG - 1);
    assert_int_equal(build_status(&stored, BUILD_FOR_IMAGE, f->now), STATUS_BUILDING);
    assert_string_equal(must_claim(f, "w").source, SOURCE);
}

static void test_an_upload_has_no_source(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(queue_build(f, "one").source, "");
    assert_string_equal(must_claim(f, "w").source, "");
}

static void test_its_image_is_there_from_then_on(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build b = from_source(f, "one");
    enum presence presence;
    struct image image;

    MUST(f, state_image_get(f->s, &t, &presence, &image, &f->err));
    assert_int_equal(presence, PRESENT);
    must_claim(f, "w");
    assert_int_equal(finish_build(f, &b, "w", ERR_NONE).phase, BUILD_SUCCEEDED);
}

static void test_it_takes_the_place_of_older_builds(void **state)
{
    struct fixture *f = *state;
    struct build waiting = begin_build(f, "one", BUILD_FOR_IMAGE);
    struct build queued = queue_build(f, "one");
    struct build other = queue_build(f, "two");
    struct build b;

    pass_time(f, 3);
    b = from_source(f, "one");
    assert_int_equal(phase_of(f, &waiting), BUILD_CANCELLED);
    assert_int_equal(phase_of(f, &queued), BUILD_CANCELLED);
    assert_string_equal(load_build(f, queued.id).message, "superseded by a newer build");
    assert_int_equal(phase_of(f, &other), BUILD_QUEUED);
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
}

static void test_a_newer_upload_takes_its_place(void **state)
{
    struct fixture *f = *state;
    struct build b = from_source(f, "one");

    queue_build(f, "one");
    assert_int_equal(phase_of(f, &b), BUILD_CANCELLED);
}

static void test_nothing_can_be_uploaded_to_it(void **state)
{
    struct fixture *f = *state;
    struct build b = from_source(f, "one");

    assert_int_not_equal(accept_upload(f, &b), UPLOAD_ACCEPTED);
    assert_string_equal(load_build(f, b.id).archive, "");
    pass_time(f, 2 * UPLOAD_TIME);
    MUST(f, state_expire(f->s, &f->err));
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED); /* and it waits for none */
}

static void test_a_fault_of_the_network_is_tried_again_from_the_source(void **state)
{
    struct fixture *f = *state;
    struct build b = from_source(f, "one");

    must_claim(f, "w");
    assert_int_equal(finish_build(f, &b, "w", ERR_REMOTE).phase, BUILD_QUEUED);
    pass_time(f, 120 * NS_PER_SEC);
    assert_string_equal(must_claim(f, "w").source, SOURCE);
}

static void test_without_the_cache_stays_with_a_build_that_asks_for_it(void **state)
{
    struct fixture *f = *state;
    const struct target t = sandbox("one");
    struct build b;

    MUST(f, state_build_ask(f->s, &t,
                            &(struct build_order){
                                .purpose = BUILD_FOR_IMAGE, .source = SOURCE, .no_cache = true},
                            &b, &f->err));
    assert_true(load_build(f, b.id).no_cache);
    assert_true(must_claim(f, "w").no_cache);
    assert_false(from_source(f, "two").no_cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_it_is_queued_at_once),
        STATE_TEST(test_without_the_cache_stays_with_a_build_that_asks_for_it),
        STATE_TEST(test_an_upload_has_no_source),
        STATE_TEST(test_its_image_is_there_from_then_on),
        STATE_TEST(test_it_takes_the_place_of_older_builds),
        STATE_TEST(test_a_newer_upload_takes_its_place),
        STATE_TEST(test_nothing_can_be_uploaded_to_it),
        STATE_TEST(test_a_fault_of_the_network_is_tried_again_from_the_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
