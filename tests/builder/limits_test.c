/* Builds that take without end: each is ended, with its own outcome, and its neighbour is not hurt.
 *
 * The limits are small, so that they are reached quickly.  What only control groups hold is skipped
 * where this user can make none, as `kiln doctor` says there. */
#include "machine.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/jail_inside.h"

#define MIB (UINT64_C(1) << 20)

/* buildah itself needs a part of it. */
static const struct builder_limits small = {
    .memory = 256 * MIB, .pids = 150, .cpus = 1, .disk = 64 * MIB};

/* The machine's directory and bases with a builder of other limits. */
struct limited {
    struct machine m;
};

static void limited_init(struct limited *l, const struct machine *m, struct builder_limits limits)
{
    struct error err = ERROR_INIT;

    l->m = *m;
    l->m.config.limits = limits;
    l->m.config.timeout_ms = 200000; /* no test waits for it: a busy machine is slow */
    if (builder_open_as(&l->m.config, m->b->ids.users, &l->m.b, &err) < 0)
        fail_msg("%s", err.msg);
}

static void limited_release(struct limited *l)
{
    builder_free(l->m.b);
}

static void need(const struct machine *m, enum cgroup_controller c)
{
    if (m->b->site.parents[c])
        return;
    print_message("no limit here: %s\n", m->b->site.why[c].msg);
    skip();
}

/* The base, in the workspace's store. */
static int start(void **state)
{
    struct attempt a = {.images = ALPINE, .dockerfile = "FROM alpine:3.20\nRUN true\n"};

    if (machine_start(state) < 0)
        return -1;
    attempt_run(*state, &a);
    assert_built(&a);
    attempt_release(&a);
    return 0;
}

/* ---- an attack and its neighbour ---- */

struct neighbour {
    const struct machine *m;
    struct attempt a;
};

static void *build(void *self)
{
    struct neighbour *n = self;

    attempt_run(n->m, &n->a);
    return NULL;
}

/* Runs the attack under limits while another build, under the same, does honest work. */
static void attack(const struct machine *m, struct builder_limits limits, struct attempt *a)
{
    struct limited l;
    struct neighbour n = {.a = {.id = "neighbour",
                                .dockerfile = "FROM alpine:3.20\n"
                                              "RUN for i in 1 2 3 4 5 6 7 8 9; do "
                                              "dd if=/dev/zero of=/f bs=1M count=8 2>/dev/null && "
                                              "(echo $i | cat) && sleep 0.2; done; echo well\n"}};
    pthread_t thread;

    limited_init(&l, m, limits);
    n.m = &l.m;
    assert_int_equal(pthread_create(&thread, NULL, build, &n), 0);
    attempt_run(&l.m, a);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_built(&n.a);
    assert_says(&n.a, "\nwell\n");
    attempt_release(&n.a);
    limited_release(&l);
}

static void assert_ends_with(const struct machine *m, struct builder_limits limits,
                             const char *dockerfile, enum builder_outcome outcome)
{
    struct attempt a = {.id = "attack", .dockerfile = dockerfile};

    attack(m, limits, &a);
    assert_outcome(&a, "build", outcome);
    assert_int_equal(a.failure.step, 0);
    assert_non_null(strstr(a.failure.reason, "[2/2] RUN "));
    attempt_release(&a);
}

static void assert_ends(const struct machine *m, const char *dockerfile,
                        enum builder_outcome outcome)
{
    assert_ends_with(m, small, dockerfile, outcome);
}

/* ---- memory ---- */

#define HOG "awk 'BEGIN { s = \"x\"; while (1) s = s s }'"

static void test_a_build_that_allocates_without_end_is_out_of_memory(void **state)
{
    need(*state, CGROUP_MEMORY);
    assert_ends(*state, "FROM alpine:3.20\nRUN " HOG "\n", BUILDER_OUT_OF_MEMORY);
}

static void test_a_build_that_starts_anew_whenever_it_is_killed_is_stopped(void **state)
{
    need(*state, CGROUP_MEMORY);
    assert_ends(*state, "FROM alpine:3.20\nRUN while :; do " HOG "; done\n", BUILDER_OUT_OF_MEMORY);
}

