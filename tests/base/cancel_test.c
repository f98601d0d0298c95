/* A run is cancelled from another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/process.h"

static int setup(void **state)
{
    static const struct cancel none = {.fd = -1};
    struct cancel *c = malloc(sizeof(*c));
    struct error err = ERROR_INIT;

    if (!c)
        return -1;
    *c = none;
    *state = c;
    return cancel_init(c, &err);
}

static int teardown(void **state)
{
    cancel_release(*state);
    free(*state);
    return 0;
}

static void run_sleep(const struct cancel *c, struct process_end *ret_end)
{
    struct argv argv = ARGV_INIT;
    struct process_request req = {
        .argv = &argv, .stdin_fd = -1, .timeout_ms = 90000, .grace_ms = 5000, .cancel = c};
    struct error err = ERROR_INIT;

    argv_push(&argv, "sleep", "100", NULL);
    if (process_run(&req, ret_end, &err) < 0)
        fail_msg("%s", err.msg);
    argv_release(&argv);
}

static void *throw_later(void *self)
{
    (void)poll(NULL, 0, 200);
    cancel_throw(self);
    return NULL;
}

static void test_another_thread_cancels_a_run(void **state)
{
    struct process_end end;
    char text[PROCESS_TEXT];
    int64_t start = clock_monotonic();
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, throw_later, *state), 0);
    run_sleep(*state, &end);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(end.how, PROCESS_CANCELLED);
    assert_int_equal(end.code, -1);
    assert_false(process_succeeded(&end));
    assert_in_range((clock_monotonic() - start) / NS_PER_MS, 200, 60000);
    process_describe(&end, text);
    assert_string_equal(text, "was cancelled");
}

static void test_thrown_before_the_start_it_still_cancels(void **state)
{
    struct process_end end;
    int64_t start = clock_monotonic();

    assert_false(cancel_is_thrown(*state));
    cancel_throw(*state);
    assert_true(cancel_is_thrown(*state));
    run_sleep(*state, &end);
    assert_int_equal(end.how, PROCESS_CANCELLED);
    assert_in_range((clock_monotonic() - start) / NS_PER_MS, 0, 60000);
}

static void test_once_thrown_it_stays_thrown(void **state)
{
    cancel_throw(*state);
    cancel_throw(*state);
    assert_true(cancel_is_thrown(*state));
    assert_true(cancel_is_thrown(*state));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_another_thread_cancels_a_run),
        TEST(test_thrown_before_the_start_it_still_cancels),
        TEST(test_once_thrown_it_stays_thrown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
