/* The events of a target (PROTOCOL.md 6.3): which, in what order, and when they may be shown. */
#include "tests/worker/state_fixture.h"

struct list {
    int n;
    char text[8192]; /* a line per event: "type status [resource] [final]" */
    char message[256];
    char revision[BUILD_TAG];
    char build[BUILD_ID];
    int64_t time;
    bool rising;
};

static void note_event(void *self, const struct event *e)
{
    struct list *list = self;
    size_t len = strlen(list->text);

    assert_int_equal(strncmp(e->type, "ai.blaxel.controlplane.", 23), 0);
    (void)snprintf(list->text + len, sizeof(list->text) - len, "%s %s%s%s\n", e->type + 23,
                   e->status, e->of_resource ? " resource" : "", e->final ? " final" : "");
    list->rising = list->rising && e->time >= list->time;
    list->time = e->time;
    list->n++;
    (void)snprintf(list->message, sizeof(list->message), "%s", e->message);
    (void)snprintf(list->revision, sizeof(list->revision), "%s", e->revision);
    (void)snprintf(list->build, sizeof(list->build), "%s", e->build);
}

static struct list events_of(struct fixture *f, const char *name)
{
    const struct target t = sandbox(name);
    struct list list = {.rising = true};

    MUST(f, state_event_list(f->s, &t, note_event, &list, &f->err));
    return list;
}

static struct build run_build(struct fixture *f, const char *name, enum build_purpose purpose,
                              enum error_kind kind)
{
    struct build b = begin_build(f, name, purpose);

    pass_time(f, 1);
    accept_upload(f, &b);
    must_claim(f, "w");
    pass_time(f, 1);
    finish_build(f, &b, "w", kind);
    return b;
}

static void test_a_build_begins_with_an_event(void **state)
{
    struct fixture *f = *state;
    struct build b = begin_build(f, "one", BUILD_FOR_RESOURCE);
    struct list list = events_of(f, "one");

    assert_string_equal(list.text, "buildimage.created UPLOADED\n");
    assert_string_equal(list.message, "Starting build image");
    assert_string_equal(list.revision, b.tag);
    assert_string_equal(list.build, b.id);
    assert_int_equal(list.time, START);
}

static void test_the_events_of_each_end_come_in_order(void **state)
{
    static const struct {
        enum build_purpose purpose;
        enum error_kind kind;
        const char *text;
    } cases[] = {
        {BUILD_FOR_IMAGE, ERR_NONE,
         "buildimage.created UPLOADED\n"
         "buildimage.succeeded BUILT final\n"},
        {BUILD_FOR_IMAGE, ERR_INPUT,
         "buildimage.created UPLOADED\n"
         "buildimage.failed FAILED final\n"},
        {BUILD_FOR_RESOURCE, ERR_NONE,
         "buildimage.created UPLOADED\n"
         "buildimage.succeeded BUILT final\n"
         "deployment.created BUILT resource final\n"
         "deployment.ready DEPLOYED resource final\n"
         "deployment.succeeded DEPLOYED resource final\n"},
        {BUILD_FOR_RESOURCE, ERR_LIMIT,
         "buildimage.created UPLOADED\n"
         "buildimage.failed FAILED final\n"
         "deployment.failed FAILED resource final\n"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[8];
        struct build b;
        struct list list;

        (void)snprintf(name, sizeof(name), "n%zu", i);
        b = run_build(f, name, cases[i].purpose, cases[i].kind);
        list = events_of(f, name);
        assert_string_equal(list.text, cases[i].text);
        assert_string_equal(list.build, b.id);
        assert_true(list.rising);
    }
}

static void test_a_failure_event_carries_the_long_text_or_else_the_message(void **state)
{
    struct build_result result = {.kind = ERR_INPUT, .message = "short", .event = "long\ntext"};
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++) {
        struct build b = queue_build(f, "one");
        enum lease_verdict verdict;
        enum build_phase phase;

        must_claim(f, "w");
        MUST(f, state_finish(f->s, b.id, "w", &result, &verdict, &phase, &f->err));
        assert_string_equal(events_of(f, "one").message, i ? "short" : "long\ntext");
        assert_string_equal(load_build(f, b.id).message, "short");
        result.event = NULL;
    }
}

