/* Many workers at one queue: threads on one connection, threads with one each, processes. */
#include "tests/worker/state_fixture.h"

#include <pthread.h>
#include <sys/wait.h>

#include "base/fs.h"

#define BUILDS  200
#define WORKERS 4
#define TARGETS 3
#define ROUNDS  100

static void fill_queue(struct fixture *f)
{
    char name[16];

    for (int i = 0; i < BUILDS; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        queue_build(f, name);
    }
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void assert_all_different(char (*ids)[BUILD_ID], size_t n)
{
    assert_int_equal(n, BUILDS);
    qsort(ids, n, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < n; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

/* ---- threads ---- */

struct claimer {
    struct state *s;
    pthread_t thread;
    char name[16];
    char ids[2 * BUILDS][BUILD_ID];
    size_t n;
    bool failed;
};

static void *claim_all(void *self)
{
    struct claimer *c = self;
    struct error err = ERROR_INIT;
    enum presence presence = PRESENT;
    struct build b;

    while (c->n < 2 * BUILDS) {
        if (state_claim(c->s, c->name, LEASE, &presence, &b, &err) < 0)
            c->failed = true;
        if (c->failed || presence == ABSENT)
            break;
        memcpy(c->ids[c->n++], b.id, BUILD_ID);
    }
    return NULL;
}

static void claim_with_threads(struct fixture *f, bool own_connections)
{
    struct claimer *c = calloc(WORKERS, sizeof(*c));
    char(*ids)[BUILD_ID] = calloc((size_t)2 * BUILDS * WORKERS, sizeof(*ids));
    size_t n = 0;
    bool failed = false;

    fill_queue(f);
    for (int i = 0; i < WORKERS; i++) {
        (void)snprintf(c[i].name, sizeof(c[i].name), "w%d", i);
        c[i].s = own_connections ? fixture_open(f) : f->s;
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&c[i].thread, NULL, claim_all, &c[i]), 0);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(c[i].thread, NULL);
        memcpy(ids[n], c[i].ids, c[i].n * sizeof(*ids));
        n += c[i].n;
        failed |= c[i].failed;
        if (own_connections)
            state_close(c[i].s);
    }
    free(c);
    assert_false(failed);
    assert_all_different(ids, n);
    free(ids);
}

static void test_threads_on_one_connection_never_get_the_same_build(void **state)
{
    claim_with_threads(*state, false);
}

static void test_threads_with_a_connection_each_never_get_the_same_build(void **state)
{
    claim_with_threads(*state, true);
}

/* ---- processes ---- */

/* In the child: the ids of all it can claim go to the pipe. */
static void claim_into(struct fixture *f, const char *worker, int fd)
{
    struct error err = ERROR_INIT;
    struct build b;

    fixture_reopen(f);
    while (claim_build(f, worker, &b))
        if (fs_write_all(fd, b.id, BUILD_ID, &err) < 0)
            _exit(1);
    fixture_close(f);
    _exit(0);
}

static void test_processes_never_get_the_same_build(void **state)
{
    struct fixture *f = *state;
    struct buf ids = BUF_INIT((size_t)10 * BUILDS * BUILD_ID);
    pid_t children[2];
    int fds[2];

    fill_queue(f);
    fixture_close(f);
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0)
            claim_into(f, i ? "w1" : "w0", fds[1]);
    }
    close(fds[1]);
    MUST(f, fs_read_fd(fds[0], &ids, &f->err));
    close(fds[0]);
    for (int i = 0; i < 2; i++)
        assert_child_succeeds(children[i]);
    assert_all_different((char(*)[BUILD_ID])ids.data, ids.len / BUILD_ID);
    buf_release(&ids);
    fixture_reopen(f);
}

/* ---- one running build per target ---- */

struct contest {
    struct state *s;
    atomic_int running[TARGETS];
    atomic_int doubled; /* seen two of one target */
    atomic_int succeeded;
    atomic_int cancelled;
    atomic_bool fed;
    atomic_bool failed;
};

static void run_one(struct contest *c, const struct build *b, const char *worker)
{
    const struct build_result result = {.kind = ERR_NONE, .digest = DIGEST};
    atomic_int *running = &c->running[b->name[0] - 'a'];
    struct error err = ERROR_INIT;
    enum lease_verdict verdict;
    enum build_phase phase;

    if (atomic_fetch_add(running, 1) != 0)
        atomic_fetch_add(&c->doubled, 1);
    usleep(300);
    atomic_fetch_sub(running, 1);
    if (state_finish(c->s, b->id, worker, &result, &verdict, &phase, &err) < 0)
        atomic_store(&c->failed, true);
    else if (phase == BUILD_SUCCEEDED)
        atomic_fetch_add(&c->succeeded, 1);
    else if (phase == BUILD_CANCELLED)
        atomic_fetch_add(&c->cancelled, 1);
}

