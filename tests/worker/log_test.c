/* Build logs: what is appended is read, in order, with times that tell lines apart. */
#include "tests/worker/state_fixture.h"

static void append(struct fixture *f, const struct build *b, const char *text)
{
    const struct log_line line = {.severity = LOG_INFO, .text = text};

    MUST(f, state_log_append(f->s, b->id, &line, 1, &f->err));
}

/* What was read: the texts in a row, the first and last numbers, and whether times rise. */
struct reading {
    int64_t n;
    int64_t first, last; /* seq */
    int64_t last_time;
    bool rising, falling;
    int64_t total;
    char texts[256];
};

static void note_line(void *self, const struct log_line *l)
{
    struct reading *r = self;
    size_t len = strlen(r->texts);

    if (r->n) {
        r->rising = r->rising && l->time > r->last_time && l->seq == r->last + 1;
        r->falling = r->falling && l->time < r->last_time && l->seq == r->last - 1;
    } else {
        r->first = l->seq;
    }
    r->n++;
    r->last = l->seq;
    r->last_time = l->time;
    (void)snprintf(r->texts + len, sizeof(r->texts) - len, "%s ", l->text);
}

static struct reading read_log(struct fixture *f, const struct build *b, int64_t after, bool newest,
                               int64_t limit)
{
    struct reading r = {.rising = true, .falling = true};

    MUST(f, state_log_read(f->s, b->id, after, newest, limit, note_line, &r, &r.total, &f->err));
    return r;
}

static void test_a_build_without_lines_has_an_empty_log(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    struct reading r = read_log(f, &b, 0, false, 10);

    assert_int_equal(r.n, 0);
    assert_int_equal(r.total, 0);
    MUST(f, state_log_append(f->s, b.id, NULL, 0, &f->err));
    assert_int_equal(load_build(f, b.id).last_line, 0);
}

static void test_lines_come_back_in_order(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    struct build other = queue_build(f, "two");
    struct reading r;

    append(f, &b, "a");
    append(f, &other, "not this one");
    append(f, &b, "b");
    append(f, &b, "");
    append(f, &b, "d");
    r = read_log(f, &b, 0, false, 10);
    assert_string_equal(r.texts, "a b  d ");
    assert_int_equal(r.first, 1);
    assert_int_equal(r.total, 4);
    assert_true(r.rising);
}

static void test_lines_of_one_moment_have_different_times(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    struct log_line same[50];
    struct reading r;

    for (int i = 0; i < 50; i++)
        same[i] = (struct log_line){.severity = LOG_INFO, .text = "."};
    MUST(f, state_log_append(f->s, b.id, same, 50, &f->err));
    MUST(f, state_log_append(f->s, b.id, same, 50, &f->err));
    pass_time(f, 10); /* still before the last line's time */
    append(f, &b, ".");
    r = read_log(f, &b, 0, false, 1000);
    assert_int_equal(r.n, 101);
    assert_true(r.rising);
    assert_int_equal(load_build(f, b.id).last_line, r.last_time);
}

static void test_times_rise_when_the_clock_is_set_back(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    append(f, &b, "before");
    pass_time(f, -NS_PER_SEC);
    append(f, &b, "after");
    assert_true(read_log(f, &b, 0, false, 10).rising);
}

static void test_a_limit_and_a_start_cut_the_reading(void **state)
{
    static const struct {
        int64_t after;
        bool newest;
        int64_t limit;
        const char *texts;
    } cases[] = {
        {0, false, 3, "a b c "}, {0, false, 0, ""},          {2, false, 2, "c d "},
        {4, false, 100, "e "},   {5, false, 100, ""},        {99, false, 100, ""},
        {0, true, 2, "e d "},    {0, true, 9, "e d c b a "}, {3, true, 100, "e d "},
        {0, true, 0, ""},
    };
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    for (const char *const *p = (const char *const[]){"a", "b", "c", "d", "e", NULL}; *p; p++)
        append(f, &b, *p);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reading r = read_log(f, &b, cases[i].after, cases[i].newest, cases[i].limit);

        assert_string_equal(r.texts, cases[i].texts);
        assert_int_equal(r.total, 5);
    }
}

static void note_severity(void *self, const struct log_line *l)
{
    *(enum log_severity *)self = l->severity;
}

static void test_a_line_keeps_its_severity_and_bytes(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    const struct log_line line = {.severity = LOG_ERROR, .text = "gr\xc3\xbc\xc3\x9f\t'x' %s"};
    enum log_severity severity = LOG_DEBUG;
    int64_t total;

    MUST(f, state_log_append(f->s, b.id, &line, 1, &f->err));
    assert_string_equal(read_log(f, &b, 0, false, 1).texts, "gr\xc3\xbc\xc3\x9f\t'x' %s ");
    MUST(f, state_log_read(f->s, b.id, 0, false, 1, note_severity, &severity, &total, &f->err));
    assert_int_equal(severity, LOG_ERROR);
}

static void test_the_log_of_a_build_that_is_over_stays(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    append(f, &b, "error");
    finish_build(f, &b, "w", ERR_INPUT);
    queue_build(f, "one");
    assert_string_equal(read_log(f, &b, 0, false, 10).texts, "error ");
}

static void test_lines_of_a_build_that_does_not_exist_are_refused(void **state)
{
    const struct log_line line = {.severity = LOG_INFO, .text = "x"};
    struct fixture *f = *state;

    assert_int_equal(state_log_append(f->s, "nosuchbuild", &line, 1, &f->err), -1);
    assert_int_equal(f->err.kind, ERR_SYSTEM);
}

static void test_very_many_lines_are_all_there(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    struct log_line *lines = calloc(1000, sizeof(*lines));
    const int64_t many = f->remote ? 10000 : 100000; /* each asks the server */
    struct reading r;

    for (int i = 0; i < 1000; i++)
        lines[i] =
            (struct log_line){.severity = LOG_INFO, .text = "a line of a usual length, or so"};
    for (int64_t i = 0; i < many / 1000; i++) {
        pass_time(f, 500); /* less than the batch took in unique times */
        MUST(f, state_log_append(f->s, b.id, lines, 1000, &f->err));
    }
    free(lines);
    r = read_log(f, &b, 0, false, INT64_MAX);
    assert_int_equal(r.n, many);
    assert_int_equal(r.total, many);
    assert_true(r.rising);
    r = read_log(f, &b, 0, true, 1000);
    assert_int_equal(r.n, 1000);
    assert_int_equal(r.first, many);
    assert_int_equal(r.last, many - 999);
    assert_true(r.falling);
    r = read_log(f, &b, many - 10, false, 1000);
    assert_int_equal(r.n, 10);
    assert_int_equal(r.first, many - 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_build_without_lines_has_an_empty_log),
        STATE_TEST(test_lines_come_back_in_order),
        STATE_TEST(test_lines_of_one_moment_have_different_times),
        STATE_TEST(test_times_rise_when_the_clock_is_set_back),
        STATE_TEST(test_a_limit_and_a_start_cut_the_reading),
        STATE_TEST(test_a_line_keeps_its_severity_and_bytes),
        STATE_TEST(test_the_log_of_a_build_that_is_over_stays),
        STATE_TEST(test_lines_of_a_build_that_does_not_exist_are_refused),
        STATE_TEST(test_very_many_lines_are_all_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