static void note_tag(void *self, const struct image_tag *g)
{
    char *tags = self;

    (void)snprintf(tags + strlen(tags), 256 - strlen(tags), "%s ", g->name);
}

/* The image was made, and did not come up when it was started. */
static void test_an_image_that_was_not_fit_to_be_deployed_is_there_by_its_own_tag(void **state)
{
    const struct build_result result = {.kind = ERR_INPUT,
                                        .message = "it exited with 3",
                                        .event = "long\ntext",
                                        .digest = DIGEST,
                                        .image_size = 7,
                                        .built = true};
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build b = begin_build(f, "one", BUILD_FOR_RESOURCE);
    char tags[256] = "", expected[BUILD_TAG + 2];
    enum lease_verdict verdict;
    enum build_phase phase;
    struct list list;

    accept_upload(f, &b);
    must_claim(f, "w");
    MUST(f, state_finish(f->s, b.id, "w", &result, &verdict, &phase, &f->err));
    assert_int_equal(phase, BUILD_FAILED);
    list = events_of(f, "one");
    assert_string_equal(list.text, "buildimage.created UPLOADED\n"
                                   "buildimage.succeeded BUILT final\n"
                                   "deployment.failed FAILED resource final\n");
    assert_string_equal(list.message, "Deployment has failed: it exited with 3");
    assert_string_equal(load_build(f, b.id).digest, DIGEST);
    MUST(f, state_image_tags(f->s, &t, note_tag, tags, &f->err));
    (void)snprintf(expected, sizeof(expected), "%s ", b.tag);
    assert_string_equal(tags, expected);
}

static void test_a_try_that_is_repeated_is_no_event(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    finish_build(f, &b, "w", ERR_REMOTE);
    assert_int_equal(events_of(f, "one").n, 1);
    pass_time(f, NS_PER_SEC);
    must_claim(f, "w");
    MUST(f, state_give_back(f->s, b.id, "w", &f->err));
    assert_int_equal(events_of(f, "one").n, 1);
}

static void test_an_upload_that_never_came_and_a_dead_worker_are_events(void **state)
{
    struct fixture *f = *state;
    struct build b;

    begin_build(f, "never", BUILD_FOR_IMAGE);
    pass_time(f, UPLOAD_TIME);
    MUST(f, state_expire(f->s, &f->err));
    assert_string_equal(events_of(f, "never").text, "buildimage.created UPLOADED\n"
                                                    "buildimage.failed FAILED final\n");
    b = queue_build(f, "dead");
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        must_claim(f, "w");
        MUST(f, state_worker_died(f->s, "w", &f->err));
    }
    assert_int_equal(phase_of(f, &b), BUILD_FAILED);
    assert_non_null(strstr(events_of(f, "dead").message, "the worker stopped"));
}

static void test_events_of_other_targets_are_not_shown(void **state)
{
    const struct target agent = {WORKSPACE, "agent", "one"};
    const struct target foreign = {"other", "sandbox", "one"};
    struct fixture *f = *state;
    struct build b;

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    MUST(f, state_build_begin(f->s, &agent, BUILD_FOR_IMAGE, &b, &f->err));
    MUST(f, state_build_begin(f->s, &foreign, BUILD_FOR_IMAGE, &b, &f->err));
    assert_int_equal(events_of(f, "one").n, 0);
}

static void test_the_last_hundred_events_are_shown_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct build last;
    struct list list;

    for (int i = 0; i < 70; i++)
        last = run_build(f, "one", BUILD_FOR_IMAGE, ERR_NONE);
    list = events_of(f, "one");
    assert_int_equal(list.n, 100);
    assert_string_equal(list.build, last.id);
    assert_true(list.rising);
    assert_int_equal(strncmp(list.text, "buildimage.created", 18), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_build_begins_with_an_event),
        STATE_TEST(test_the_events_of_each_end_come_in_order),
        STATE_TEST(test_a_failure_event_carries_the_long_text_or_else_the_message),
        STATE_TEST(test_an_image_that_was_not_fit_to_be_deployed_is_there_by_its_own_tag),
        STATE_TEST(test_a_try_that_is_repeated_is_no_event),
        STATE_TEST(test_an_upload_that_never_came_and_a_dead_worker_are_events),
        STATE_TEST(test_events_of_other_targets_are_not_shown),
        STATE_TEST(test_the_last_hundred_events_are_shown_oldest_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
