/* What is left for later builds stays within its bounds. */
#include "cache_scene.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/cache_keeper.h"
#include "builder/cache_measure.h"

#define MIB UINT64_C(1048576)

/* The machine with a builder of its own, which has these bounds. */
static void bound(const struct machine *m, uint64_t cache_max, uint64_t bases_max,
                  struct machine *ret)
{
    struct error err = ERROR_INIT;

    *ret = *m;
    ret->config.cache_max = cache_max;
    ret->config.bases_max = bases_max;
    assert_int_equal(builder_open_as(&ret->config, m->b->ids.users, &ret->b, &err), 0);
}

static uint64_t size_of(const struct machine *m, const char *workspace)
{
    char path[PATH_MAX];

    scene_path(m, "cache", workspace, "", path);
    return cache_measure(AT_FDCWD, path);
}

/* ---- bounds ---- */

/* Files of several owners, which do not compress. */
static void test_many_builds_stay_within_the_bounds(void **state)
{
    struct machine m;

    bound(*state, 20 * MIB, 0, &m);
    for (int i = 0; i < 12; i++) {
        char dockerfile[512], n[8];

        (void)snprintf(n, sizeof(n), "%d", i);
        (void)snprintf(dockerfile, sizeof(dockerfile),
                       "FROM alpine:3.20\nRUN echo kept >/k\nRUN head -c 2000000 /dev/urandom >/f%s"
                       " && chown node /f%s && mkdir -m 700 /d && chown node /d && touch /d/x\n",
                       n, n);
        scene_build(*state, "bounds", dockerfile);
    }
    assert_true(size_of(&m, "bounds") > 40 * MIB);
    scene_sweep(&m, scene_keep_none);
    assert_true(size_of(&m, "bounds") <= 20 * MIB);
    assert_true(size_of(&m, "bounds") > 8 * MIB);
    assert_int_equal(scene_count(&m, "bounds", "/inputs"), scene_count(&m, "bounds", "/records"));
    /* the step that all of them used is the youngest but for the last one's own */
    assert_int_equal(
        scene_count_cached(&m, "bounds", "FROM alpine:3.20\nRUN echo kept >/k\nRUN true\n"), 1);
    builder_free(m.b);
}

static uint64_t disk_of(const struct machine *m, const char *workspace)
{
    char lock[PATH_MAX], boot[PATH_MAX];

    scene_path(m, "cache", workspace, ".lock", lock);
    scene_path(m, "cache", workspace, ".boot", boot);
    return size_of(m, workspace) + cache_measure(AT_FDCWD, lock) + cache_measure(AT_FDCWD, boot);
}

static void read_use(const struct machine *m, const char *workspace, struct cache_use *ret)
{
    CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX];

    scene_path(m, "cache", workspace, ".lock", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    cache_budget_read(fd, ret);
}

/* Directories, what is noted beside the steps, and a file that several names have. */
static void test_no_less_is_counted_than_lies_there(void **state)
{
    const struct machine *m = *state;
    struct cache_use use;

    scene_build(
        m, "counted",
        "FROM alpine:3.20 AS one\nRUN mkdir /tree && cd /tree && mkdir -p a/b/c d/e f && touch "
        "f/x && "
        "ln -s x f/y && head -c 100000 /dev/urandom >f/z && ln f/z d/z\n"
        "FROM alpine:3.20\nCOPY --from=one /tree /opt/made/on/the/way/\nWORKDIR /a/b/c\n"
        "RUN --mount=type=cache,target=/c mkdir /c/d && echo x >/c/d/x\n");
    scene_sweep(m, scene_keep_none);
    read_use(m, "counted", &use);
    if (use.cache < disk_of(m, "counted") || use.cache > disk_of(m, "counted") + MIB / 4)
        fail_msg("%" PRIu64 " bytes counted, %" PRIu64 " there", use.cache, disk_of(m, "counted"));
}

