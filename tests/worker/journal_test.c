/* The journal: whatever a build prints becomes clean lines, and nothing is lost without a word. */
#include "tests/worker/state_fixture.h"
#include "worker/build_log.h"
#include "worker/journal.h"
#include "worker/plain_log.h"

static void start(struct fixture *f, struct journal *j, struct build *b, uint64_t max)
{
    *b = queue_build(f, "one");
    journal_init(j, f->s, &clock_system, b->id, max);
}

static void join_line(void *self, const struct log_line *l)
{
    buf_adds(self, l->text);
    buf_addc(self, '|');
}

/* What is stored, lines divided by |. */
static const char *stored(struct fixture *f, struct journal *j, const struct build *b,
                          struct buf *out)
{
    int64_t total;

    MUST(f, journal_flush(j, &f->err));
    MUST(f, state_log_read(f->s, b->id, 0, false, 1000, join_line, out, &total, &f->err));
    return buf_str(out);
}

static void add(struct journal *j, const char *text)
{
    journal_add(j, LOG_INFO, text, strlen(text));
}

static void test_lines_are_cleaned_of_what_no_log_can_hold(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain|"},
        {"", "|"},
        {"a\tb", "a\tb|"},
        {"\033[1;31mred\033[0m", "red|"},
        {"\033]0;title\007shell", "shell|"},
        {"bell\007", "bell\xef\xbf\xbd|"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f|"},
        {"cut \xc3", "cut \xef\xbf\xbd|"},
        {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd|"},
        {"end\033", "end\xef\xbf\xbd|"},
        {"end\033[3", "end|"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLEANUP(journal_release) struct journal j;
        CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
        struct build b;

        start(f, &j, &b, 1 << 20);
        add(&j, rows[i].in);
        assert_string_equal(stored(f, &j, &b, &out), rows[i].out);
    }
}

static void test_a_secret_is_never_stored(void **state)
{
    struct fixture *f = *state;
    CLEANUP(journal_release) struct journal j;
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct build b;

    start(f, &j, &b, 1 << 20);
    journal_hide(&j, "hunter2hunter2");
    journal_hide(&j, "true"); /* too short to hide anything but the log */
    add(&j, "token=hunter2hunter2 again hunter2hunter2.");
    add(&j, "it is true");
    assert_string_equal(stored(f, &j, &b, &out), "token=*** again ***.|it is true|");
}

static void test_a_long_line_goes_on_in_the_next_without_cutting_a_character(void **state)
{
    struct fixture *f = *state;
    CLEANUP(journal_release) struct journal j;
    CLEANUP(buf_release) struct buf in = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct build b;
    size_t bars = 0;

    start(f, &j, &b, 1 << 20);
    buf_addc(&in, 'x');
    while (in.len < 20000)
        buf_adds(&in, "\xe2\x82\xac"); /* the euro sign */
    add(&j, buf_str(&in));
    (void)stored(f, &j, &b, &out);
    for (size_t i = 0; i < out.len; i++)
        bars += out.data[i] == '|';
    assert_int_equal(bars, 3);
    assert_int_equal(out.len - bars, in.len);
    assert_null(strstr(buf_str(&out), "\xef\xbf\xbd"));
}

static void test_a_full_log_says_so_once_and_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    CLEANUP(journal_release) struct journal j;
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct build b;

    start(f, &j, &b, 10);
    add(&j, "123456789");
    add(&j, "more");
    add(&j, "and more");
    assert_string_equal(stored(f, &j, &b, &out),
                        "123456789|[the log ends here: it reached its limit of 10 bytes]|");
}

static void test_what_a_build_failed_of_is_said_in_a_full_log_too(void **state)
{
    struct fixture *f = *state;
    CLEANUP(journal_release) struct journal j;
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct build b;

    start(f, &j, &b, 10);
    add(&j, "much too much");
    journal_addf(&j, LOG_ERROR, "it failed");
    journal_addf(&j, LOG_ERROR, "but for ever");
    assert_string_equal(stored(f, &j, &b, &out),
                        "[the log ends here: it reached its limit of 10 bytes]|it failed|");
}

static void test_lines_added_while_others_are_stored_come_after_them(void **state)
{
    struct fixture *f = *state;
    CLEANUP(journal_release) struct journal j;
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct build b;

    start(f, &j, &b, 1 << 20);
    add(&j, "one");
    MUST(f, journal_flush(&j, &f->err));
    add(&j, "two");
    add(&j, "three");
    MUST(f, journal_flush(&j, &f->err));
    MUST(f, journal_flush(&j, &f->err));
    add(&j, "four");
    assert_string_equal(stored(f, &j, &b, &out), "one|two|three|four|");
}

/* ---- BuildKit's plain form ---- */

static void feed(const struct builder_watch *watch, enum builder_event_kind kind, size_t stage,
                 size_t step, const char *text)
{
    const struct builder_event e = {.kind = kind, .stage = stage, .step = step, .text = text};

    watch->event(watch->self, &e);
}

/* The stored log with times taken out: "#2 0.064 x" and "#2 DONE 1.2s" lose their numbers. */
static void without_times(struct buf *b)
{
    char *to = b->data;

    for (const char *p = b->data; *p;) {
        size_t digits = strspn(p, "0123456789.");

        if (digits > 2 && memchr(p, '.', digits)) {
            *to++ = 'T';
            p += digits;
        } else {
            *to++ = *p++;
        }
    }
    *to = '\0';
}

static void test_steps_that_run_beside_each_other_are_told_apart(void **state)
{
    struct fixture *f = *state;
    CLEANUP(journal_release) struct journal j;
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct plain_log p = {.journal = &j};
    CLEANUP(build_log_release) struct build_log log = {.log = &p};
    const struct builder_watch watch = build_log_watch(&log);
    struct build b;

    start(f, &j, &b, 1 << 20);
    plain_log_begin(&p, "before");
    plain_log_done(&p);
    feed(&watch, BUILDER_EVENT_BEGIN, 0, 2, "[a 2/2] RUN make");
    feed(&watch, BUILDER_EVENT_BEGIN, 1, 0, "[stage-1 2/3] COPY x /");
    feed(&watch, BUILDER_EVENT_LINE, 0, 2, "cc -c x.c");
    feed(&watch, BUILDER_EVENT_CACHED, 1, 0, "");
    feed(&watch, BUILDER_EVENT_NOTE, 0, 2, "because y changed");
    feed(&watch, BUILDER_EVENT_DONE, 0, 2, "");
    feed(&watch, BUILDER_EVENT_LINE, 7, 7, "of a step that never began");
    feed(&watch, BUILDER_EVENT_BEGIN, 1, 1, "[stage-1 3/3] RUN false");
    feed(&watch, BUILDER_EVENT_FAILED, 0, 2, "no");
    (void)stored(f, &j, &b, &out);
    without_times(&out);
    assert_string_equal(buf_str(&out),
                        "#1 before|#1 DONE Ts|#2 [a 2/2] RUN make|#3 [stage-1 2/3] COPY x /|"
                        "#2 T cc -c x.c|#3 CACHED|#2 because y changed|#2 DONE Ts|"
                        "#4 [stage-1 3/3] RUN false|");
    assert_int_equal(p.number, 2); /* of which the failure will be told */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_are_cleaned_of_what_no_log_can_hold,
                                        fixture_in_memory, fixture_release),
        cmocka_unit_test_setup_teardown(test_a_secret_is_never_stored, fixture_in_memory,
                                        fixture_release),
        cmocka_unit_test_setup_teardown(
            test_a_long_line_goes_on_in_the_next_without_cutting_a_character, fixture_in_memory,
            fixture_release),
        cmocka_unit_test_setup_teardown(test_a_full_log_says_so_once_and_stays_as_it_is,
                                        fixture_in_memory, fixture_release),
        cmocka_unit_test_setup_teardown(test_what_a_build_failed_of_is_said_in_a_full_log_too,
                                        fixture_in_memory, fixture_release),
        cmocka_unit_test_setup_teardown(test_lines_added_while_others_are_stored_come_after_them,
                                        fixture_in_memory, fixture_release),
        cmocka_unit_test_setup_teardown(test_steps_that_run_beside_each_other_are_told_apart,
                                        fixture_in_memory, fixture_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
