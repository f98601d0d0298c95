/* Control groups, with real processes in them; and where they are looked for. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/cgroup_file.h"

#define MIB (UINT64_C(1) << 20)

static int find(void **state)
{
    struct cgroup_site *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    cgroup_find("/proc/self/cgroup", "/proc/self/mountinfo", s);
    *state = s;
    return 0;
}

static int forget(void **state)
{
    cgroup_site_release(*state);
    free(*state);
    return 0;
}

static void need(const struct cgroup_site *s, enum cgroup_controller c)
{
    if (s->parents[c])
        return;
    print_message("no limit here: %s\n", s->why[c].msg);
    skip();
}

/* ---- a group and a process in it ---- */

struct group {
    struct argv dirs;
    struct cgroup_counts counts;
};

static void group_init(struct group *g, const struct cgroup_site *site, struct cgroup_limits limits)
{
    char name[CGROUP_NAME];
    struct error err = ERROR_INIT;

    *g = (struct group){.dirs = ARGV_INIT};
    cgroup_draw_name(name);
    cgroup_dirs(site, name, &g->dirs);
    if (cgroup_make(site, name, &limits, &err) < 0)
        fail_msg("%s", err.msg);
}

static void group_release(struct group *g)
{
    struct error err = ERROR_INIT;

    if (cgroup_remove(&g->dirs, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < g->dirs.n; i++)
        assert_int_not_equal(access(g->dirs.v[i], F_OK), 0);
    argv_release(&g->dirs);
}

/* Starts act in the group; it begins when it is in. */
static pid_t start(const struct group *g, int (*act)(void))
{
    struct error err = ERROR_INIT;
    int go[2];
    pid_t pid;
    char byte;

    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        close(go[1]);
        _exit(read(go[0], &byte, 1) == 1 ? act() : 99);
    }
    close(go[0]);
    if (cgroup_enter(&g->dirs, pid, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(write(go[1], "g", 1), 1);
    close(go[1]);
    return pid;
}

/* The wait status. */
static int run(struct group *g, int (*act)(void))
{
    pid_t pid = start(g, act);
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    cgroup_read_counts(&g->dirs, &g->counts);
    return status;
}

static int take_64_mib(void)
{
    char *all = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (all == MAP_FAILED)
        return 1;
    memset(all, 1, 64 * MIB);
    return 0;
}

/* The number of children that it could start, of 20. */
static int fork_20(void)
{
    int n = 0;

    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            (void)poll(NULL, 0, 60000);
            _exit(0);
        }
        n += pid > 0;
    }
    return n;
}

static int sleep_for_ever(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)poll(NULL, 0, -1);
    return 0;
}

/* ---- what the kernel holds ---- */

static void test_a_process_over_the_groups_memory_is_killed_and_counted(void **state)
{
    struct group g;
    int status;

    need(*state, CGROUP_MEMORY);
    group_init(&g, *state, (struct cgroup_limits){.memory = 32 * MIB});
    status = run(&g, take_64_mib);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(g.counts.oom_kills, 1);
    assert_true(g.counts.memory_full > 0);
    group_release(&g);
}

static void test_a_process_within_the_groups_memory_is_not_counted(void **state)
{
    struct group g;

    need(*state, CGROUP_MEMORY);
    group_init(&g, *state, (struct cgroup_limits){.memory = 128 * MIB});
    assert_int_equal(run(&g, take_64_mib), 0);
    assert_int_equal(g.counts.oom_kills, 0);
    assert_int_equal(g.counts.memory_full, 0);
    group_release(&g);
}