static void test_what_is_noted_beside_the_steps_is_within_the_bound(void **state)
{
    struct error err = ERROR_INIT;
    struct machine m;

    bound(*state, MIB, 0, &m);
    scene_build(*state, "noted", "FROM alpine:3.20\nRUN echo x >/x\n");
    for (int i = 0; i < 300; i++) {
        char part[96], path[PATH_MAX];

        (void)snprintf(part, sizeof(part), "/%s/%064d", i % 2 ? "builds" : "packages", i);
        scene_path(&m, "cache", "noted", part, path);
        assert_int_equal(fs_write_file(AT_FDCWD, path, "x", 1, 0600, &err), 0);
    }
    assert_true(disk_of(&m, "noted") > MIB);
    scene_sweep(&m, scene_keep_none);
    assert_true(disk_of(&m, "noted") <= MIB);
    assert_true(scene_count(&m, "noted", "/builds") > 100);
    builder_free(m.b);
}

static void test_what_was_not_used_for_the_longest_goes_first(void **state)
{
    static const char old[] = "FROM alpine:3.20\nRUN head -c 3000000 /dev/urandom >/old\n";
    static const char mid[] = "FROM alpine:3.20\nRUN head -c 3000000 /dev/urandom >/mid\n";
    static const char new[] = "FROM alpine:3.20\nRUN head -c 3000000 /dev/urandom >/new\n";
    struct machine m;

    bound(*state, 16 * MIB, 0, &m);
    scene_build(*state, "oldest", old);
    scene_build(*state, "oldest", mid);
    scene_build(*state, "oldest", new);
    assert_int_equal(scene_count_cached(*state, "oldest", old), 1); /* it is used once more */
    scene_sweep(&m, scene_keep_none);
    assert_int_equal(scene_count_cached(&m, "oldest", old), 1);
    assert_int_equal(scene_count_cached(&m, "oldest", new), 1);
    assert_int_equal(scene_count_cached(&m, "oldest", mid), 0);
    builder_free(m.b);
}

static void test_cache_mounts_count_and_go_too(void **state)
{
    static const char dockerfile[] =
        "FROM alpine:3.20\n"
        "RUN --mount=type=cache,target=/c head -c 6000000 /dev/urandom >/c/f; ls /c\n";
    struct machine m;

    bound(*state, 4 * MIB, 0, &m);
    scene_build(*state, "mounts", dockerfile);
    assert_int_equal(scene_count(&m, "mounts", "/mounts"), 1);
    scene_sweep(&m, scene_keep_none);
    assert_int_equal(scene_count(&m, "mounts", "/mounts"), 0);
    scene_build(&m, "mounts", dockerfile);
    builder_free(m.b);
}

static void test_room_is_made_by_hand_unless_a_build_runs(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN head -c 3000000 /dev/urandom >/f\n";
    const struct machine *m = *state;
    struct builder_job *job;
    struct error err = ERROR_INIT;
    uint64_t freed;
    bool busy;

    scene_build(m, "by-hand", dockerfile);
    assert_int_equal(builder_job_begin(m->b, "by-hand", "other", &job, &err), 0);
    assert_int_equal(builder_prune(m->b, "by-hand", 0, true, &busy, &freed, &err), 0);
    assert_true(busy && freed == 0);
    builder_job_end(job);
    assert_int_equal(builder_prune(m->b, "by-hand", 100 * MIB, false, &busy, &freed, &err), 0);
    assert_int_equal(scene_count_cached(m, "by-hand", dockerfile), 1);
    assert_int_equal(builder_prune(m->b, "by-hand", 0, true, &busy, &freed, &err), 0);
    assert_true(!busy && freed > 3000000);
    assert_int_equal(scene_count(m, "by-hand", "/records"), 0);
    assert_int_equal(builder_prune(m->b, "by-hand", 0, true, &busy, &freed, &err), 0);
}

