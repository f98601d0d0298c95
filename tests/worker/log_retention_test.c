/* Old logs go in pieces, and what reads them on is told. */
#include "tests/worker/state_fixture.h"

#define DAY (86400 * NS_PER_SEC)

static void append(struct fixture *f, const struct build *b, int n)
{
    for (int i = 0; i < n; i++) {
        const struct log_line line = {.severity = LOG_INFO, .text = "line"};

        MUST(f, state_log_append(f->s, b->id, &line, 1, &f->err));
    }
}

/* A build that is over, with a log. */
static struct build make_log(struct fixture *f, const char *name, int lines)
{
    struct build b = queue_build(f, name);

    (void)must_claim(f, "w");
    append(f, &b, lines);
    (void)finish_build(f, &b, "w", ERR_NONE);
    return b;
}

struct reading {
    int64_t n, first, last;
    bool told; /* the first line is that others were removed */
};

static void note(void *self, const struct log_line *l)
{
    struct reading *r = self;

    if (r->n++ == 0) {
        r->first = l->seq;
        r->told = strstr(l->text, "was removed") && l->severity == LOG_WARNING;
    }
    r->last = l->seq;
}

static struct reading read_log(struct fixture *f, const struct build *b, int64_t after)
{
    struct reading r = {.n = 0};
    int64_t total;

    MUST(f, state_log_read(f->s, b->id, after, false, INT64_MAX, note, &r, &total, &f->err));
    return r;
}

static bool remove_old(struct fixture *f, int64_t age)
{
    bool more;

    MUST(f, state_log_remove_old(f->s, f->now - age, &more, &f->err));
    return more;
}

static void test_logs_of_the_age_go_and_others_stay(void **state)
{
    struct fixture *f = *state;
    struct build old = make_log(f, "old", 3), young;

    pass_time(f, DAY);
    young = make_log(f, "young", 3);
    assert_false(remove_old(f, 2 * DAY));
    pass_time(f, DAY + 1);
    assert_true(remove_old(f, 2 * DAY));
    assert_false(remove_old(f, 2 * DAY));
    assert_int_equal(load_build(f, old.id).log_removed, f->now);
    assert_int_equal(load_build(f, young.id).log_removed, 0);
    assert_int_equal(read_log(f, &old, 0).n, 1);
    assert_true(read_log(f, &old, 0).told);
    assert_int_equal(read_log(f, &old, 3).n, 0);
    assert_int_equal(read_log(f, &young, 0).n, 3);
}

static void test_the_log_of_a_build_that_runs_stays(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    (void)must_claim(f, "w");
    append(f, &b, 3);
    f->now += 1000 * DAY;
    assert_false(remove_old(f, DAY));
    assert_int_equal(read_log(f, &b, 0).n, 3);
}

static void test_a_long_log_goes_in_pieces_from_its_start(void **state)
{
    struct fixture *f = *state;
    struct build b = make_log(f, "long", 2500);
    struct reading r;

    pass_time(f, DAY + 1);
    assert_true(remove_old(f, DAY));
    r = read_log(f, &b, 0);
    assert_true(r.told);
    assert_int_equal(r.first, 1000);
    assert_int_equal(r.last, 2500);
    assert_int_equal(load_build(f, b.id).log_removed, 0);
    r = read_log(f, &b, 1000); /* who had these lines misses nothing, and is told nothing */
    assert_false(r.told);
    assert_int_equal(r.first, 1001);
    while (remove_old(f, DAY))
        ;
    assert_int_equal(read_log(f, &b, 0).first, 2500);
    assert_true(load_build(f, b.id).log_removed > 0);
}

static void test_a_log_without_lines_is_done_with_at_once(void **state)
{
    struct fixture *f = *state;
    struct build b = make_log(f, "empty", 0);

    pass_time(f, DAY + 1);
    assert_true(remove_old(f, DAY));
    assert_false(remove_old(f, DAY));
    assert_int_equal(read_log(f, &b, 0).n, 0);
}

static void test_builds_are_found_by_when_they_were_there(void **state)
{
    struct fixture *f = *state;
    const struct target t = sandbox("one");
    struct build first = make_log(f, "one", 1), second, found;
    const int64_t first_over = f->now;
    enum presence presence;

    pass_time(f, DAY);
    second = make_log(f, "one", 1);
    MUST(f, state_build_newest_between(f->s, &t, 0, INT64_MAX, &presence, &found, &f->err));
    assert_string_equal(found.id, second.id);
    MUST(f,
         state_build_newest_between(f->s, &t, first_over, first_over, &presence, &found, &f->err));
    assert_string_equal(found.id, first.id);
    MUST(f, state_build_newest_between(f->s, &t, first_over + 1, first_over + 1, &presence, &found,
                                       &f->err));
    assert_int_equal(presence, ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_logs_of_the_age_go_and_others_stay),
        STATE_TEST(test_the_log_of_a_build_that_runs_stays),
        STATE_TEST(test_a_long_log_goes_in_pieces_from_its_start),
        STATE_TEST(test_a_log_without_lines_is_done_with_at_once),
        STATE_TEST(test_builds_are_found_by_when_they_were_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
