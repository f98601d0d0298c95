/* Garbage is found before it is removed, each task is one process's at a time, and once in an
 * interval. */
#include "tests/worker/state_fixture.h"
#include "worker/gc.h"
#include "worker/state_rotate.h"

#define HOUR (3600 * NS_PER_SEC)

/* ---- whose turn it is ---- */

static bool begin(struct fixture *f, struct state *s, const char *holder, int64_t interval)
{
    bool mine;

    MUST(f, state_gc_begin(s, "events", holder, interval, HOUR, &mine, &f->err));
    return mine;
}

static void note_run(void *self, const struct gc_run *r)
{
    *(struct gc_run *)self = *r;
}

static struct gc_run last_run(struct fixture *f)
{
    struct gc_run r = {.began = 0};

    MUST(f, state_gc_list(f->s, note_run, &r, &f->err));
    return r;
}

static void test_one_does_it_and_once_in_an_interval(void **state)
{
    struct fixture *f = *state;
    struct state *other = fixture_open(f);

    assert_true(begin(f, f->s, "a", 24 * HOUR));
    assert_false(begin(f, other, "b", 24 * HOUR));
    assert_false(begin(f, other, "b", 0)); /* not at once either: it is being done */
    pass_time(f, NS_PER_SEC);
    MUST(f, state_gc_end(f->s, "events", "a", 7, 700, "", &f->err));
    assert_int_equal(last_run(f).items, 7);
    assert_int_equal(last_run(f).bytes, 700);
    assert_int_equal(last_run(f).ended - last_run(f).began, NS_PER_SEC);
    assert_string_equal(last_run(f).holder, "a");
    assert_false(begin(f, other, "b", 24 * HOUR));
    pass_time(f, 24 * HOUR);
    assert_true(begin(f, other, "b", 24 * HOUR));
    MUST(f, state_gc_end(other, "events", "b", 0, 0, "no room", &f->err));
    assert_string_equal(last_run(f).message, "no room");
    assert_true(begin(f, f->s, "a", 0));
    state_close(other);
}

static void test_who_dies_is_followed_when_the_lease_is_over(void **state)
{
    struct fixture *f = *state;

    assert_true(begin(f, f->s, "a", HOUR / 2));
    pass_time(f, HOUR - 1);
    assert_false(begin(f, f->s, "b", HOUR / 2));
    pass_time(f, 1);
    assert_true(begin(f, f->s, "b", HOUR / 2));
    /* What the dead one says now is not of this run. */
    MUST(f, state_gc_end(f->s, "events", "a", 9, 9, "", &f->err));
    assert_int_equal(last_run(f).ended, 0);
}

/* ---- garbage ---- */

static struct gc_config config_of(struct fixture *f)
{
    return (struct gc_config){
        .state = f->s, .log_ns = 10 * HOUR, .event_ns = 10 * HOUR, .name = "me"};
}

static const struct gc_task *task_of(const char *name)
{
    const struct gc_task *t = gc_tasks;

    while (strcmp(t->name, name) != 0)
        t++;
    return t;
}

static struct gc_found look(struct fixture *f, const char *task)
{
    const struct gc_config c = config_of(f);
    struct gc_found found;

    MUST(f, task_of(task)->look(&c, &found, &f->err));
    return found;
}

static int64_t run(struct fixture *f, const char *task)
{
    const struct gc_config c = config_of(f);
    struct gc_found found;
    bool done;

    MUST(f, gc_run_task(&c, task_of(task), 0, &done, &found, &f->err));
    assert_true(done);
    return found.items;
}

static void count_event(void *self, const struct event *e)
{
    (void)e;
    ++*(int64_t *)self;
}

static int64_t events_of(struct fixture *f, const char *name)
{
    const struct target t = sandbox(name);
    int64_t n = 0;

    MUST(f, state_event_list(f->s, &t, count_event, &n, &f->err));
    return n;
}

static void test_events_go_by_age_and_when_nobody_is_shown_them(void **state)
{
    struct fixture *f = *state;
    int64_t old, all, seen;

    (void)queue_build(f, "old");
    old = events_of(f, "old");
    assert_true(old > 0);
    assert_int_equal(look(f, "events").items, 0);
    pass_time(f, 11 * HOUR);
    (void)queue_build(f, "new");
    assert_int_equal(look(f, "events").items, old);
    assert_true(look(f, "events").bytes >= 100 * old);
    assert_int_equal(events_of(f, "old"), old); /* looking removes nothing */
    assert_int_equal(run(f, "events"), old);
    assert_int_equal(events_of(f, "old"), 0);
    assert_true(events_of(f, "new") > 0);

    for (int i = 0; i < 120; i++)
        (void)begin_build(f, "busy", BUILD_FOR_IMAGE);
    seen = events_of(f, "busy");
    all = look(f, "events").items;
    assert_int_equal(seen, 100);
    assert_true(all > 0);
    assert_int_equal(run(f, "events"), all);
    assert_int_equal(events_of(f, "busy"), 100);
    assert_int_equal(look(f, "events").items, 0);
}

static void test_tokens_go_when_their_time_is_over(void **state)
{
    struct fixture *f = *state;
    const struct key_draft draft = {.workspace = WORKSPACE, .kind = KEY_TOKEN, .seconds = 60};
    char text[API_KEY_TEXT];
    struct api_key key;

    MUST(f, state_key_create(f->s, &draft, text, &key, &f->err));
    MUST(f, state_upload_rotate(f->s, 60 * NS_PER_SEC, &f->err));
    assert_int_equal(run(f, "expired"), 0);
    pass_time(f, 61 * NS_PER_SEC);
    assert_int_equal(look(f, "expired").items, 1);
    assert_int_equal(run(f, "expired"), 1);
    assert_int_equal(look(f, "expired").items, 0);
}

static void test_logs_go_by_age(void **state)
{
    struct fixture *f = *state;
    const struct log_line line = {.severity = LOG_INFO, .text = "a line"};
    const struct build b = queue_build(f, "a");

    (void)must_claim(f, "w");
    MUST(f, state_log_append(f->s, b.id, &line, 1, &f->err));
    (void)finish_build(f, &b, "w", ERR_NONE);
    assert_int_equal(look(f, "logs").items, 0);
    pass_time(f, 11 * HOUR);
    assert_true(look(f, "logs").items > 0);
    assert_true(run(f, "logs") > 0);
    assert_int_equal(look(f, "logs").items, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_one_does_it_and_once_in_an_interval),
        FILE_TEST(test_who_dies_is_followed_when_the_lease_is_over),
        FILE_TEST(test_events_go_by_age_and_when_nobody_is_shown_them),
        FILE_TEST(test_tokens_go_when_their_time_is_over),
        FILE_TEST(test_logs_go_by_age),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