/* As between fork and exec in another thread. */
static void test_a_job_s_locks_end_with_it_though_a_forked_process_has_them_open(void **state)
{
    const struct machine *m = *state;
    struct builder_job *job;
    struct error err = ERROR_INIT;
    uint64_t freed;
    bool busy;
    pid_t child;

    assert_int_equal(builder_job_begin(m->b, "forked", "job", &job, &err), 0);
    child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    builder_job_end(job);
    assert_int_equal(builder_prune(m->b, "forked", 0, true, &busy, &freed, &err), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(busy);
}

/* As if all that is in one of the cache's directories had been used at that time. */
static void set_used(const struct machine *m, const char *workspace, const char *part, time_t when)
{
    const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP_CLOSE int dir = -1;
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    scene_path(m, "cache", workspace, part, path);
    assert_int_equal(fs_open_dir(AT_FDCWD, path, &dir, &err), 0);
    assert_int_equal(fs_list(dir, ".", &names, &err), 0);
    for (size_t i = 0; i < names.n; i++)
        assert_int_equal(utimensat(dir, names.v[i], times, AT_SYMLINK_NOFOLLOW), 0);
}

static void age(const struct machine *m, const char *workspace, const char *part)
{
    set_used(m, workspace, part, 1000000000);
}

/* A workspace may never be without a build. */
static void test_what_no_running_build_has_used_goes_while_builds_run(void **state)
{
    static const char old[] = "FROM alpine:3.20\nRUN head -c 3000000 /dev/urandom >/f\n"
                              "RUN --mount=type=cache,target=/c echo x >/c/x\n";
    static const char new[] = "FROM alpine:3.20\nRUN head -c 3000000 /dev/urandom >/g\n";
    struct machine m;
    struct builder_job *job;
    struct error err = ERROR_INIT;

    bound(*state, 1, 0, &m);
    scene_build(*state, "along", old);
    age(&m, "along", "/records");
    age(&m, "along", "/mounts");
    assert_int_equal(builder_job_begin(m.b, "along", "other", &job, &err), 0);
    scene_build(*state, "along", new);
    scene_sweep(&m, scene_keep_all);
    assert_int_equal(scene_count(&m, "along", "/records"), 1);
    assert_int_equal(scene_count(&m, "along", "/diffs"), 1);
    assert_int_equal(scene_count(&m, "along", "/mounts"), 0);
    assert_int_equal(scene_count(&m, "along", "/tmp"), 1); /* the job's own */
    assert_int_equal(scene_count_cached(*state, "along", new), 1);
    builder_job_end(job);
    builder_free(m.b);
}

/* What is old is not what a build has found again. */
static void test_what_a_running_build_has_used_stays_whole(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN echo x >/x\n";
    struct machine m;
    struct builder_job *job;
    struct error err = ERROR_INIT;

    bound(*state, 1, 0, &m);
    scene_build(*state, "used", dockerfile);
    age(&m, "used", "/records");
    assert_int_equal(builder_job_begin(m.b, "used", "other", &job, &err), 0);
    assert_int_equal(scene_count_cached(*state, "used", dockerfile), 1);
    scene_sweep(&m, scene_keep_all);
    assert_int_equal(scene_count(&m, "used", "/records"), 1);
    assert_int_equal(scene_count(&m, "used", "/diffs"), 1);
    assert_int_equal(scene_count(&m, "used", "/blobs"), 1);
    builder_job_end(job);
    builder_free(m.b);
}

/* It began a minute ago, by a clock that was an hour ahead, and was set right then. */
static void test_what_a_running_build_has_used_stays_though_the_clock_is_set_back(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN echo y >/y\n";
    const time_t now = time(NULL);
    const struct timespec ahead[2] = {{.tv_sec = now + 3540}, {.tv_sec = now + 3540}};
    struct machine m;
    struct builder_job *job;
    struct error err = ERROR_INIT;
    char begun[PATH_MAX], text[32];

    bound(*state, 1, 0, &m);
    scene_build(*state, "back", dockerfile);
    assert_int_equal(builder_job_begin(m.b, "back", "other", &job, &err), 0);
    scene_path(&m, "jobs", "other", "/begun", begun);
    (void)snprintf(text, sizeof(text), "%lld", (long long)(clock_monotonic() - 60 * NS_PER_SEC));
    assert_int_equal(fs_write_file(AT_FDCWD, begun, text, strlen(text), 0600, &err), 0);
    assert_int_equal(utimensat(AT_FDCWD, begun, ahead, 0), 0);
    set_used(&m, "back", "/records", now - 30);
    scene_sweep(&m, scene_keep_all);
    assert_int_equal(scene_count(&m, "back", "/records"), 1);
    assert_int_equal(scene_count(&m, "back", "/diffs"), 1);
    builder_job_end(job);
    builder_free(m.b);
}

static void test_nothing_goes_that_a_build_may_just_be_using(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN head -c 3000000 /dev/urandom >/f\n";
    struct machine m;
    struct builder_job *job;
    struct error err = ERROR_INIT;

    bound(*state, 1, 0, &m);
    scene_build(*state, "busy", dockerfile);
    assert_int_equal(builder_job_begin(m.b, "busy", "other", &job, &err), 0);
    scene_sweep(&m, scene_keep_all);
    assert_int_equal(scene_count(&m, "busy", "/diffs"), 1);
    builder_job_end(job);
    scene_sweep(&m, scene_keep_all);
    assert_int_equal(scene_count(&m, "busy", "/diffs"), 0);
    assert_int_equal(scene_count(&m, "busy", "/blobs"), 0);
    assert_int_equal(scene_count(&m, "busy", "/records"), 0);
    scene_build(&m, "busy", dockerfile);
    builder_free(m.b);
}

/* As a build that was killed between a diff and its record leaves it. */
static void test_what_no_record_names_goes(void **state)
{
    const struct machine *m = *state;
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    scene_build(m, "unnamed", "FROM alpine:3.20\nRUN echo x >/x\n");
    scene_path(m, "cache", "unnamed",
               "/diffs/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff/d", path);
    assert_int_equal(fs_mkdirs(path, 0700, &err), 0);
    scene_path(m, "cache", "unnamed", "/blobs/half-written", path);
    assert_int_equal(fs_write_file(AT_FDCWD, path, "x", 1, 0600, &err), 0);
    scene_sweep(m, scene_keep_none);
    assert_int_equal(scene_count(m, "unnamed", "/diffs"), 1);
    assert_int_equal(scene_count(m, "unnamed", "/blobs"), 1);
    assert_int_equal(scene_count_cached(m, "unnamed", "FROM alpine:3.20\nRUN echo x >/x\n"), 1);
}

/* A jail's root owns the cache: what it may make of it leads nowhere. */
static void test_a_cache_of_links_is_not_followed(void **state)
{
    const struct machine *m = *state;
    struct error err = ERROR_INIT;
    char path[PATH_MAX], to[PATH_MAX], precious[PATH_MAX + 16];

    scene_build(m, "links", "FROM alpine:3.20\nRUN echo x >/x\n");
    scene_path(m, "precious", "", "", to);
    (void)snprintf(precious, sizeof(precious), "%s/file", to);
    assert_int_equal(fs_mkdirs(to, 0700, &err), 0);
    assert_int_equal(fs_write_file(AT_FDCWD, precious, "x", 1, 0600, &err), 0);
    scene_path(m, "cache", "links", "/diffs", path);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path, &err), 0);
    assert_int_equal(symlink(to, path), 0);
    assert_int_equal(builder_sweep(m->b, scene_keep_none, NULL, &err), -1);
    assert_int_equal(access(precious, F_OK), 0);
    scene_path(m, "cache", "links", "", path);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path, &err), 0);
}

