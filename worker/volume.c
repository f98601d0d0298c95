/* worker/volume — a volume is made of a template's revision, or empty, or grown.
 *
 * The jail writes to a directory that only this try has.  When it is whole, and the build still
 * ours, a rename makes it the volume.  So a volume is there or not, and a kill leaves what the
 * sweep removes; and no try that was thought dead replaces a volume that somebody writes to by now.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "worker/pack.h"
#include "worker/places.h"
#include "worker/steps.h"

#define MAKING ".making"
#define FILE   "volume.img"

static int making_dir(const struct run *r, char ret[PATH_MAX], struct error *err)
{
    char volumes[PATH_MAX], job[JOB_NAME];

    pipeline_job_name(&r->build, job);
    if (places_volume(r->config->places, r->build.workspace, "", volumes, err) < 0)
        return -1;
    if (snprintf(ret, PATH_MAX, "%s/" MAKING "/%s", volumes, job) >= PATH_MAX)
        return error_set(err, ERR_SYSTEM, "make a volume: the path is too long");
    return 0;
}

static int open_old(const struct volume_order *o, const char *path, int *ret_fd, struct error *err)
{
    if (o->verb != VOLUME_GROW)
        return 0;
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*ret_fd < 0)
        return error_errno(err, errno, "open the volume");
    return 0;
}

static int write_volume(struct run *r, const struct volume_order *o, const char *making,
                        const char *path, struct error *err)
{
    CLEANUP(places_loan_end) struct store_loan store = {.broker = NULL};
    const struct builder_share shares[] = {{"out", making}, {"store", store.dir}};
    const bool from_store = o->verb == VOLUME_CREATE && strcmp(o->template, "-") != 0;
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP_CLOSE int old = -1;
    struct pack_jail jail = {.name = "template-volume",
                             .act = "writing the volume",
                             .words = &words,
                             .shares = shares,
                             .n_shares = from_store ? 2 : 1};
    struct facts f;

    if ((from_store && pack_lend_store(r, &store, err) < 0) || open_old(o, path, &old, err) < 0)
        return -1;
    jail.stdin_fd = old;
    argv_push(&words, o->verb == VOLUME_GROW ? "grow" : "create", o->template, NULL);
    argv_pushf(&words, "%llu", (unsigned long long)o->size_mb);
    return pack_run(r, &jail, &f, err);
}

/* What the jail has left is looked at before it counts: it may be anything. */
static int take_over(const struct volume_order *o, const char *making, const char *path,
                     struct error *err)
{
    CLEANUP_CLOSE int dir = -1;
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (fs_open_dir(AT_FDCWD, making, &dir, err) < 0)
        return -1;
    fd = openat(dir, FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open the volume that was written");
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || (uint64_t)st.st_size != o->size_mb << 20)
        return error_set(err, ERR_SYSTEM, "the volume that was written is not what was said of it");
    if (fchown(fd, geteuid(), getegid()) < 0 || fchmod(fd, 0600) < 0 || fsync(fd) < 0 ||
        renameat(dir, FILE, AT_FDCWD, path) < 0)
        return error_errno(err, errno, "name the volume %s", path);
    return fs_sync_parent(AT_FDCWD, path, err);
}

static void remove_making(const char *making)
{
    struct error ignored = ERROR_INIT; /* what is left is swept later */

    (void)!fs_remove_tree(AT_FDCWD, making, &ignored);
}

static void tell(struct run *r, const struct volume_order *o)
{
    char size[TEXT_SIZE];

    text_exact_size(o->size_mb << 20, size);
    if (o->verb == VOLUME_GROW)
        plain_log_begin(&r->plain_log, "[internal] grow volume %s to %s", r->build.name, size);
    else if (strcmp(o->template, "-") == 0)
        plain_log_begin(&r->plain_log, "[internal] make the empty volume %s, %s", r->build.name,
                        size);
    else
        plain_log_begin(&r->plain_log, "[internal] make volume %s, %s, of %s", r->build.name, size,
                        o->template);
}

int step_volume(struct run *r, struct error *err)
{
    char making[PATH_MAX], path[PATH_MAX], volumes[PATH_MAX];
    struct volume_order o;

    if (volume_order_read(r->build.source, &o, err) < 0)
        return -1;
    tell(r, &o);
    if (making_dir(r, making, err) < 0 ||
        places_volume(r->config->places, r->build.workspace, "", volumes, err) < 0 ||
        places_volume(r->config->places, r->build.workspace, r->build.name, path, err) < 0 ||
        fs_mkdirs(volumes, 0700, err) < 0 || fs_remove_tree(AT_FDCWD, making, err) < 0)
        return -1;
    if (write_volume(r, &o, making, path, err) < 0) {
        remove_making(making);
        return -1;
    }
    return 0;
}

int step_name_volume(struct run *r, struct error *err)
{
    char making[PATH_MAX], path[PATH_MAX];
    struct volume_order o;
    int result;

    if (making_dir(r, making, err) < 0 ||
        places_volume(r->config->places, r->build.workspace, r->build.name, path, err) < 0 ||
        volume_order_read(r->build.source, &o, err) < 0)
        return -1;
    result = take_over(&o, making, path, err);
    remove_making(making);
    if (result < 0)
        return -1;
    r->image_size = o.size_mb << 20;
    volume_made_write(&o, r->made);
    plain_log_done(&r->plain_log);
    return 0;
}

/* ---- sweeping ---- */

static int sweep_jobs(const char *dir, bool (*keep)(void *self, const char *job), void *self,
                      struct error *err)
{
    CLEANUP(argv_release) struct argv jobs = ARGV_INIT;
    CLEANUP_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open directory %s", dir);
    if (fs_list(fd, ".", &jobs, err) < 0)
        return -1;
    for (size_t i = 0; i < jobs.n; i++)
        if (!keep(self, jobs.v[i]) && fs_remove_tree(fd, jobs.v[i], err) < 0)
            return -1;
    return 0;
}

int volume_sweep(const struct worker_config *c, bool (*keep)(void *self, const char *job),
                 void *self, struct error *err)
{
    CLEANUP(argv_release) struct argv workspaces = ARGV_INIT;
    char dir[PATH_MAX];

    if (snprintf(dir, sizeof(dir), "%s/" PLACES_LENT, c->places->templates) < (int)sizeof(dir) &&
        sweep_jobs(dir, keep, self, err) < 0)
        return -1;
    if (access(c->places->volumes, F_OK) < 0)
        return 0;
    if (fs_list(AT_FDCWD, c->places->volumes, &workspaces, err) < 0)
        return -1;
    for (size_t i = 0; i < workspaces.n; i++)
        if (snprintf(dir, sizeof(dir), "%s/%s/" MAKING, c->places->volumes, workspaces.v[i]) <
                (int)sizeof(dir) &&
            sweep_jobs(dir, keep, self, err) < 0)
            return -1;
    return 0;
}