/* As when the machine has no memory left: a group above has not. */
static void test_being_killed_for_others_want_of_memory_is_told_apart(void **state)
{
    const struct cgroup_site *site = *state;
    struct cgroup_site below = {.unified = site->unified};
    struct error ignored = ERROR_INIT;
    struct group above;
    struct group g;
    int status;

    need(site, CGROUP_MEMORY);
    group_init(&above, site, (struct cgroup_limits){.memory = 32 * MIB});
    below.parents[CGROUP_MEMORY] = above.dirs.v[0];
    if (site->unified) {
        const char *dir = above.dirs.v[0];

        assert_int_equal(cgroup_write(dir, "cgroup.subtree_control", "+memory", &ignored), 0);
        assert_int_equal(cgroup_write(dir, "cgroup.max.descendants", "9", &ignored), 0);
    }
    group_init(&g, &below, (struct cgroup_limits){.memory = 512 * MIB});
    status = run(&g, take_64_mib);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(g.counts.oom_kills, 1);
    assert_int_equal(g.counts.memory_full, 0);
    group_release(&g);
    group_release(&above);
}

static void test_no_more_processes_than_allowed_start_and_the_refusals_are_counted(void **state)
{
    struct group g;
    int status;

    need(*state, CGROUP_PIDS);
    group_init(&g, *state, (struct cgroup_limits){.pids = 10});
    status = run(&g, fork_20);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 9);
    assert_int_equal(g.counts.forks_failed, 11);
    group_release(&g);
}