static void test_a_base_store_that_is_too_large_or_not_used_goes_and_is_fetched_anew(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN true\n";
    const struct timespec long_ago[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct machine m;
    char path[PATH_MAX];

    scene_build(*state, "bases", dockerfile);
    scene_path(*state, "bases", "bases", "", path);
    scene_sweep(*state, scene_keep_none);
    assert_int_equal(access(path, F_OK), 0);
    bound(*state, 0, MIB, &m);
    scene_sweep(&m, scene_keep_none);
    assert_int_equal(access(path, F_OK), -1);
    builder_free(m.b);
    assert_int_equal(scene_count_cached(*state, "bases", dockerfile), 1);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    scene_sweep(*state, scene_keep_none);
    assert_int_equal(access(path, F_OK), -1);
    scene_build(*state, "bases", dockerfile);
}

/* Whoever uses the old one keeps it; whoever comes later gets another. */
static void test_a_base_store_that_is_too_large_is_followed_by_another_while_builds_run(
    void **state)
{
    static const char *const nothing[] = {NULL};
    static const char dockerfile[] = "FROM alpine:3.20\nRUN true\n";
    struct machine m;
    struct builder_job *job;
    struct builder_base base;
    struct error err = ERROR_INIT;
    char old[PATH_MAX], next[PATH_MAX];
    bool found;

    scene_build(*state, "follow", dockerfile);
    scene_path(*state, "bases", "follow", "", old);
    scene_path(*state, "bases", "follow", ".1", next);
    bound(*state, 0, 2 * MIB, &m);
    assert_int_equal(builder_job_begin(m.b, "follow", "other", &job, &err), 0);
    scene_sweep(&m, scene_keep_all);
    assert_int_equal(access(next, F_OK), 0);
    scene_build(*state, "follow", dockerfile); /* its end trims with the larger bound */
    assert_true(cache_measure(AT_FDCWD, next) > 2 * MIB);
    assert_int_equal(builder_base_find(job, ALPINE, nothing, &found, &base, &err), 0);
    assert_true(found);
    builder_base_release(&base);
    scene_sweep(
        *state,
        scene_keep_all); /* so that the job's end, which has the smaller bound, need not look */
    assert_int_equal(access(old, F_OK), 0);
    builder_job_end(job);
    scene_sweep(*state, scene_keep_all);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(next, F_OK), 0);
    scene_sweep(&m, scene_keep_all);
    assert_int_equal(access(next, F_OK), -1);
    scene_build(*state, "follow", dockerfile);
    builder_free(m.b);
}

