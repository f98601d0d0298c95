/* What a client is told, fact by fact.  How whole clients fare is told in clients_test.c. */
#include "tests/worker/state_fixture.h"

#include "worker/status.h"

#define S(seconds) ((int64_t)((seconds)*1e9))

/* Moments are seconds after the upload; 0 means not yet. */
struct moment {
    const char *what;
    enum build_phase phase;
    double asked, last_line, log_read, finished, now;
    enum status as_image, as_resource;
};

static int64_t at(double seconds)
{
    return seconds > 0 ? START + S(seconds) : 0;
}

static void check(const struct moment *m)
{
    const struct build b = {.phase = m->phase,
                            .uploaded = m->phase == BUILD_UPLOADING ? 0 : START,
                            .building_seen = at(m->asked),
                            .last_line = at(m->last_line),
                            .log_read = at(m->log_read),
                            .finished = at(m->finished)};
    enum status image = build_status(&b, BUILD_FOR_IMAGE, START + S(m->now));
    enum status resource = build_status(&b, BUILD_FOR_RESOURCE, START + S(m->now));

    if (image != m->as_image || resource != m->as_resource)
        fail_msg("%s: %s and %s", m->what, status_name(image), status_name(resource));
}

static void test_the_status_of_each_moment(void **state)
{
    static const struct moment moments[] = {
        {"waits for its upload", BUILD_UPLOADING, 0, 0, 0, 0, 1, STATUS_UPLOADING,
         STATUS_UPLOADING},
        {"queued", BUILD_QUEUED, 0, 0, 0, 0, 100, STATUS_BUILDING, STATUS_BUILDING},
        {"running", BUILD_RUNNING, 1, 2, 0, 0, 100, STATUS_BUILDING, STATUS_BUILDING},
        {"cancelled", BUILD_CANCELLED, 0, 0.1, 0.2, 0.2, 0.3, STATUS_FAILED, STATUS_FAILED},

        {"fast, nobody asked yet", BUILD_SUCCEEDED, 0, 0.1, 0, 0.2, 4, STATUS_BUILT,
         STATUS_BUILDING},
        {"fast, nobody ever asked", BUILD_SUCCEEDED, 0, 0.1, 0, 0.2, 15, STATUS_BUILT,
         STATUS_DEPLOYED},
        {"fast, told BUILDING a tick ago", BUILD_SUCCEEDED, 1, 0.1, 0, 0.2, 4, STATUS_BUILT,
         STATUS_BUILDING},
        {"fast, told BUILDING two ticks ago", BUILD_SUCCEEDED, 1, 0.1, 0, 0.2, 7, STATUS_BUILT,
         STATUS_DEPLOYED},
        {"fast, told at once, before the first tick", BUILD_SUCCEEDED, 0.001, 0.1, 0, 0.2, 4.9,
         STATUS_BUILT, STATUS_BUILDING},
        {"fast, told at once, after the first tick", BUILD_SUCCEEDED, 0.001, 0.1, 0, 0.2, 5,
         STATUS_BUILT, STATUS_DEPLOYED},
        {"fast, asked late, before the tick after", BUILD_SUCCEEDED, 2.6, 0.1, 0, 0.2, 5.7,
         STATUS_BUILT, STATUS_BUILDING},
        {"fast, asked late, two ticks later", BUILD_SUCCEEDED, 2.6, 0.1, 0, 0.2, 8.6, STATUS_BUILT,
         STATUS_DEPLOYED},
        {"fast failure", BUILD_FAILED, 1, 0.1, 0, 0.2, 4, STATUS_FAILED, STATUS_BUILDING},
        {"failure two ticks ago", BUILD_FAILED, 1, 0.1, 0, 0.2, 7, STATUS_FAILED, STATUS_FAILED},

        {"its last line is young and may be watched", BUILD_SUCCEEDED, 0.1, 6, 0, 6.1, 6.9,
         STATUS_BUILDING, STATUS_BUILDING},
        {"its last line is old", BUILD_SUCCEEDED, 0.1, 3, 0, 3.1, 6, STATUS_BUILT, STATUS_DEPLOYED},
        {"long, its log was never read", BUILD_SUCCEEDED, 1, 60, 0, 60, 60, STATUS_BUILT,
         STATUS_DEPLOYED},
        {"long, its log was read long ago", BUILD_FAILED, 1, 60, 50, 60, 60, STATUS_FAILED,
         STATUS_FAILED},
        {"long, its log is watched", BUILD_FAILED, 1, 60, 58.2, 60, 62.9, STATUS_BUILDING,
         STATUS_BUILDING},
        {"long, its log is watched and can be read", BUILD_FAILED, 1, 60, 58.2, 60, 63,
         STATUS_FAILED, STATUS_FAILED},
        {"long, its log was read after its end", BUILD_SUCCEEDED, 1, 60, 60.5, 60, 62,
         STATUS_BUILDING, STATUS_BUILDING},
        {"without a line", BUILD_SUCCEEDED, 0.1, 0, 9.9, 10, 10, STATUS_BUILT, STATUS_DEPLOYED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
        check(&moments[i]);
}

static void test_an_upload_that_never_came_has_failed_at_once(void **state)
{
    const struct build b = {.phase = BUILD_FAILED, .finished = 1};

    (void)state;
    assert_int_equal(build_status(&b, BUILD_FOR_IMAGE, 1), STATUS_FAILED);
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, 1), STATUS_FAILED);
}