static void test_files_in_memory_count_as_memory(void **state)
{
    struct attempt a = {.id = "attack",
                        .dockerfile =
                            "FROM alpine:3.20\n"
                            "RUN --mount=type=tmpfs,target=/m dd if=/dev/zero of=/m/f bs=1M\n"};

    need(*state, CGROUP_MEMORY);
    attack(*state, small, &a);
    assert_outcome(&a, "build", BUILDER_OUT_OF_MEMORY);
    attempt_release(&a);
}

static void test_a_build_that_survives_a_killed_process_is_built(void **state)
{
    struct attempt a = {.id = "attack",
                        .dockerfile = "FROM alpine:3.20\nRUN " HOG " || echo went on\n"};

    need(*state, CGROUP_MEMORY);
    attack(*state, small, &a);
    assert_built(&a);
    assert_says(&a, "\nwent on\n");
    attempt_release(&a);
}

/* ---- processes ---- */

static void test_a_build_that_forks_without_end_has_too_many_processes(void **state)
{
    need(*state, CGROUP_PIDS);
    assert_ends(*state,
                "FROM alpine:3.20\n"
                "RUN bomb() { while :; do bomb & done 2>/dev/null; }; bomb; sleep 60\n",
                BUILDER_TOO_MANY_PROCESSES);
}

/* Where nothing counts them together, each user of the jail may have so many. */
static void test_without_control_groups_processes_are_limited_for_each_user(void **state)
{
    const struct machine *m = *state;
    struct builder_limits limits = {.pids = 100};
    struct attempt a = {.dockerfile =
                            "FROM alpine:3.20\n"
                            "RUN for i in $(seq 150); do sleep 60 & done; echo started\n"};
    struct limited l;

    if (m->b->ids.users == JAIL_USERS_NONE)
        skip(); /* the host's root is not counted */
    limited_init(&l, m, limits);
    cgroup_site_release(&l.m.b->site);
    attempt_run(&l.m, &a);
    assert_outcome(&a, "build", BUILDER_FAILED);
    assert_says(&a, "can't fork");
    assert_does_not_say(&a, "\nstarted\n");
    attempt_release(&a);
    limited_release(&l);
}

/* ---- CPU ---- */

/* The number behind key in the group's cpu.stat. */
static uint64_t cpu_stat(const struct builder_job *job, const char *key)
{
    for (size_t i = 0; i < job->groups.n; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
        struct error absent = ERROR_INIT;
        char path[PATH_MAX];
        const char *at;

        (void)snprintf(path, sizeof(path), "%s/cpu.stat", job->groups.v[i]);
        if (fs_read_file(AT_FDCWD, path, &text, &absent) < 0)
            continue;
        at = strstr(buf_str(&text), key);
        return at ? strtoull(at + strlen(key), NULL, 10) : 0;
    }
    fail_msg("no group of the job has a cpu.stat");
    return 0;
}

static void test_a_build_gets_no_more_cpus_than_allowed(void **state)
{
    struct attempt a = {
        .dockerfile = "FROM alpine:3.20\n"
                      "RUN for i in 1 2 3 4; do (timeout 2 sh -c 'while :; do :; done') & done; "
                      "wait\n"};
    struct builder_job *job;
    struct error err = ERROR_INIT;
    struct limited l;

    need(*state, CGROUP_CPU);
    limited_init(&l, *state, small);
    assert_int_equal(builder_job_begin(l.m.b, "ws", "job", &job, &err), 0);
    attempt_run_on(job, &a);
    assert_built(&a);
    /* the kernel counts periods where a quota holds; being throttled needs more idle CPUs than a
     * busy machine has */
    assert_true(cpu_stat(job, "nr_periods ") > 0);
    builder_job_end(job);
    attempt_release(&a);
    limited_release(&l);
}

/* ---- disk ---- */

static void test_a_build_that_writes_without_end_fills_its_disk(void **state)
{
    assert_ends(*state, "FROM alpine:3.20\nRUN dd if=/dev/zero of=/f bs=1M; sleep 60\n",
                BUILDER_DISK_FULL);
}