/* ---- all together ---- */

static uint64_t size_of_all(const struct machine *m)
{
    return cache_measure(AT_FDCWD, m->config.dir);
}

/* The one that was used last keeps most. */
static void test_all_workspaces_together_stay_within_their_bound(void **state)
{
    static const char *const workspaces[] = {"sum-c", "sum-a", "sum-b"};
    static const char dockerfile[] =
        "FROM alpine:3.20\nRUN head -c 4000000 /dev/urandom >/f\nRUN true\n";
    struct machine m = *(struct machine *)*state;
    struct error err = ERROR_INIT;
    char dir[128], path[PATH_MAX];
    uint64_t one;

    (void)snprintf(dir, sizeof(dir), "%s/sum", m.dir);
    m.config.dir = dir;
    assert_int_equal(builder_open_as(&m.config, m.b->ids.users, &m.b, &err), 0);
    for (size_t i = 0; i < 3; i++)
        scene_build(&m, workspaces[i], dockerfile);
    scene_sweep(&m, scene_keep_none);
    assert_int_equal(scene_count_cached(&m, "sum-b", dockerfile), 2);
    one = size_of_all(&m) / 3;
    m.config.caches_max = one + one / 2;
    scene_sweep(&m, scene_keep_none);
    assert_true(size_of_all(&m) <= m.config.caches_max + MIB / 4);
    assert_int_equal(scene_count(&m, "sum-c", "/records"), 0);
    scene_path(&m, "bases", "sum-c", "", path);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(scene_count_cached(&m, "sum-b", dockerfile), 2);
    builder_free(m.b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_builds_stay_within_the_bounds),
        cmocka_unit_test(test_no_less_is_counted_than_lies_there),
        cmocka_unit_test(test_what_is_noted_beside_the_steps_is_within_the_bound),
        cmocka_unit_test(test_what_was_not_used_for_the_longest_goes_first),
        cmocka_unit_test(test_cache_mounts_count_and_go_too),
        cmocka_unit_test(test_room_is_made_by_hand_unless_a_build_runs),
        cmocka_unit_test(test_a_job_s_locks_end_with_it_though_a_forked_process_has_them_open),
        cmocka_unit_test(test_what_no_running_build_has_used_goes_while_builds_run),
        cmocka_unit_test(test_what_a_running_build_has_used_stays_whole),
        cmocka_unit_test(test_what_a_running_build_has_used_stays_though_the_clock_is_set_back),
        cmocka_unit_test(test_nothing_goes_that_a_build_may_just_be_using),
        cmocka_unit_test(test_all_workspaces_together_stay_within_their_bound),
        cmocka_unit_test(test_what_no_record_names_goes),
        cmocka_unit_test(test_a_cache_of_links_is_not_followed),
        cmocka_unit_test(test_a_base_store_that_is_too_large_or_not_used_goes_and_is_fetched_anew),
        cmocka_unit_test(
            test_a_base_store_that_is_too_large_is_followed_by_another_while_builds_run),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
