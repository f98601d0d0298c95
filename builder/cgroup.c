/* builder/cgroup — see the header; cgroup_find is in cgroup_find.c.
 *
 * In version 2 the processes are in a child of the group, "jail", for which no controller is
 * enabled, so that all is counted in the group itself.  A jail's cgroup namespace then begins at
 * the child: were the files with the limits at the root of what it can mount, its own root could
 * change them where kiln is an ordinary user and that root the same one. */
#include "builder/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/cgroup_file.h"

#define PERIOD_US       100000 /* of the CPU quota: the kernel's default */
#define REMOVE_TRIES    1500   /* for half a minute: on a busy machine the killed die slowly */
#define REMOVE_PAUSE_MS 20

/* ---- files of a group ---- */

int cgroup_write(const char *dir, const char *name, const char *text, struct error *err)
{
    char path[PATH_MAX];
    CLEANUP_CLOSE int fd = -1;

    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "write %s: path too long", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    /* One write: the kernel reads each as a whole command. */
    if (write(fd, text, strlen(text)) < 0)
        return error_errno(err, errno, "write \"%s\" to %s", text, path);
    return 0;
}

bool cgroup_read(const char *dir, const char *name, struct buf *out)
{
    struct error absent = ERROR_INIT;
    char path[PATH_MAX];

    buf_clear(out);
    return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
           fs_read_file(AT_FDCWD, path, out, &absent) == 0;
}

bool cgroup_has(const char *dir, const char *name)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) &&
           access(path, F_OK) == 0;
}

/* ---- the child that holds the processes ---- */

#define LEAF "jail"

/* False in version 1, where the group itself holds them. */
static bool leaf_of(const char *dir, char ret[PATH_MAX])
{
    return cgroup_has(dir, "cgroup.subtree_control") &&
           snprintf(ret, PATH_MAX, "%s/" LEAF, dir) < PATH_MAX;
}

/* One child, and never another below it, whoever owns the directory. */
static int make_leaf(const char *dir, struct error *err)
{
    char leaf[PATH_MAX];

    if (!leaf_of(dir, leaf))
        return 0;
    if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make the control group %s", leaf);
    return cgroup_write(dir, "cgroup.max.descendants", "1", err);
}

bool cgroup_read_processes(const char *dir, struct buf *out)
{
    char leaf[PATH_MAX];

    return cgroup_read(leaf_of(dir, leaf) ? leaf : dir, "cgroup.procs", out);
}

/* ---- making ---- */

/* The file that is there when a group has the controller. */
const char *cgroup_limit_file(bool unified, enum cgroup_controller c)
{
    static const char *const names[2][CGROUP_CONTROLLERS] = {
        {"memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us"},
        {"memory.max", "pids.max", "cpu.max"},
    };

    return names[unified][c];
}

/* Swap is counted in, so that a build cannot push the machine into it. */
static int limit_memory(const char *dir, bool unified, uint64_t bytes, struct error *err)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    if (cgroup_write(dir, cgroup_limit_file(unified, CGROUP_MEMORY), text, err) < 0)
        return -1;
    if (unified)
        return cgroup_has(dir, "memory.swap.max") ? cgroup_write(dir, "memory.swap.max", "0", err)
                                                  : 0;
    return cgroup_has(dir, "memory.memsw.limit_in_bytes")
               ? cgroup_write(dir, "memory.memsw.limit_in_bytes", text, err)
               : 0;
}

static int limit_cpus(const char *dir, bool unified, uint64_t cpus, struct error *err)
{
    char text[64];

    if (unified)
        (void)snprintf(text, sizeof(text), "%llu %d", (unsigned long long)cpus * PERIOD_US,
                       PERIOD_US);
    else
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)cpus * PERIOD_US);
    return cgroup_write(dir, cgroup_limit_file(unified, CGROUP_CPU), text, err);
}

static int limit_pids(const char *dir, uint64_t pids, struct error *err)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)pids);
    return cgroup_write(dir, "pids.max", text, err);
}

static int set_limit(const char *dir, bool unified, enum cgroup_controller c,
                     const struct cgroup_limits *limits, struct error *err)
{
    switch (c) {
    case CGROUP_MEMORY:
        return limits->memory ? limit_memory(dir, unified, limits->memory, err) : 0;
    case CGROUP_PIDS:
        return limits->pids ? limit_pids(dir, limits->pids, err) : 0;
    case CGROUP_CPU:
        return limits->cpus ? limit_cpus(dir, unified, limits->cpus, err) : 0;
    case CGROUP_CONTROLLERS:
        break;
    }
    abort();
}

void cgroup_draw_name(char name[CGROUP_NAME])
{
    static const char prefix[] = "kiln-";

    (void)snprintf(name, CGROUP_NAME, "%s", prefix);
    digest_random_name(name + sizeof(prefix) - 1, 12);
}

