/* builder/limits — the control group of a job, and what it had to do with how a step ended.
 *
 * The group lives as long as the job, so that all steps of a build share one limit.  Its
 * directories are listed in the job's directory before they are made: whoever removes that, also
 * after a crash, removes them too. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/fs.h"
#include "builder/cgroup_file.h"
#include "builder/state.h"

#define LIST "groups" /* in the job's directory: one control group's directory per line */

/* Less than this left, and a program that fails may well have failed for that. */
#define FULL_BYTES  (4 << 20)
#define FULL_INODES 64

static int keep_list(const struct builder_job *j, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CGROUP_CONTROLLERS * PATH_MAX);
    char path[PATH_MAX + 16];

    (void)snprintf(path, sizeof(path), "%s/" LIST, j->dir);
    for (size_t i = 0; i < j->groups.n; i++)
        buf_addf(&text, "%s\n", j->groups.v[i]);
    if (j->groups.failed)
        return error_set(err, ERR_SYSTEM, "make a control group: out of memory");
    return fs_write_file(AT_FDCWD, path, buf_str(&text), text.len, 0600, err);
}

int builder_limits_begin(struct builder_job *j, struct error *err)
{
    const struct builder_limits *l = &j->b->config->limits;
    const struct cgroup_limits limits = {.memory = l->memory, .pids = l->pids, .cpus = l->cpus};
    char name[CGROUP_NAME];

    cgroup_draw_name(name);
    cgroup_dirs(&j->b->site, name, &j->groups);
    if (j->groups.n == 0)
        return 0;
    if (keep_list(j, err) < 0)
        return -1;
    return cgroup_make(&j->b->site, name, &limits, err);
}

int builder_limits_end(const char *job_dir, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CGROUP_CONTROLLERS * PATH_MAX);
    CLEANUP(argv_release) struct argv dirs = ARGV_INIT;
    struct error absent = ERROR_INIT;
    char path[PATH_MAX + 16];
    char *rest;

    (void)snprintf(path, sizeof(path), "%s/" LIST, job_dir);
    if (fs_read_file(AT_FDCWD, path, &text, &absent) < 0 || text.len == 0)
        return 0;
    rest = text.data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (line[0] == '/')
            argv_push1(&dirs, line);
    return cgroup_remove(&dirs, err);
}

void builder_limits_describe(const struct builder_job *j, struct jail_spec *s)
{
    const struct builder_limits *l = &j->b->config->limits;

    for (size_t i = 0; i < j->groups.n; i++)
        argv_push1(&s->limits.groups, j->groups.v[i]);
    if (!j->b->site.parents[CGROUP_PIDS])
        s->limits.processes = (uint32_t)(l->pids < UINT32_MAX ? l->pids : 0);
    s->limits.disk = l->disk;
    argv_push1(&s->limits.disk_dir, j->work);
    s->failed |= s->limits.groups.failed || s->limits.disk_dir.failed;
}

/* ---- the verdict ---- */

/* Of the whole machine, whoever's (proc(5): /proc/vmstat). */
static uint64_t count_oom_kills(void)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 16);
    struct error absent = ERROR_INIT;

    if (fs_read_file(AT_FDCWD, "/proc/vmstat", &text, &absent) < 0)
        return 0;
    return cgroup_number_after(buf_str(&text), "oom_kill");
}

void builder_limits_count(const struct builder_job *j, struct cgroup_counts *ret)
{
    cgroup_read_counts(&j->groups, ret);
    if (!j->b->site.parents[CGROUP_MEMORY])
        ret->oom_kills = count_oom_kills();
}

static bool is_full(const char *path)
{
    struct statvfs fs;

    return statvfs(path, &fs) == 0 && ((uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES ||
                                       (fs.f_files > 0 && fs.f_favail < FULL_INODES));
}

bool builder_disk_is_full(const struct builder_job *j)
{
    return is_full(j->work);
}

bool builder_is_full(const struct builder *b)
{
    return is_full(b->config->dir);
}

enum builder_outcome builder_limits_judge(const struct builder_job *j,
                                          const struct cgroup_counts *before, bool was_full,
                                          enum builder_outcome outcome, int code)
{
    struct cgroup_counts now;

    if (outcome != BUILDER_KILLED && !(outcome == BUILDER_DONE && code != 0))
        return outcome;
    builder_limits_count(j, &now);
    /* The kernel also kills when the whole machine has no memory left; then it was not at its own
     * limit, and another try may do better.  A command that was killed and not for that (exit code
     * 137) has its own kill to thank, as kernels do not say whose it was. */
    if (now.oom_kills > before->oom_kills && now.memory_full > before->memory_full)
        return BUILDER_OUT_OF_MEMORY;
    if (now.forks_failed > before->forks_failed)
        return BUILDER_TOO_MANY_PROCESSES;
    if (now.oom_kills > before->oom_kills)
        return BUILDER_KILLED;
    return was_full || builder_disk_is_full(j) ? BUILDER_MACHINE_FULL : outcome;
}
