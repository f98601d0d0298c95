/* Builds that do not end by themselves, and what is left of them: nothing. */
#include "machine.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"

#define RUNC "/usr/sbin/runc"

/* A RUN that says "ready" and sleeps under a name that nobody else uses. */
struct sleeper {
    char marker[32];
    char dockerfile[256];
};

static void sleeper_init(struct sleeper *s)
{
    (void)snprintf(s->marker, sizeof(s->marker), "88%d%ld", getpid(), random() % 100000);
    (void)snprintf(s->dockerfile, sizeof(s->dockerfile),
                   "FROM alpine:3.20\nRUN (setsid sleep %s >/dev/null 2>&1 </dev/null &); "
                   "echo ready; exec sleep 600\n",
                   s->marker);
}

static bool is_ready(const char *line)
{
    return strcmp(line, "ready") == 0;
}

static void cancel_when_ready(struct attempt *a, const char *line)
{
    if (is_ready(line))
        cancel_throw(a->cancel);
}

static void test_a_cancelled_build_leaves_no_process(void **state)
{
    struct sleeper s;
    struct cancel cancel;
    struct error err = ERROR_INIT;
    struct attempt a = {.images = ALPINE,
                        .dockerfile = s.dockerfile,
                        .cancel = &cancel,
                        .on_line = cancel_when_ready};

    sleeper_init(&s);
    assert_int_equal(cancel_init(&cancel, &err), 0);
    attempt_run(*state, &a);
    assert_outcome(&a, "build", BUILDER_CANCELLED);
    assert_int_equal(process_with(s.marker), 0);
    cancel_release(&cancel);
    attempt_release(&a);
}

/* With a time limit within which it gets to its command: a longer one on a busy machine. */
static void run_hastily(const struct machine *m, struct attempt *a)
{
    struct machine hasty = *m;
    struct error err = ERROR_INIT;

    for (hasty.config.timeout_ms = 2500; hasty.config.timeout_ms < m->config.timeout_ms;
         hasty.config.timeout_ms *= 3) {
        attempt_release(a);
        assert_int_equal(builder_open_as(&hasty.config, m->b->ids.users, &hasty.b, &err), 0);
        attempt_run(&hasty, a);
        builder_free(hasty.b);
        if (strstr(buf_str(&a->log), "ready"))
            return;
    }
}

static void test_a_build_that_takes_too_long_leaves_no_process(void **state)
{
    const struct machine *m = *state;
    struct sleeper s;
    struct attempt first = {.images = ALPINE, .dockerfile = "FROM alpine:3.20\nRUN true\n"};
    struct attempt a = {.dockerfile = s.dockerfile};

    sleeper_init(&s);
    attempt_run(m, &first);
    assert_built(&first);
    run_hastily(m, &a);
    assert_outcome(&a, "build", BUILDER_TIMED_OUT);
    assert_says(&a, "ready");
    assert_int_equal(process_with(s.marker), 0);
    attempt_release(&first);
    attempt_release(&a);
}

/* ---- killed from outside ---- */

/* runc, the executor that started it, pid 1 of the jail, and outer: each is the next one's child.
 */
