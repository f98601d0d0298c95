/* builder/job — the directories of one build: their beginning and their end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/bases_store.h"
#include "builder/cache_keeper.h"
#include "builder/state.h"

#define REMOVE_TRIES    30
#define REMOVE_PAUSE_MS 100

/* ---- beginning and end ---- */

static bool is_name(const char *s)
{
    size_t len = strlen(s);

    return len > 0 && len <= BUILDER_NAME_MAX && s[0] != '-' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int set_paths(struct builder_job *j, struct error *err)
{
    const char *dir = j->b->config->dir;

    if (snprintf(j->dir, sizeof(j->dir), "%s/jobs/%s", dir, j->id) >= (int)sizeof(j->dir) ||
        snprintf(j->cache, sizeof(j->cache), "%s/cache/%s", dir, j->workspace) >=
            (int)sizeof(j->cache))
        return error_set(err, ERR_SYSTEM, "begin a build: path too long");
    (void)snprintf(j->work, sizeof(j->work), "%s/tmp/%s", j->cache, j->id);
    (void)snprintf(j->context, sizeof(j->context), "%s/context", j->work);
    return 0;
}

/* The context lies in the cache, so that files of it can be linked there. */
static int make_context(const struct builder_job *j, struct error *err)
{
    char tmp[PATH_MAX + 128];

    (void)snprintf(tmp, sizeof(tmp), "%s/tmp", j->cache);
    if (builder_make_dir(j->b, j->cache, err) < 0 || builder_make_dir(j->b, tmp, err) < 0 ||
        builder_remove(j->b, tmp, j->id, err) < 0)
        return -1;
    if (builder_make_dir(j->b, j->work, err) < 0)
        return -1;
    if (builder_make_dir(j->b, j->context, err) < 0)
        return -1;
    /* Any user of a RUN that mounts it may read it; tmp keeps those of the host out. */
    return chmod(j->context, 0755) < 0 ? error_errno(err, errno, "make the context readable") : 0;
}

/* What runs in its group first, so that nothing is written while the directory is removed. */
static int remove_job(const struct builder *b, const char *jobs, const char *id, struct error *err)
{
    char dir[PATH_MAX];

    if (snprintf(dir, sizeof(dir), "%s/%s", jobs, id) >= (int)sizeof(dir))
        return error_set(err, ERR_SYSTEM, "remove a job: path too long");
    if (builder_limits_end(dir, err) < 0)
        return -1;
    return builder_remove(b, jobs, id, err);
}

static int make_dirs(const struct builder_job *j, struct error *err)
{
    static const char *const names[] = {"tmp", "out"};
    char path[PATH_MAX];
    CLEANUP(buf_release) struct buf jobs = BUF_INIT(PATH_MAX);

    buf_addf(&jobs, "%s/jobs", j->b->config->dir);
    if (remove_job(j->b, buf_str(&jobs), j->id, err) < 0 || fs_mkdirs(j->dir, 0700, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (snprintf(path, sizeof(path), "%s/%s", j->dir, names[i]) >= (int)sizeof(path))
            return error_set(err, ERR_SYSTEM, "begin a build: path too long");
        if (builder_make_dir(j->b, path, err) < 0)
            return -1;
    }
    return cache_keeper_note_begin(j->dir, err) < 0 ? -1 : make_context(j, err);
}

/* Until the job ends, or its process: a job whose build is done, or not ours any more, may still be
 * at work. */
static int hold(struct builder_job *j, struct error *err)
{
    if (fs_open_dir(AT_FDCWD, j->dir, &j->held, err) < 0)
        return -1;
    if (flock(j->held, LOCK_SH | LOCK_NB) < 0)
        return error_errno(err, errno, "lock %s", j->dir);
    return 0;
}

static bool is_held(const struct builder *b, const char *id)
{
    CLEANUP_CLOSE int fd = -1;
    char dir[PATH_MAX];

    if (snprintf(dir, sizeof(dir), "%s/jobs/%s", b->config->dir, id) >= (int)sizeof(dir))
        return false;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* By which the caches' keeper sees what has been used, and when. */
static void note_use(const struct builder_job *j)
{
    (void)utimensat(AT_FDCWD, j->bases, NULL, AT_SYMLINK_NOFOLLOW);
    (void)utimensat(AT_FDCWD, j->cache, NULL, AT_SYMLINK_NOFOLLOW);
}

/* Closing alone would leave it to a process that another thread has just forked, until its exec. */
static void unlock(int *fd)
{
    if (*fd >= 0)
        (void)flock(*fd, LOCK_UN);
    cleanup_close(fd);
}

static void let_go(struct builder_job *j)
{
    argv_release(&j->groups);
    unlock(&j->held);
    unlock(&j->bases_lock);
    unlock(&j->lock);
}

int builder_job_begin(struct builder *b, const char *workspace, const char *id,
                      struct builder_job **ret, struct error *err)
{
    CLEANUP_FREE struct builder_job *j = calloc(1, sizeof(*j));

    if (!is_name(workspace) || !is_name(id))
        return error_set(err, ERR_SYSTEM, "begin a build: \"%s/%s\" is not a pair of names",
                         workspace, id);
    if (builder_check_jail(b, err) < 0)
        return error_wrap(err, "begin a build");
    if (!j)
        return error_set(err, ERR_SYSTEM, "begin a build: out of memory");
    j->b = b;
    (void)snprintf(j->workspace, sizeof(j->workspace), "%s", workspace);
    (void)snprintf(j->id, sizeof(j->id), "%s", id);
    j->lock = j->bases_lock = j->held = -1;
    if (set_paths(j, err) < 0 || cache_keeper_begin(b, workspace, &j->lock, err) < 0)
        return -1;
    if (bases_store_enter(b, workspace, j->bases, &j->bases_lock, err) < 0 ||
        make_dirs(j, err) < 0 || hold(j, err) < 0 || builder_limits_begin(j, err) < 0) {
        let_go(j);
        return error_wrap(err, "begin a build");
    }
    note_use(j);
    *ret = TAKE(j);
    return 0;
}

void builder_job_use_remote(struct builder_job *j, const struct builder_remote *remote)
{
    j->remote = remote;
}

void builder_job_use_shared(struct builder_job *j, const struct argv *repositories)
{
    j->shared = repositories;
}

void builder_job_end(struct builder_job *j)
{
    CLEANUP(buf_release) struct buf jobs = BUF_INIT(PATH_MAX);
    struct error ignored = ERROR_INIT; /* what is left is swept later */

    if (!j)
        return;
    buf_addf(&jobs, "%s/jobs", j->b->config->dir);
    (void)!remove_job(j->b, buf_str(&jobs), j->id, &ignored);
    buf_clear(&jobs);
    buf_addf(&jobs, "%s/tmp", j->cache);
    (void)!builder_remove(j->b, buf_str(&jobs), j->id, &ignored);
    note_use(j);
    let_go(j);
    cache_keeper_end(j->b, j->workspace);
    free(j);
}

/* ---- removing ---- */

static void keep_last_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    (void)len;
    error_set(self, ERR_SYSTEM, "%s", text);
}

/* In a jail, where all the ids that a build may have used are root's. */
static int remove_inside(const struct builder *b, const char *parent, const char *name,
                         struct error *err)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {
        .ids = b->ids, .net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_FILES, .inner = true};
    struct error said = ERROR_INIT;
    const struct process_sink sink = {keep_last_line, &said};
    const struct jail_run run = {.spec = &spec, .stdin_fd = -1, .out_fd = -1, .sink = &sink};
    struct jail_end end;

    jail_spec_add_base(&spec);
    jail_spec_add(&spec, JAIL_BIND, "kiln/parent", parent);
    argv_push(&spec.argv, "builder-remove", NULL);
    argv_pushf(&spec.argv, "/kiln/parent/%s", name);
    if (jail_run(&run, &end, err) < 0)
        return error_wrap(err, "remove %s/%s", parent, name);
    if (end.how == JAIL_EXITED && end.code == 0)
        return 0;
    return error_set(err, ERR_SYSTEM, "remove %s/%s: %s", parent, name, said.msg);
}

static int remove_once(const struct builder *b, const char *parent, const char *name,
                       struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct error direct = ERROR_INIT;

    if (fs_open_dir(AT_FDCWD, parent, &fd, err) < 0)
        return -1;
    if (fs_remove_tree(fd, name, &direct) == 0)
        return 0;
    if (b->ids.users == JAIL_USERS_HELPERS)
        return remove_inside(b, parent, name, err);
    *err = direct;
    return -1;
}

/* Again for a while: a jail that was killed from outside may still be dying in there. */
int builder_remove(const struct builder *b, const char *parent, const char *name, struct error *err)
{
    for (int i = 0; i < REMOVE_TRIES; i++) {
        struct error why = ERROR_INIT;

        if (remove_once(b, parent, name, &why) == 0)
            return 0;
        if (i == REMOVE_TRIES - 1) {
            *err = why;
            return -1;
        }
        (void)poll(NULL, 0, REMOVE_PAUSE_MS);
    }
    return 0;
}

/* Removes the jobs in dir that keep says no to, and that nobody is at work in. */
static int sweep_dir(struct builder *b, const char *dir,
                     int (*remove)(const struct builder *b, const char *dir, const char *id,
                                   struct error *err),
                     bool (*keep)(void *self, const char *id), void *self, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    int result = 0;

    if (fs_list(AT_FDCWD, dir, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        struct error why = ERROR_INIT;

        if (!is_name(names.v[i]) || keep(self, names.v[i]) || is_held(b, names.v[i]))
            continue;
        /* One that resists does not keep the others from being removed. */
        if (remove(b, dir, names.v[i], &why) < 0 && result == 0) {
            *err = why;
            result = -1;
        }
    }
    return result;
}

int builder_sweep(struct builder *b, bool (*keep)(void *self, const char *id), void *self,
                  struct error *err)
{
    CLEANUP(argv_release) struct argv workspaces = ARGV_INIT;
    char path[PATH_MAX];
    int result;

    if (snprintf(path, sizeof(path), "%s/jobs", b->config->dir) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "sweep: path too long");
    result = sweep_dir(b, path, remove_job, keep, self, err);
    (void)snprintf(path, sizeof(path), "%s/cache", b->config->dir);
    if (fs_list(AT_FDCWD, path, &workspaces, err) < 0)
        return -1;
    for (size_t i = 0; i < workspaces.n; i++) {
        if (snprintf(path, sizeof(path), "%s/cache/%s/tmp", b->config->dir, workspaces.v[i]) >=
                (int)sizeof(path) ||
            access(path, F_OK) < 0)
            continue;
        if (sweep_dir(b, path, builder_remove, keep, self, err) < 0)
            result = -1;
    }
    if (builder_sweep_probes(b, err) < 0 || cache_keeper_sweep(b, err) < 0)
        result = -1;
    return result;
}

int builder_sync(const struct builder *b, struct error *err)
{
    return cache_keeper_sync(b, err);
}
