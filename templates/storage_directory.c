/* templates/storage_directory — a store in a directory:
 *
 *   format secret lock      tmp/        files on their way, flocked by their owner
 *   packs/ revisions/ …     sessions/   one file for each packer, flocked by it
 *
 * flock is released by the kernel when its owner dies, so what is not locked belongs to nobody. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "templates/storage.h"

#define SESSION_MAX (16u << 20) /* bytes of names: 200,000 packs */

struct directory {
    struct storage storage;
    int fd;
};

static int path_of(const char *area, const char *name, char path[PATH_MAX], struct error *err)
{
    if (name[0] == '.' || strchr(name, '/') ||
        snprintf(path, PATH_MAX, "%s/%s", area, name) >= PATH_MAX)
        return error_set(err, ERR_SYSTEM, "no name for a file of a store: %.100s", name);
    return 0;
}

static int directory_list(struct storage *s, const char *area, struct argv *ret, struct error *err)
{
    int fd = -1;
    DIR *dir;

    if (fs_open_dir(((struct directory *)s)->fd, area, &fd, err) < 0)
        return -1;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return error_set(err, ERR_SYSTEM, "list %s: out of memory", area);
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (e->d_name[0] != '.')
            argv_push1(ret, e->d_name);
    closedir(dir);
    return 0;
}

static int directory_open(struct storage *s, const char *area, const char *name, int *ret_fd,
                          struct error *err)
{
    char path[PATH_MAX];
    int fd;

    if (path_of(area, name, path, err) < 0)
        return -1;
    fd = openat(((struct directory *)s)->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return error_errno(err, errno, "open %s", path);
    *ret_fd = fd;
    return 0;
}

static int create_locked(struct directory *d, const char *area, char name[40], int *ret_fd,
                         struct error *err)
{
    char path[PATH_MAX];
    char random[25];
    CLEANUP_CLOSE int fd = -1;

    digest_random_name(random, sizeof(random) - 1);
    (void)snprintf(name, 40, "%s", random);
    (void)snprintf(path, sizeof(path), "%s/%s", area, name);
    fd = openat(d->fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "create %s", path);
    if (flock(fd, LOCK_EX) < 0)
        return error_errno(err, errno, "lock %s", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* A sweeper may take a file away between its making and its locking: then another is made. */
static int create_for_good(struct directory *d, const char *area, char name[40], int *ret_fd,
                           struct error *err)
{
    struct stat st;

    for (;;) {
        int fd = -1;

        if (create_locked(d, area, name, &fd, err) < 0)
            return -1;
        if (fstat(fd, &st) == 0 && st.st_nlink > 0) {
            *ret_fd = fd;
            return 0;
        }
        close(fd);
    }
}

static int directory_create(struct storage *s, struct storage_file *ret, struct error *err)
{
    return create_for_good((struct directory *)s, "tmp", ret->temporary, &ret->fd, err);
}

static int directory_commit(struct storage *s, struct storage_file *f, const char *area,
                            const char *name, struct error *err)
{
    struct directory *d = (struct directory *)s;
    char from[64], to[PATH_MAX];

    (void)snprintf(from, sizeof(from), "tmp/%s", f->temporary);
    if (path_of(area, name, to, err) < 0)
        return -1;
    if (fsync(f->fd) < 0)
        return error_errno(err, errno, "sync %s", to);
    if (renameat(d->fd, from, d->fd, to) < 0)
        return error_errno(err, errno, "rename to %s", to);
    close(TAKE_FD(f->fd));
    return fs_sync_parent(d->fd, to, err);
}

static void directory_discard(struct storage *s, struct storage_file *f)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "tmp/%s", f->temporary);
    (void)unlinkat(((struct directory *)s)->fd, path, 0);
    close(TAKE_FD(f->fd));
}

static int directory_remove(struct storage *s, const char *area, const char *name,
                            struct error *err)
{
    char path[PATH_MAX];