/* A resource's build that was told BUILDING 4 s after its upload, and came to its last step after
 * 30 s. */
static enum status in_the_last_step(enum build_purpose view, double last_line, double log_read,
                                    double now)
{
    const struct build b = {.phase = BUILD_RUNNING,
                            .uploaded = START,
                            .building_seen = at(4),
                            .deploying = at(30),
                            .last_line = at(last_line),
                            .log_read = at(log_read)};

    return build_status(&b, view, START + S(now));
}

static void test_deploying_is_told_of_a_resource_once_the_log_was_fetched(void **state)
{
    (void)state;
    assert_int_equal(in_the_last_step(BUILD_FOR_RESOURCE, 30, 29, 32.9), STATUS_BUILDING);
    assert_int_equal(in_the_last_step(BUILD_FOR_RESOURCE, 30, 29, 33), STATUS_DEPLOYING);
    assert_int_equal(in_the_last_step(BUILD_FOR_IMAGE, 30, 29, 33), STATUS_BUILDING);
    assert_int_equal(in_the_last_step(BUILD_FOR_RESOURCE, 31, 29, 33.9), STATUS_BUILDING);
    assert_int_equal(in_the_last_step(BUILD_FOR_RESOURCE, 31, 29, 34), STATUS_DEPLOYING);
}

static void test_deploying_is_told_at_once_when_nobody_reads_the_log(void **state)
{
    (void)state;
    assert_int_equal(in_the_last_step(BUILD_FOR_RESOURCE, 30, 0, 30), STATUS_DEPLOYING);
    assert_int_equal(in_the_last_step(BUILD_FOR_RESOURCE, 30, 20.1, 30), STATUS_BUILDING);
}

static void test_deploying_is_not_told_before_building_was(void **state)
{
    const struct build b = {
        .phase = BUILD_RUNNING, .uploaded = START, .building_seen = at(4), .deploying = at(1)};

    (void)state;
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, START + S(8.4)), STATUS_BUILDING);
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, START + S(8.5)), STATUS_DEPLOYING);
}