static void kill_above(const char *line, int generations)
{
    pid_t pid;

    if (!is_ready(line))
        return;
    pid = process_of_ours(RUNC);
    for (; generations > 0; generations--)
        pid = parent_of(pid);
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void kill_runc(struct attempt *a, const char *line)
{
    (void)a;
    kill_above(line, 0);
}

static void kill_executor(struct attempt *a, const char *line)
{
    (void)a;
    kill_above(line, 1);
}

static void kill_jail(struct attempt *a, const char *line)
{
    (void)a;
    kill_above(line, 2);
}

static void kill_outer(struct attempt *a, const char *line)
{
    (void)a;
    kill_above(line, 3);
}

static void test_a_build_that_is_killed_is_neither_a_success_nor_the_users_fault(void **state)
{
    static void (*const kills[])(struct attempt *, const char *) = {kill_executor, kill_jail,
                                                                    kill_outer};

    for (size_t i = 0; i < sizeof(kills) / sizeof(kills[0]); i++) {
        struct sleeper s;
        struct attempt a = {.images = ALPINE, .dockerfile = s.dockerfile, .on_line = kills[i]};

        sleeper_init(&s);
        a.self = s.marker;
        attempt_run(*state, &a);
        assert_outcome(&a, "build", BUILDER_KILLED);
        assert_true(processes_are_gone(s.marker));
        attempt_release(&a);
    }
}

static void test_a_runc_that_is_killed_is_this_machines_fault(void **state)
{
    struct sleeper s;
    struct attempt a = {.images = ALPINE, .dockerfile = s.dockerfile, .on_line = kill_runc};

    sleeper_init(&s);
    a.self = s.marker;
    attempt_run(*state, &a);
    assert_int_equal(a.result, -1);
    assert_int_equal(a.err.kind, ERR_SYSTEM);
    assert_non_null(strstr(a.err.msg, "runc was killed by signal 9"));
    assert_true(processes_are_gone(s.marker));
    attempt_release(&a);
}

/* Nobody can tell whose signal it was; for want of memory it was not, as that is counted. */
static void test_a_command_that_is_killed_and_not_for_want_of_memory_has_failed(void **state)
{
    static const char *const commands[] = {"sh -c 'kill -9 $$'; exit $?", "exit 137",
                                           "sleep 60 & kill -9 $!; wait $!"};

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char text[128];
        struct attempt a = {.images = ALPINE, .dockerfile = text};

        (void)snprintf(text, sizeof(text), "FROM alpine:3.20\nRUN %s\n", commands[i]);
        attempt_run(*state, &a);
        assert_outcome(&a, "build", BUILDER_FAILED);
        assert_int_equal(a.failure.exit_code, 137);
        assert_non_null(strstr(a.failure.reason, "did not complete successfully: exit code: 137"));
        attempt_release(&a);
    }
}

/* ---- what is left ---- */

static bool keep_some(void *self, const char *id)
{
    return strcmp(id, self) == 0;
}

static bool keep_none(void *self, const char *id)
{
    (void)self;
    (void)id;
    return false;
}

static bool exists(const struct machine *m, const char *path)
{
    char full[256];
    struct stat st;

    (void)snprintf(full, sizeof(full), "%s/%s", m->config.dir, path);
    return lstat(full, &st) == 0;
}

static void test_the_end_of_a_job_removes_whatever_a_build_made(void **state)
{
    const struct machine *m = *state;
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nRUN mkdir -p /a/b/c && touch /a/b/c/d && "
                                      "chown -R 123:456 /a && chmod 000 /a/b/c /a/b /a\n"
                                      "RUN --mount=type=cache,target=/c,id=x mkdir -m 0 /c/x\n"};

    attempt_run(m, &a);
    assert_built(&a);
    assert_false(exists(m, "jobs/job"));
    assert_false(exists(m, "cache/ws/tmp/job"));
    attempt_release(&a);
}

static void test_a_killed_process_leaves_a_job_that_a_sweep_removes(void **state)
{
    const struct machine *m = *state;
    struct sleeper s;
    struct builder_job *kept;
    struct error err = ERROR_INIT;
    pid_t worker;

    sleeper_init(&s);
    assert_int_equal(builder_job_begin(m->b, "ws", "kept", &kept, &err), 0);
    worker = fork();
    if (worker == 0) {
        struct attempt a = {.id = "lost", .images = ALPINE, .dockerfile = s.dockerfile};

        attempt_run(m, &a);
        _exit(0);
    }
    for (int i = 0; i < 15000 && process_with(s.marker) == 0; i++)
        (void)poll(NULL, 0, 20);
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    assert_true(processes_are_gone(s.marker));
    assert_true(exists(m, "jobs/lost/out"));
    assert_true(exists(m, "cache/ws/tmp/lost/context"));
    assert_int_equal(builder_sweep(m->b, keep_some, (char[]){"kept"}, &err), 0);
    assert_false(exists(m, "jobs/lost"));
    assert_false(exists(m, "cache/ws/tmp/lost"));
    assert_true(exists(m, "jobs/kept"));
    assert_true(exists(m, "cache/ws/tmp/kept"));
    builder_job_end(kept);
    assert_int_equal(builder_sweep(m->b, keep_none, NULL, &err), 0);
}

