/* A build's log as JSON lines: what each step came to, and what it printed. */
#include <jansson.h>

#include "tests/worker/state_fixture.h"
#include "worker/build_log.h"
#include "worker/log_json.h"

static void add_json(void *self, const struct log_line *l)
{
    struct error err = ERROR_INIT;

    assert_int_equal(log_line_json(l, self, &err), 0);
}

static void tell(const struct builder_watch *watch, size_t step, enum builder_event_kind kind,
                 const char *text, enum process_stream stream, uint64_t bytes, int code)
{
    const struct builder_event e = {
        .kind = kind, .step = step, .text = text, .stream = stream, .bytes = bytes, .code = code};

    watch->event(watch->self, &e);
}

/* The lines' members that do not depend on the clock: "1 running|…". */
static void check(const struct buf *lines, const char *expected)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(1 << 20);
    static const char *const keys[] = {"step", "state",    "stream", "name",
                                       "text", "exitCode", "bytes"};
    const char *at = buf_str(lines);

    while (*at) {
        size_t n = strcspn(at, "\n");
        json_auto_t *o = json_loadb(at, n, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(o);
        assert_non_null(json_object_get(o, "time"));
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            const json_t *value = json_object_get(o, keys[i]);

            if (json_is_string(value))
                buf_addf(&all, "%s ", json_string_value(value));
            else if (value)
                buf_addf(&all, "%lld ", (long long)json_integer_value(value));
        }
        if (json_object_get(o, "end"))
            assert_true(strcmp(json_string_value(json_object_get(o, "start")),
                               json_string_value(json_object_get(o, "end"))) <= 0);
        buf_adds(&all, "| ");
        at += n + 1;
    }
    assert_string_equal(buf_str(&all), expected);
}

static void test_each_step_tells_its_states_and_output(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    CLEANUP(journal_release) struct journal j;
    struct plain_log plain = {.journal = &j};
    CLEANUP(build_log_release) struct build_log log = {.log = &plain};
    const struct builder_watch watch = build_log_watch(&log);
    CLEANUP(buf_release) struct buf lines = BUF_INIT(1 << 20);
    int64_t total;

    journal_init(&j, f->s, &clock_system, b.id, 1 << 20);
    journal_hide(&j, "secret-of-mine");
    plain_log_begin(&plain, "[internal] unpack");
    journal_addf(&j, LOG_WARNING, "#1 warning: odd");
    plain_log_done(&plain);
    tell(&watch, 0, BUILDER_EVENT_BEGIN, "[1/3] RUN a", 0, 0, 0);
    tell(&watch, 0, BUILDER_EVENT_CACHED, "", 0, 0, 0);
    tell(&watch, 1, BUILDER_EVENT_BEGIN, "[2/3] RUN b", 0, 0, 0);
    tell(&watch, 1, BUILDER_EVENT_LINE, "#9 fake secret-of-mine", PROCESS_STDERR, 0, 0);
    tell(&watch, 1, BUILDER_EVENT_DONE, "", 0, 4096, 0);
    tell(&watch, 2, BUILDER_EVENT_BEGIN, "[3/3] RUN c", 0, 0, 0);
    tell(&watch, 2, BUILDER_EVENT_FAILED, "no", 0, 0, 42);
    plain_log_error(&plain, "%s", "no");
    journal_addf(&j, LOG_ERROR, "error: no");
    MUST(f, journal_flush(&j, &f->err));
    MUST(f, state_log_read(f->s, b.id, 0, false, 100, add_json, &lines, &total, &f->err));
    check(&lines, "1 running [internal] unpack | 1 warning: odd | 1 done 0 | "
                  "2 running [1/3] RUN a | 2 cached | "
                  "3 running [2/3] RUN b | 3 stderr #9 fake *** | 3 done 4096 | "
                  "4 running [3/3] RUN c | 4 failed no 42 | error: no | ");
}

static void test_a_long_line_is_told_in_pieces_of_its_step(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    CLEANUP(journal_release) struct journal j;
    CLEANUP(buf_release) struct buf lines = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
    const struct log_event event = {.step = 3, .stream = LOG_STDOUT, .skip = 3};
    int64_t total;

    for (int i = 0; i < 9000; i++)
        buf_addc(&text, 'x');
    journal_init(&j, f->s, &clock_system, b.id, 1 << 20);
    journal_say(&j, LOG_INFO, &event, "#3 %s", buf_str(&text));
    MUST(f, journal_flush(&j, &f->err));
    MUST(f, state_log_read(f->s, b.id, 0, false, 100, add_json, &lines, &total, &f->err));
    assert_int_equal(total, 2);
    assert_null(strchr(buf_str(&lines), '#'));
    assert_non_null(strstr(strchr(buf_str(&lines), '\n'), "\"step\":3,\"stream\":\"stdout\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_step_tells_its_states_and_output,
                                        fixture_in_memory, fixture_release),
        cmocka_unit_test_setup_teardown(test_a_long_line_is_told_in_pieces_of_its_step,
                                        fixture_in_memory, fixture_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