    if (path_of(area, name, path, err) < 0)
        return -1;
    if (unlinkat(((struct directory *)s)->fd, path, 0) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove %s", path);
    return 0;
}

static int directory_lock(struct storage *s, bool exclusive, int *ret_lock, struct error *err)
{
    CLEANUP_CLOSE int fd =
        openat(((struct directory *)s)->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int result;

    if (fd < 0)
        return error_errno(err, errno, "open lock");
    do
        result = flock(fd, exclusive ? LOCK_EX : LOCK_SH);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return error_errno(err, errno, "lock the store");
    *ret_lock = TAKE_FD(fd);
    return 0;
}

static void directory_unlock(struct storage *s, int *lock)
{
    (void)s;
    close(TAKE_FD(*lock));
}

static int directory_session_begin(struct storage *s, const char *text, int *ret, struct error *err)
{
    char name[40];
    CLEANUP_CLOSE int fd = -1;

    if (create_for_good((struct directory *)s, "sessions", name, &fd, err) < 0)
        return -1;
    if (fs_write_all(fd, text, strlen(text), err) < 0)
        return error_wrap(err, "begin a session");
    *ret = TAKE_FD(fd);
    return 0;
}

/* The file stays until somebody looks: without a lock it counts for nothing. */
static void directory_session_end(struct storage *s, int *session)
{
    (void)s;
    close(TAKE_FD(*session));
}

static void add_lines(const char *text, struct argv *ret)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");

        if (len > 0)
            argv_pushf(ret, "%.*s", (int)len, line);
        line += len + (line[len] != '\0');
    }
}

/* *ret_dead: nobody had it locked, and it is removed. */
static int remove_if_dead(struct directory *d, const char *area, const char *name, int *ret_fd,
                          bool *ret_dead, struct error *err)
{
    char path[PATH_MAX];

    *ret_dead = true;
    if (directory_open(&d->storage, area, name, ret_fd, err) < 0)
        return -1;
    if (*ret_fd < 0)
        return 0;
    *ret_dead = flock(*ret_fd, LOCK_EX | LOCK_NB) == 0;
    if (*ret_dead && path_of(area, name, path, err) == 0)
        (void)unlinkat(d->fd, path, 0);
    return 0;
}

static int directory_sessions(struct storage *s, struct argv *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (directory_list(s, "sessions", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(SESSION_MAX);
        CLEANUP_CLOSE int fd = -1;
        bool dead;

        if (remove_if_dead((struct directory *)s, "sessions", names.v[i], &fd, &dead, err) < 0)
            return -1;
        if (dead)
            continue;
        if (fs_read_fd(fd, &text, err) < 0)
            return -1;
        add_lines(buf_str(&text), ret);
    }
    return 0;
}

static int directory_sweep(struct storage *s, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (directory_list(s, "tmp", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        CLEANUP_CLOSE int fd = -1;
        bool dead;

        if (remove_if_dead((struct directory *)s, "tmp", names.v[i], &fd, &dead, err) < 0)
            return -1;
    }
    return 0;
}

static void directory_release(struct storage *s)
{
    close(((struct directory *)s)->fd);
    free(s);
}

static const struct storage_kind directory_kind = {
    .list = directory_list,
    .open = directory_open,
    .create = directory_create,
    .commit = directory_commit,
    .discard = directory_discard,
    .remove = directory_remove,
    .lock = directory_lock,
    .unlock = directory_unlock,
    .session_begin = directory_session_begin,
    .session_end = directory_session_end,
    .sessions = directory_sessions,
    .sweep = directory_sweep,
    .release = directory_release,
};

static int make_directories(int fd, struct error *err)
{
    static const char *const names[] = {"tmp",   "sessions",  "packs", "revisions", "templates",
                                        "holds", "condemned", "raw",   NULL};

    for (const char *const *name = names; *name; name++)
        if (mkdirat(fd, *name, 0700) < 0 && errno != EEXIST)
            return error_errno(err, errno, "make directory %s", *name);
    return fsync(fd) < 0 ? error_errno(err, errno, "sync") : 0;
}

int storage_open_directory(const char *dir, struct storage **ret, struct error *err)
{
    struct directory *d;
    CLEANUP_CLOSE int fd = -1;

    if (fs_mkdirs(dir, 0700, err) < 0 || fs_open_dir(AT_FDCWD, dir, &fd, err) < 0)
        return -1;
    if (make_directories(fd, err) < 0)
        return error_wrap(err, "%s", dir);
    d = calloc(1, sizeof(*d));
    if (!d)
        return error_set(err, ERR_SYSTEM, "open %s: out of memory", dir);
    d->storage.kind = &directory_kind;
    d->storage.where = strdup(dir);
    d->fd = TAKE_FD(fd);
    if (!d->storage.where) {
        storage_free(&d->storage);
        return error_set(err, ERR_SYSTEM, "open %s: out of memory", dir);
    }
    *ret = &d->storage;
    return 0;
}