/* Where a jail's root is the group's owner, as for an ordinary user. */
static int change_the_limit_from_inside(void)
{
    if (unshare(CLONE_NEWCGROUP | CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/tmp", "cgroup2", 0, NULL) < 0)
        return 2;
    if (!cgroup_has("/tmp", "cgroup.procs"))
        return 3;
    if (cgroup_has("/tmp", "pids.max") || cgroup_has("/tmp", "memory.max"))
        return 4;
    return mkdir("/tmp/below", 0755) < 0 ? 0 : 5;
}

static void test_the_limits_are_not_in_sight_of_a_cgroup_namespace(void **state)
{
    const struct cgroup_site *site = *state;
    struct group g;

    if (!site->unified || geteuid() != 0)
        skip(); /* in version 1 the files are root's, which no root of a jail is */
    group_init(&g, site, (struct cgroup_limits){.pids = 10});
    assert_int_equal(run(&g, change_the_limit_from_inside), 0);
    group_release(&g);
}

static void test_a_quota_of_cpus_is_set(void **state)
{
    const struct cgroup_site *site = *state;
    CLEANUP(buf_release) struct buf text = BUF_INIT(256);
    struct group g;
    bool found = false;

    need(site, CGROUP_CPU);
    group_init(&g, site, (struct cgroup_limits){.cpus = 3});
    for (size_t i = 0; i < g.dirs.n && !found; i++)
        found = cgroup_read(g.dirs.v[i], cgroup_limit_file(site->unified, CGROUP_CPU), &text);
    assert_string_equal(buf_str(&text), site->unified ? "300000 100000\n" : "300000\n");
    group_release(&g);
}

static void test_removing_a_group_kills_what_is_in_it(void **state)
{
    const struct cgroup_site *site = *state;
    struct group g;
    pid_t pid;
    int status;

    need(site, CGROUP_PIDS);
    group_init(&g, site, (struct cgroup_limits){.pids = 10});
    pid = start(&g, sleep_for_ever);
    /* The dead stay in version 1's groups until they are reaped: by this one's parent. */
    if (fork() == 0) {
        struct error err = ERROR_INIT;

        _exit(cgroup_remove(&g.dirs, &err) < 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    group_release(&g); /* twice is fine */
}

/* ---- where they are looked for ---- */

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[PATH_MAX];
    struct error err = ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err), 0);
}

/* Looks in a directory that stands for a mounted hierarchy: no group made there has a controller's
 * files, so why names where it was looked. */
static void look(const char *own, const char *mounts, const char *const *subdirs,
                 enum cgroup_controller c, struct buf *why)
{
    char dir[] = "/tmp/kiln-cgroup-XXXXXX";
    struct cgroup_site s;
    struct error err = ERROR_INIT;
    char path[PATH_MAX];
    char own_file[64];
    char mount_file[64];
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    const char *at;

    assert_non_null(mkdtemp(dir));
    for (; *subdirs; subdirs++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, *subdirs);
        assert_int_equal(fs_mkdirs(path, 0755, &err), 0);
    }
    for (at = mounts; *at; at++) /* "@" stands for the directory */
        if (*at == '@')
            buf_adds(&text, dir);
        else
            buf_addc(&text, *at);
    write_text(dir, "own", own);
    write_text(dir, "mountinfo", buf_str(&text));
    (void)snprintf(own_file, sizeof(own_file), "%s/own", dir);
    (void)snprintf(mount_file, sizeof(mount_file), "%s/mountinfo", dir);
    cgroup_find(own_file, mount_file, &s);
    assert_null(s.parents[c]);
    at = strstr(s.why[c].msg, dir);
    buf_add(why, s.why[c].msg, at ? (size_t)(at - s.why[c].msg) : 0);
    buf_addf(why, "@%s", at ? at + strlen(dir) : s.why[c].msg);
    cgroup_site_release(&s);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void test_our_own_group_is_found_in_both_versions_and_in_containers(void **state)
{
    static const char *const subdirs[] = {"m/a/b", "both", "two/unit", NULL};
    static const struct {
        const char *own;
        const char *mounts;
        enum cgroup_controller c;
        const char *why;
    } table[] = {
        {"4:memory:/a/b\n0::/\n", "30 25 0:26 / @/m rw - cgroup cgroup rw,memory\n", CGROUP_MEMORY,
         "groups in @/m/a/b have no memory.limit_in_bytes"},
        /* a container that sees only its own part */
        {"4:memory:/docker/x/a\n", "30 25 0:26 /docker/x @/m rw - cgroup cgroup rw,memory\n",
         CGROUP_MEMORY, "groups in @/m/a have no memory.limit_in_bytes"},
        /* our path leads nowhere here */
        {"4:memory:/gone\n", "30 25 0:26 / @/m rw - cgroup cgroup rw,memory\n", CGROUP_MEMORY,
         "groups in @/m have no memory.limit_in_bytes"},
        {"3:cpu,cpuacct:/\n", "30 25 0:26 / @/both rw - cgroup cgroup rw,cpu,cpuacct\n", CGROUP_CPU,
         "groups in @/both have no cpu.cfs_quota_us"},
        /* cpuacct is not cpu */
        {"3:cpuacct:/\n", "30 25 0:26 / @/both rw - cgroup cgroup rw,cpuacct\n", CGROUP_CPU,
         "@no control groups for cpu are mounted"},
        {"0::/unit\n", "30 25 0:26 / @/two rw - cgroup2 cgroup2 rw\n", CGROUP_PIDS,
         "@no control groups for pids are mounted"},
        {"", "", CGROUP_MEMORY, "@no control groups for memory are mounted"},
        {"x\n:\n::\n", "x - y\n - cgroup\n", CGROUP_MEMORY,
         "@no control groups for memory are mounted"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        CLEANUP(buf_release) struct buf why = BUF_INIT(4096);

        look(table[i].own, table[i].mounts, subdirs, table[i].c, &why);
        assert_string_equal(buf_str(&why), table[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_process_over_the_groups_memory_is_killed_and_counted),
        cmocka_unit_test(test_a_process_within_the_groups_memory_is_not_counted),
        cmocka_unit_test(test_being_killed_for_others_want_of_memory_is_told_apart),
        cmocka_unit_test(test_no_more_processes_than_allowed_start_and_the_refusals_are_counted),
        cmocka_unit_test(test_the_limits_are_not_in_sight_of_a_cgroup_namespace),
        cmocka_unit_test(test_a_quota_of_cpus_is_set),
        cmocka_unit_test(test_removing_a_group_kills_what_is_in_it),
        cmocka_unit_test(test_our_own_group_is_found_in_both_versions_and_in_containers),
    };

    return cmocka_run_group_tests(tests, find, forget);
}