static void test_deploying_stays_until_the_end_shows(void **state)
{
    struct build b = {.phase = BUILD_SUCCEEDED,
                      .uploaded = START,
                      .building_seen = at(4),
                      .deploying = at(30),
                      .deploying_seen = at(33),
                      .last_line = at(34),
                      .log_read = at(33.5),
                      .finished = at(34)};

    (void)state;
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, START + S(34.5)), STATUS_DEPLOYING);
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, START + S(37)), STATUS_DEPLOYED);
    b.phase = BUILD_FAILED;
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, START + S(34.5)), STATUS_DEPLOYING);
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, START + S(37)), STATUS_FAILED);
    b.phase = BUILD_QUEUED; /* another try */
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, START + S(34.5)), STATUS_BUILDING);
}

static void test_names_and_finality(void **state)
{
    static const struct {
        enum status status;
        const char *name;
        bool final;
    } cases[] = {
        {STATUS_UPLOADING, "UPLOADING", false}, {STATUS_BUILDING, "BUILDING", false},
        {STATUS_DEPLOYING, "DEPLOYING", false}, {STATUS_DEPLOYED, "DEPLOYED", true},
        {STATUS_BUILT, "BUILT", true},          {STATUS_FAILED, "FAILED", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(status_name(cases[i].status), cases[i].name);
        assert_int_equal(status_is_final(cases[i].status), cases[i].final);
    }
}

/* ---- the facts that the state keeps for it ---- */

static void seen(struct fixture *f, const struct build *b)
{
    MUST(f, state_build_seen(f->s, b->id, &f->err));
}

static void log_read(struct fixture *f, const struct build *b)
{
    MUST(f, state_build_log_read(f->s, b->id, &f->err));
}

static void test_the_first_that_was_told_and_the_last_that_read_are_kept(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    pass_time(f, 1);
    seen(f, &b);
    log_read(f, &b);
    pass_time(f, 1);
    seen(f, &b);
    log_read(f, &b);
    b = load_build(f, b.id);
    assert_int_equal(b.building_seen, START + 1);
    assert_int_equal(b.log_read, START + 2);
}

static void test_nobody_is_told_building_before_the_upload(void **state)
{
    struct fixture *f = *state;
    struct build b = begin_build(f, "one", BUILD_FOR_RESOURCE);

    seen(f, &b);
    log_read(f, &b);
    assert_int_equal(load_build(f, b.id).building_seen, 0);
    assert_int_equal(load_build(f, b.id).log_read, 0);
}

static void test_an_end_that_was_shown_is_not_taken_back(void **state)
{
    const struct log_line line = {.severity = LOG_INFO, .text = "last words"};
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    pass_time(f, 20 * NS_PER_SEC);
    MUST(f, state_log_append(f->s, b.id, &line, 1, &f->err));
    finish_build(f, &b, "w", ERR_NONE);
    b = load_build(f, b.id);
    assert_int_equal(build_status(&b, BUILD_FOR_IMAGE, f->now), STATUS_BUILT);
    log_read(f, &b); /* someone is curious now */
    seen(f, &b);
    b = load_build(f, b.id);
    assert_int_equal(build_status(&b, BUILD_FOR_IMAGE, f->now), STATUS_BUILT);
    assert_int_equal(build_status(&b, BUILD_FOR_RESOURCE, f->now), STATUS_DEPLOYED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_status_of_each_moment),
        cmocka_unit_test(test_an_upload_that_never_came_has_failed_at_once),
        cmocka_unit_test(test_deploying_is_told_of_a_resource_once_the_log_was_fetched),
        cmocka_unit_test(test_deploying_is_told_at_once_when_nobody_reads_the_log),
        cmocka_unit_test(test_deploying_is_not_told_before_building_was),
        cmocka_unit_test(test_deploying_stays_until_the_end_shows),
        cmocka_unit_test(test_names_and_finality),
        STATE_TEST(test_the_first_that_was_told_and_the_last_that_read_are_kept),
        STATE_TEST(test_nobody_is_told_building_before_the_upload),
        STATE_TEST(test_an_end_that_was_shown_is_not_taken_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