/* Each is within the limit; the second is too much. */
static void test_steps_fill_it_together(void **state)
{
    struct attempt a = {.id = "attack",
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN dd if=/dev/zero of=/a bs=1M count=40 && echo one\n"
                                      "RUN dd if=/dev/zero of=/b bs=1M count=40 && echo two\n"
                                      "RUN echo never\n"};

    attack(*state, small, &a);
    assert_outcome(&a, "build", BUILDER_FAILED);
    assert_int_equal(a.failure.step, 1);
    assert_non_null(strstr(a.failure.reason, "disk full, limit 64 MiB"));
    assert_does_not_say(&a, "\nnever\n");
    attempt_release(&a);
}

/* A part of the limit, as on a busy machine with a slow disk files are not made fast. */
static void test_many_small_files_fill_it_too(void **state)
{
    struct builder_limits smaller = small;

    smaller.disk /= 4; /* the neighbour writes 8 MiB */
    assert_ends_with(*state, smaller,
                     "FROM alpine:3.20\n"
                     "RUN i=0; while :; do i=$((i+1)); echo >/f$i || break; done; sleep 60\n",
                     BUILDER_DISK_FULL);
}

static void test_nested_directories_hide_nothing(void **state)
{
    assert_ends(*state,
                "FROM alpine:3.20\nRUN while :; do mkdir d && cd d || break; done; "
                "dd if=/dev/zero of=f bs=1M; sleep 60\n",
                BUILDER_DISK_FULL);
}

static void test_a_file_without_a_name_counts_while_it_is_open(void **state)
{
    need(*state, CGROUP_PIDS);
    assert_ends(*state,
                "FROM alpine:3.20\n"
                "RUN exec 5>/f; rm /f; dd if=/dev/zero bs=1M >&5; sleep 60\n",
                BUILDER_DISK_FULL);
}

static void test_holes_and_second_links_take_no_disk(void **state)
{
    struct attempt a = {.id = "attack",
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN dd if=/dev/zero of=/a bs=1M count=30; "
                                      "for i in 1 2 3 4 5; do ln /a /a$i; done; "
                                      "dd if=/dev/zero of=/h bs=1 count=1 seek=99G; rm /h; "
                                      "sleep 4; rm /a*; echo done\n"};

    attack(*state, small, &a);
    assert_built(&a);
    assert_says(&a, "\ndone\n");
    attempt_release(&a);
}

static void make_file(const char *path, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char block[4096];

    memset(block, 'x', sizeof(block));
    for (size_t at = 0; at < size; at += sizeof(block))
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
}

