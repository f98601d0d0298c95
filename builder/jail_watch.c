/* builder/jail_watch — the process that ends a jail which keeps running into its limits.
 *
 * The kernel holds memory and the number of processes, but a program that is refused them may go on
 * asking for ever, so a build that was at a limit in STUBBORN looks is stopped.
 *
 * Nobody holds the disk for one build: quotas need a filesystem that was made for them, and
 * measuring means to walk over every file.  Cheap is the question how much is free on the whole
 * filesystem (statvfs), and no build can write without making that less.  So it is asked often, and
 * the walk is made only when what is gone since the last one would bring the build over its limit;
 * and now and then, in case others freed as much as this build took.  Walking takes at most a
 * twentieth of the time; a third, when an eighth of the limit has gone since, which bounds by how
 * much a build can be over its limit before it is found out. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "builder/cgroup.h"
#include "builder/jail_inside.h"

#define LOOK_MS        200
#define STUBBORN       15 /* looks: three seconds of being refused */
#define WALK_REST      20 /* times as long as a walk takes */
#define WALK_REST_FAST 2
#define FIRST_WALK_MS  2000
#define WALK_AGAIN_MS  30000
#define BYTES_OF_INODE 4096 /* as jail_disk_use counts an empty file */

/* ---- memory and processes ---- */

struct refusals {
    struct cgroup_counts last;
    int of_memory, of_processes; /* looks at which there were new ones */
};

static enum jail_excess look_at_group(const struct argv *groups, struct refusals *r)
{
    struct cgroup_counts now;

    cgroup_read_counts(groups, &now);
    r->of_memory += now.oom_kills > r->last.oom_kills && now.memory_full > r->last.memory_full;
    r->of_processes += now.forks_failed > r->last.forks_failed;
    r->last = now;
    if (r->of_memory >= STUBBORN)
        return JAIL_EXCESS_MEMORY;
    return r->of_processes >= STUBBORN ? JAIL_EXCESS_PROCESSES : JAIL_EXCESS_NONE;
}

/* ---- disk ---- */

struct disk {
    const char *dir;
    uint64_t limit;
    uint64_t used;       /* at the last walk */
    uint64_t free;       /* then */
    int64_t walked;      /* clock_monotonic */
    int64_t walk_length; /* nanoseconds */
};

/* Bytes and inodes as one number. */
static uint64_t free_space(const char *dir)
{
    struct statvfs fs;

    if (statvfs(dir, &fs) < 0)
        return 0;
    return (uint64_t)fs.f_bfree * fs.f_frsize + (uint64_t)fs.f_ffree * BYTES_OF_INODE;
}

/* Until the first walk the build counts as half full: short ones are never walked over. */
static void disk_init(struct disk *d, const struct jail_limits *limits)
{
    *d = (struct disk){.limit = limits->disk};
    if (limits->disk == 0 || limits->disk_dir.n != 1)
        return;
    d->dir = limits->disk_dir.v[0];
    d->used = limits->disk / 2;
    d->free = free_space(d->dir);
    d->walked = clock_monotonic() - (WALK_AGAIN_MS - FIRST_WALK_MS) * NS_PER_MS;
}

static bool is_walk_due(const struct disk *d, uint64_t free, int64_t now)
{
    const uint64_t gone = d->free > free ? d->free - free : 0;
    const int64_t rest = gone > d->limit / 8 ? WALK_REST_FAST : WALK_REST;

    if (now - d->walked < d->walk_length * rest)
        return false;
    return d->used + gone > d->limit ||
           (d->free != free && now - d->walked > WALK_AGAIN_MS * NS_PER_MS);
}

static enum jail_excess look_at_disk(struct disk *d, const struct argv *groups)
{
    const int64_t now = clock_monotonic();
    uint64_t free;

    if (!d->dir)
        return JAIL_EXCESS_NONE;
    free = free_space(d->dir);
    if (!is_walk_due(d, free, now))
        return JAIL_EXCESS_NONE;
    d->used = jail_disk_use(d->dir, groups, d->limit);
    d->free = free;
    d->walked = clock_monotonic();
    d->walk_length = d->walked - now;
    return d->used > d->limit ? JAIL_EXCESS_DISK : JAIL_EXCESS_NONE;
}

/* ---- the process ---- */

/* As an ordinary user, what other ids of the user namespace own is read with its root's rights. */
static int enter_users(const struct jail_spec *spec, pid_t init)
{
    char path[64];
    CLEANUP_CLOSE int fd = -1;

    if (spec->ids.users != JAIL_USERS_HELPERS)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", init);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && setns(fd, CLONE_NEWUSER) == 0 ? 0 : -1;
}

/* A level of directories takes a descriptor. */
static void raise_descriptors(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void watch(const struct jail_spec *spec) __attribute__((noreturn));
static void watch(const struct jail_spec *spec)
{
    const struct argv *groups = &spec->limits.groups;
    struct refusals refusals = {.of_memory = 0};
    enum jail_excess excess = JAIL_EXCESS_NONE;
    struct disk disk;

    disk_init(&disk, &spec->limits);
    cgroup_read_counts(groups, &refusals.last);
    while (excess == JAIL_EXCESS_NONE) {
        (void)poll(NULL, 0, LOOK_MS);
        excess = look_at_group(groups, &refusals);
        if (excess == JAIL_EXCESS_NONE)
            excess = look_at_disk(&disk, groups);
    }
    _exit((int)excess);
}

int jail_watch_start(const struct jail_spec *spec, pid_t init, pid_t *ret_pid, struct error *err)
{
    const pid_t outer = getpid();
    pid_t pid;
    int ready[2];
    char byte;

    *ret_pid = 0;
    if (spec->limits.groups.n == 0 && spec->limits.disk == 0)
        return 0;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return error_errno(err, errno, "make a pipe");
    pid = fork();
    if (pid == 0) {
        const bool entered = enter_users(spec, init) == 0;

        /* After the namespace, which clears it. */
        if (!entered || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != outer)
            _exit(0);
        (void)!write(ready[1], "r", 1);
        (void)close_range(0, ~0U, 0); /* the caller waits for the end of the pipes among them */
        raise_descriptors();
        watch(spec);
    }
    close(ready[1]);
    if (pid > 0 && read(ready[0], &byte, 1) != 1)
        pid = -1;
    close(ready[0]);
    if (pid < 0)
        return error_set(err, ERR_SYSTEM, "watch over the jail's limits: it does not start");
    *ret_pid = pid;
    return 0;
}