static void *contend(void *self)
{
    struct contest *c = self;

    while (!atomic_load(&c->failed)) {
        bool last = atomic_load(&c->fed);
        struct error err = ERROR_INIT;
        enum presence presence = ABSENT;
        struct build b;
        char name[32];

        (void)snprintf(name, sizeof(name), "%lx", (unsigned long)pthread_self());
        if (state_claim(c->s, name, LEASE, &presence, &b, &err) < 0)
            atomic_store(&c->failed, true);
        if (presence == PRESENT) {
            run_one(c, &b, name);
        } else if (last) {
            break;
        } else {
            (void)state_wait(c->s, 5);
        }
    }
    return NULL;
}

static void test_a_target_never_has_two_running_builds(void **state)
{
    static const char *const names[TARGETS] = {"a", "b", "c"};
    struct fixture *f = *state;
    struct contest c = {.s = f->s};
    pthread_t threads[WORKERS];
    struct build last[TARGETS];

    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &c), 0);
    for (int i = 0; i < ROUNDS; i++) {
        for (int t = 0; t < TARGETS; t++)
            last[t] = queue_build(f, names[t]);
        usleep(i % 3 ? 0 : 1000);
    }
    atomic_store(&c.fed, true);
    state_wake(f->s);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_false(c.failed);
    assert_int_equal(c.doubled, 0);
    assert_true(c.succeeded + c.cancelled <= ROUNDS * TARGETS);
    for (int t = 0; t < TARGETS; t++)
        assert_int_equal(phase_of(f, &last[t]), BUILD_SUCCEEDED);
    assert_true(c.succeeded >= TARGETS);
}

/* ---- waiting ---- */

static int64_t wait_ms(struct fixture *f, int timeout_ms)
{
    int64_t begin = clock_monotonic();

    (void)state_wait(f->s, timeout_ms);
    return (clock_monotonic() - begin) / NS_PER_MS;
}

static void test_a_wait_for_nothing_ends_at_its_timeout(void **state)
{
    int64_t ms = wait_ms(*state, 50);

    assert_in_range(ms, 49, 30000);
}

static void test_a_build_that_comes_before_the_wait_ends_it_at_once(void **state)
{
    struct fixture *f = *state;
    struct build b;

    assert_false(claim_build(f, "w", &b));
    assert_false(state_wait(f->s, 1));
    queue_build(f, "one");
    assert_in_range(wait_ms(f, 60000), 0, 30000);
    assert_true(state_wait(f->s, 60000));
}

static void test_a_build_of_another_process_ends_the_next_wait(void **state)
{
    struct fixture *f = *state;
    struct state *own = f->s;

    f->s = fixture_open(f);
    queue_build(f, "one");
    state_close(f->s);
    f->s = own;
    assert_in_range(wait_ms(f, 60000), 0, 30000);
}

static void test_a_build_that_nobody_may_run_does_not_end_the_wait(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    queue_build(f, "one"); /* its target runs */
    assert_in_range(wait_ms(f, 20), 19, 30000);
    finish_build(f, &b, "w", ERR_NONE);
    b = must_claim(f, "w");
    finish_build(f, &b, "w", ERR_SYSTEM); /* pauses */
    assert_in_range(wait_ms(f, 20), 19, 30000);
    pass_time(f, NS_PER_SEC);
    assert_in_range(wait_ms(f, 60000), 0, 30000);
}

struct waker {
    struct state *s;
    atomic_bool done;
};

/* Again and again: one that comes before the wait is nothing to it. */
static void *wake_it(void *self)
{
    struct waker *w = self;

    while (!atomic_load(&w->done)) {
        usleep(30000);
        state_wake(w->s);
    }
    return NULL;
}

static void *accept_soon(void *self)
{
    usleep(30000);
    queue_build(self, "one");
    return NULL;
}

static void test_a_wait_ends_when_it_is_told_to_or_a_build_comes(void **state)
{
    struct fixture *f = *state;
    struct waker w = {.s = f->s};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wake_it, &w), 0);
    assert_in_range(wait_ms(f, 60000), 0, 30000);
    atomic_store(&w.done, true);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, accept_soon, f), 0);
    assert_in_range(wait_ms(f, 60000), 0, 30000);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_threads_on_one_connection_never_get_the_same_build),
        FILE_TEST(test_threads_with_a_connection_each_never_get_the_same_build),
        FILE_TEST(test_processes_never_get_the_same_build),
        STATE_TEST(test_a_target_never_has_two_running_builds),
        STATE_TEST(test_a_wait_for_nothing_ends_at_its_timeout),
        STATE_TEST(test_a_build_that_comes_before_the_wait_ends_it_at_once),
        FILE_TEST(test_a_build_of_another_process_ends_the_next_wait),
        STATE_TEST(test_a_build_that_nobody_may_run_does_not_end_the_wait),
        STATE_TEST(test_a_wait_ends_when_it_is_told_to_or_a_build_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