static void test_use_is_counted_in_blocks_once_for_all_links(void **state)
{
    const struct machine *m = *state;
    char dir[128];
    char path[160];
    char other[160];

    (void)snprintf(dir, sizeof(dir), "%s/use", m->dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(jail_disk_use(dir, NULL, UINT64_MAX - 1), 0);
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    (void)snprintf(other, sizeof(other), "%s/two", dir);
    make_file(path, MIB);
    assert_in_range(jail_disk_use(dir, NULL, UINT64_MAX - 1), MIB, MIB + 65536);
    assert_int_equal(link(path, other), 0);
    assert_in_range(jail_disk_use(dir, NULL, UINT64_MAX - 1), MIB, MIB + 65536);
    (void)snprintf(other, sizeof(other), "%s/empty", dir);
    make_file(other, 0);
    assert_in_range(jail_disk_use(dir, NULL, UINT64_MAX - 1), MIB + 4096, MIB + 65536 + 4096);
}

/* ---- the machine's own disk ---- */

/* In a mount namespace of its own, where the builder's directory is a small tmpfs. */
static void build_on_a_small_disk(const struct machine *m)
{
    struct limited l;
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nRUN dd if=/dev/zero of=/f bs=1M\n"};

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", m->config.dir, "tmpfs", 0, "size=64m,mode=755") < 0)
        _exit(2);
    limited_init(&l, m, (struct builder_limits){.disk = 1024 * MIB});
    attempt_run(&l.m, &a);
    if (a.result == 0 && a.outcome == BUILDER_MACHINE_FULL)
        _exit(0);
    print_error("%s", buf_str(&a.log));
    _exit(1); /* not an assertion: it would go on with the parent's tests */
}

static void test_a_full_disk_of_the_machine_is_not_the_builds_limit(void **state)
{
    pid_t pid;
    int status;

    if (geteuid() != 0)
        skip();
    pid = fork();
    if (pid == 0)
        build_on_a_small_disk(*state);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- time and output ---- */

static void test_a_build_that_ignores_sigterm_and_sleeps_is_ended_by_its_time(void **state)
{
    struct attempt a = {.id = "attack",
                        .dockerfile = "FROM alpine:3.20\nRUN trap '' TERM INT HUP; sleep 600\n"};
    struct limited l;
    const int64_t began = clock_monotonic();

    limited_init(&l, *state, small);
    l.m.config.timeout_ms = 3000;
    attempt_run(&l.m, &a);
    assert_outcome(&a, "build", BUILDER_TIMED_OUT);
    assert_true(clock_monotonic() - began < 120 * NS_PER_SEC);
    attempt_release(&a);
    limited_release(&l);
}

static void test_much_output_harms_nobody(void **state)
{
    struct attempt a = {.id = "attack",
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN yes 'a line of the usual length, or nearly so' | "
                                      "head -c 200000000\n"};

    attack(*state, (struct builder_limits){.memory = 256 * MIB}, &a);
    assert_built(&a);
    attempt_release(&a);
}

/* ---- the groups ---- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void test_the_group_goes_with_the_job(void **state)
{
    const struct machine *m = *state;
    struct builder_job *job;
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    need(m, CGROUP_PIDS);
    assert_int_equal(builder_job_begin(m->b, "ws", "job", &job, &err), 0);
    assert_true(job->groups.n > 0);
    (void)snprintf(path, sizeof(path), "%s", job->groups.v[0]);
    assert_true(is_there(path));
    builder_job_end(job);
    assert_false(is_there(path));
}

static bool keep_none(void *self, const char *id)
{
    (void)self;
    (void)id;
    return false;
}

/* The group even holds a process, as when the kernel is not done with a killed jail. */
static void test_the_sweep_removes_the_groups_of_killed_workers(void **state)
{
    const struct machine *m = *state;
    struct builder_job *job;
    struct error err = ERROR_INIT;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        (void)poll(NULL, 0, 60000);
        _exit(0);
    }
    if (m->b->site.parents[CGROUP_PIDS]) {
        assert_int_equal(builder_job_begin(m->b, "ws", "lost", &job, &err), 0);
        assert_int_equal(cgroup_enter(&job->groups, pid, &err), 0);
        assert_int_equal(builder_sweep(m->b, keep_none, NULL, &err), 0);
        assert_true(is_there(job->groups.v[0])); /* somebody is at work in it */
        close(job->held);
        close(job->lock);
        assert_int_equal(builder_sweep(m->b, keep_none, NULL, &err), 0);
        for (size_t i = 0; i < job->groups.n; i++)
            assert_false(is_there(job->groups.v[i]));
        argv_release(&job->groups);
        free(job);
    } else {
        assert_int_equal(kill(pid, SIGKILL), 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_build_that_allocates_without_end_is_out_of_memory),
        cmocka_unit_test(test_a_build_that_starts_anew_whenever_it_is_killed_is_stopped),
        cmocka_unit_test(test_files_in_memory_count_as_memory),
        cmocka_unit_test(test_a_build_that_survives_a_killed_process_is_built),
        cmocka_unit_test(test_a_build_that_forks_without_end_has_too_many_processes),
        cmocka_unit_test(test_without_control_groups_processes_are_limited_for_each_user),
        cmocka_unit_test(test_a_build_gets_no_more_cpus_than_allowed),
        cmocka_unit_test(test_a_build_that_writes_without_end_fills_its_disk),
        cmocka_unit_test(test_steps_fill_it_together),
        cmocka_unit_test(test_many_small_files_fill_it_too),
        cmocka_unit_test(test_nested_directories_hide_nothing),
        cmocka_unit_test(test_a_file_without_a_name_counts_while_it_is_open),
        cmocka_unit_test(test_holes_and_second_links_take_no_disk),
        cmocka_unit_test(test_use_is_counted_in_blocks_once_for_all_links),
        cmocka_unit_test(test_a_full_disk_of_the_machine_is_not_the_builds_limit),
        cmocka_unit_test(test_a_build_that_ignores_sigterm_and_sleeps_is_ended_by_its_time),
        cmocka_unit_test(test_much_output_harms_nobody),
        cmocka_unit_test(test_the_group_goes_with_the_job),
        cmocka_unit_test(test_the_sweep_removes_the_groups_of_killed_workers),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, start, machine_stop);
}