void cgroup_dirs(const struct cgroup_site *site, const char *name, struct argv *ret_dirs)
{
    for (int c = 0; c < CGROUP_CONTROLLERS; c++) {
        char dir[PATH_MAX];

        if (site->parents[c] &&
            snprintf(dir, sizeof(dir), "%s/%s", site->parents[c], name) < (int)sizeof(dir) &&
            !argv_contains(ret_dirs, dir))
            argv_push1(ret_dirs, dir);
    }
}

int cgroup_make(const struct cgroup_site *site, const char *name,
                const struct cgroup_limits *limits, struct error *err)
{
    char dir[PATH_MAX];

    for (int c = 0; c < CGROUP_CONTROLLERS; c++) {
        if (!site->parents[c])
            continue;
        if (snprintf(dir, sizeof(dir), "%s/%s", site->parents[c], name) >= (int)sizeof(dir))
            return error_set(err, ERR_SYSTEM, "make a control group: path too long");
        /* Controllers that share a hierarchy share the directory. */
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
            return error_errno(err, errno, "make the control group %s", dir);
        if (set_limit(dir, site->unified, (enum cgroup_controller)c, limits, err) < 0 ||
            make_leaf(dir, err) < 0)
            return -1;
    }
    return 0;
}

int cgroup_enter(const struct argv *dirs, pid_t pid, struct error *err)
{
    char text[16];
    char leaf[PATH_MAX];

    (void)snprintf(text, sizeof(text), "%d", pid);
    for (size_t i = 0; i < dirs->n; i++)
        if (cgroup_write(leaf_of(dirs->v[i], leaf) ? leaf : dirs->v[i], "cgroup.procs", text, err) <
            0)
            return error_wrap(err, "enter a control group");
    return 0;
}

/* ---- counting ---- */

uint64_t cgroup_number_after(const char *text, const char *key)
{
    const size_t n = strlen(key);

    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return strtoull(line + n + 1, NULL, 10);
        if (!line[strcspn(line, "\n")])
            break;
    }
    return 0;
}

static uint64_t read_number(const char *dir, const char *name)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);

    return cgroup_read(dir, name, &text) ? strtoull(buf_str(&text), NULL, 10) : 0;
}

/* An allocation that fails leaves the usage below the limit by less than its own size. */
static bool was_at_limit(const char *dir)
{
    const uint64_t limit = read_number(dir, "memory.limit_in_bytes");

    return read_number(dir, "memory.max_usage_in_bytes") >= limit - limit / 16;
}

static void count_memory(const char *dir, struct cgroup_counts *counts)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);

    if (cgroup_read(dir, "memory.events", &text)) {
        counts->memory_full = cgroup_number_after(buf_str(&text), "oom");
        counts->oom_kills = cgroup_number_after(buf_str(&text), "oom_kill");
    } else if (cgroup_read(dir, "memory.oom_control", &text)) {
        counts->oom_kills = cgroup_number_after(buf_str(&text), "oom_kill");
        if (counts->oom_kills > 0 && was_at_limit(dir))
            counts->memory_full = counts->oom_kills;
    }
}

void cgroup_read_counts(const struct argv *dirs, struct cgroup_counts *ret)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    struct cgroup_counts counts = {0};

    for (size_t i = 0; i < dirs->n; i++) {
        count_memory(dirs->v[i], &counts);
        if (cgroup_read(dirs->v[i], "pids.events", &text))
            counts.forks_failed = cgroup_number_after(buf_str(&text), "max");
    }
    *ret = counts;
}

/* ---- removing ---- */

static void kill_all(const char *dir)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct error ignored = ERROR_INIT;
    const char *at;

    if (cgroup_has(dir, "cgroup.kill") && cgroup_write(dir, "cgroup.kill", "1", &ignored) == 0)
        return;
    if (!cgroup_read_processes(dir, &text))
        return;
    for (at = buf_str(&text); *at; at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n')) {
        long pid = strtol(at, NULL, 10);

        if (pid > 1)
            (void)kill((pid_t)pid, SIGKILL);
    }
}

static int remove_dir(const char *dir, struct error *err)
{
    char leaf[PATH_MAX];

    for (int i = 0;; i++) {
        if (leaf_of(dir, leaf))
            (void)rmdir(leaf);
        if (rmdir(dir) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY || i == REMOVE_TRIES)
            return error_errno(err, errno, "remove the control group %s", dir);
        kill_all(dir);
        (void)poll(NULL, 0, REMOVE_PAUSE_MS);
    }
}

int cgroup_remove(const struct argv *dirs, struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < dirs->n; i++) {
        struct error why = ERROR_INIT;

        if (remove_dir(dirs->v[i], &why) == 0 || result < 0)
            continue;
        *err = why;
        result = -1;
    }
    return result;
}
