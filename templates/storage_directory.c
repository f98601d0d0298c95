/* templates/storage_directory — a store in a directory:
 *
 *   format secret lock      tmp/        files on their way, flocked by their owner
 *   packs/ revisions/ …     sessions/   one file for each packer, flocked by it
 *
 * flock is released by the kernel when its owner dies, so what is not locked belongs to nobody.
 *
 * A jailed packer writes here, too (docs/jail.md), and it may have been taken over by its archive.
 * So directories are opened once and by descriptor, links are not followed, and what is no file is
 * not read; and all belongs to whom the directory belongs, so that the packer can work on what root
 * wrote. */
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

static const char *const area_names[] = {"tmp",       "sessions", "packs",     "revisions",
                                         "templates", "holds",    "condemned", "raw"};

#define N_AREAS (sizeof(area_names) / sizeof(area_names[0]))

struct directory {
    struct storage storage;
    int fd;
    int areas[N_AREAS]; /* the directories of that name */
};

static int area_fd(const struct storage *s, const char *area)
{
    const struct directory *d = (const struct directory *)s;

    for (size_t i = 0; i < N_AREAS; i++)
        if (strcmp(area, area_names[i]) == 0)
            return d->areas[i];
    return d->fd; /* "." */
}

static int check_name(const char *name, struct error *err)
{
    if (name[0] == '.' || strchr(name, '/'))
        return error_set(err, ERR_SYSTEM, "no name for a file of a store: %.100s", name);
    return 0;
}

/* Makes root's new files those of the directory's owner. */
static int give(const struct directory *d, int fd, const char *name, struct error *err)
{
    struct stat st;

    if (geteuid() != 0 || fstat(d->fd, &st) < 0 || st.st_uid == 0)
        return 0;
    if (fchownat(fd, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return error_errno(err, errno, "give a file of the store to its owner");
    return 0;
}

static int directory_list(struct storage *s, const char *area, struct argv *ret, struct error *err)
{
    int fd = -1;
    DIR *dir;

    if (fs_open_dir(area_fd(s, area), ".", &fd, err) < 0)
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
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (check_name(name, err) < 0)
        return -1;
    fd = openat(area_fd(s, area), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT)
        return error_errno(err, errno, "open %s/%s", area, name);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
        return error_set(err, ERR_SYSTEM, "open %s/%s: it is no file", area, name);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int create_locked(struct directory *d, const char *area, char name[40], int *ret_fd,
                         struct error *err)
{
    char random[25];
    CLEANUP_CLOSE int fd = -1;

    digest_random_name(random, sizeof(random) - 1);
    (void)snprintf(name, 40, "%s", random);
    fd = openat(area_fd(&d->storage, area), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "create %s/%s", area, name);
    if (flock(fd, LOCK_EX) < 0)
        return error_errno(err, errno, "lock %s/%s", area, name);
    if (give(d, fd, "", err) < 0)
        return -1;
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
    int to = area_fd(s, area);

    if (check_name(name, err) < 0)
        return -1;
    if (fsync(f->fd) < 0)
        return error_errno(err, errno, "sync %s/%s", area, name);
    if (renameat(area_fd(s, "tmp"), f->temporary, to, name) < 0)
        return error_errno(err, errno, "rename to %s/%s", area, name);
    close(TAKE_FD(f->fd));
    return fsync(to) < 0 ? error_errno(err, errno, "sync %s", area) : 0;
}

static void directory_discard(struct storage *s, struct storage_file *f)
{
    (void)unlinkat(area_fd(s, "tmp"), f->temporary, 0);
    close(TAKE_FD(f->fd));
}

static int directory_remove(struct storage *s, const char *area, const char *name,
                            struct error *err)
{
    if (check_name(name, err) < 0)
        return -1;
    if (unlinkat(area_fd(s, area), name, 0) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove %s/%s", area, name);
    return 0;
}

static int directory_lock(struct storage *s, bool exclusive, int *ret_lock, struct error *err)
{
    struct directory *d = (struct directory *)s;
    CLEANUP_CLOSE int fd =
        openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    int result;

    if (fd < 0)
        return error_errno(err, errno, "open lock");
    if (give(d, fd, "", err) < 0)
        return -1;
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
    *ret_dead = true;
    if (directory_open(&d->storage, area, name, ret_fd, err) < 0)
        return -1;
    if (*ret_fd < 0)
        return 0;
    *ret_dead = flock(*ret_fd, LOCK_EX | LOCK_NB) == 0;
    if (*ret_dead)
        (void)unlinkat(area_fd(&d->storage, area), name, 0);
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
    struct directory *d = (struct directory *)s;

    for (size_t i = 0; i < N_AREAS; i++)
        if (d->areas[i] >= 0)
            close(d->areas[i]);
    if (d->fd >= 0)
        close(d->fd);
    free(d);
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

static int open_areas(struct directory *d, struct error *err)
{
    for (size_t i = 0; i < N_AREAS; i++) {
        const char *name = area_names[i];

        if (mkdirat(d->fd, name, 0700) == 0) {
            if (give(d, d->fd, name, err) < 0)
                return -1;
        } else if (errno != EEXIST)
            return error_errno(err, errno, "make directory %s", name);
        d->areas[i] = openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (d->areas[i] < 0)
            return error_errno(err, errno, "open directory %s", name);
    }
    return fsync(d->fd) < 0 ? error_errno(err, errno, "sync") : 0;
}

int storage_open_directory(const char *dir, struct storage **ret, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct directory *d;

    if (fs_mkdirs(dir, 0700, err) < 0 || fs_open_dir(AT_FDCWD, dir, &fd, err) < 0)
        return -1;
    d = calloc(1, sizeof(*d));
    if (!d)
        return error_set(err, ERR_SYSTEM, "open %s: out of memory", dir);
    d->storage.kind = &directory_kind;
    d->storage.where = strdup(dir);
    d->fd = TAKE_FD(fd);
    for (size_t i = 0; i < N_AREAS; i++)
        d->areas[i] = -1;
    if (!d->storage.where || open_areas(d, err) < 0) {
        if (!d->storage.where)
            (void)error_set(err, ERR_SYSTEM, "out of memory");
        storage_free(&d->storage);
        return error_wrap(err, "%s", dir);
    }
    *ret = &d->storage;
    return 0;
}