static void test_a_job_begins_empty_whatever_an_earlier_try_left(void **state)
{
    const struct machine *m = *state;
    static const char *const files[] = {"old", "x", NULL};
    struct attempt first = {.images = ALPINE,
                            .files = files,
                            .dockerfile = "FROM alpine:3.20\nRUN touch /x && chown 9:9 /x\n"};
    struct attempt second = {.dockerfile = "FROM alpine:3.20\nCOPY . /c\nRUN [ ! -e /c/old ]\n"};
    struct builder_job *job;
    struct error err = ERROR_INIT;

    assert_int_equal(builder_job_begin(m->b, "ws", "job", &job, &err), 0);
    attempt_run_on(job, &first);
    assert_built(&first);
    argv_release(&job->groups); /* as if the process had died */
    free(job);
    attempt_run(m, &second);
    assert_built(&second);
    attempt_release(&first);
    attempt_release(&second);
}

static void test_names_that_are_paths_are_refused(void **state)
{
    static const char *const names[] = {"", "..", "a/b", "A", "-a", "a.b", "a_b"};
    const struct machine *m = *state;
    struct builder_job *job;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(builder_job_begin(m->b, names[i], "id", &job, &err), -1);
        assert_int_equal(builder_job_begin(m->b, "ws", names[i], &job, &err), -1);
    }
}

/* ---- two at once ---- */

struct racer {
    const struct machine *m;
    struct attempt a;
};

static void *race(void *self)
{
    struct racer *r = self;

    attempt_run(r->m, &r->a);
    return NULL;
}

static void test_builds_at_once_do_not_meet(void **state)
{
    static const char *const ids[] = {"one", "two", "three"};
    static const char *const files[3][3] = {
        {"who", "one", NULL}, {"who", "two", NULL}, {"who", "three", NULL}};
    struct racer racers[3];
    pthread_t threads[3];

    for (size_t i = 0; i < 3; i++) {
        racers[i] = (struct racer){
            .m = *state,
            .a = {.id = ids[i],
                  .images = ALPINE,
                  .files = files[i],
                  .dockerfile =
                      "FROM alpine:3.20\nCOPY who /who\nRUN sleep 1 & sleep 0.5; cat /who; echo; "
                      "ps -o args | grep -c '^sleep 1$'\n",
                  .push_to = i == 0   ? "ws/race/one"
                             : i == 1 ? "ws/race/two"
                                      : "ws/race/three"}};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        char said[16];

        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_built(&racers[i].a);
        (void)snprintf(said, sizeof(said), "\n%s\n1\n", ids[i]);
        assert_says(&racers[i].a, said);
        attempt_release(&racers[i].a);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cancelled_build_leaves_no_process),
        cmocka_unit_test(test_a_build_that_takes_too_long_leaves_no_process),
        cmocka_unit_test(test_a_build_that_is_killed_is_neither_a_success_nor_the_users_fault),
        cmocka_unit_test(test_a_runc_that_is_killed_is_this_machines_fault),
        cmocka_unit_test(test_a_command_that_is_killed_and_not_for_want_of_memory_has_failed),
        cmocka_unit_test(test_the_end_of_a_job_removes_whatever_a_build_made),
        cmocka_unit_test(test_a_killed_process_leaves_a_job_that_a_sweep_removes),
        cmocka_unit_test(test_a_job_begins_empty_whatever_an_earlier_try_left),
        cmocka_unit_test(test_names_that_are_paths_are_refused),
        cmocka_unit_test(test_builds_at_once_do_not_meet),
    };

    builder_jail_main(argc, argv, machine_inner);
    srandom((unsigned)getpid());
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
