/* base/fs — see the header. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/digest.h"

static int make_dir(const char *path, mode_t mode, struct error *err)
{
    struct stat st;

    while (mkdir(path, mode) < 0) {
        if (errno != EEXIST)
            return error_errno(err, errno, "make directory %s", path);
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            return 0;
        if (lstat(path, &st) == 0 || errno != ENOENT)
            return error_errno(err, EEXIST, "make directory %s", path);
        /* It was there, and has just been removed. */
    }
    return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct error *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return error_set(err, ERR_SYSTEM, "make directory %s: path too long", path);
    memcpy(part, path, len + 1);
    for (char *p = part; *p; p++) {
        if (*p != '/' || p == part)
            continue;
        *p = '\0';
        if (make_dir(part, mode, err) < 0)
            return -1;
        *p = '/';
    }
    return make_dir(part, mode, err);
}

int fs_open_dir(int dirfd, const char *path, int *ret_fd, struct error *err)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "open directory %s", path);
    *ret_fd = fd;
    return 0;
}

int fs_list(int dirfd, const char *path, struct argv *ret_names, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    const struct dirent *e;
    DIR *dir;

    if (fs_open_dir(dirfd, path, &fd, err) < 0)
        return -1;
    dir = fdopendir(fd);
    if (!dir)
        return error_errno(err, errno, "list %s", path);
    (void)TAKE_FD(fd); /* it is dir's */
    while ((errno = 0, e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            argv_push1(ret_names, e->d_name);
    (void)closedir(dir);
    if (ret_names->failed)
        return error_set(err, ERR_SYSTEM, "list %s: out of memory", path);
    argv_sort(ret_names);
    return 0;
}

int fs_read_fd(int fd, struct buf *out, struct error *err)
{
    char block[16384];

    for (;;) {
        ssize_t n = read(fd, block, sizeof(block));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "read");
        if (n == 0)
            return 0;
        buf_add(out, block, (size_t)n);
        if (buf_check(out, "the content", err) < 0)
            return -1;
    }
}

int fs_read_file(int dirfd, const char *path, struct buf *out, struct error *err)
{
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    if (fs_read_fd(fd, out, err) < 0)
        return error_wrap(err, "%s", path);
    return 0;
}

int fs_write_all(int fd, const void *data, size_t len, struct error *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "write");
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fs_memory_file(const char *name, const void *data, size_t len, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "make a memory file");
    if (fs_write_all(fd, data, len, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewind a memory file");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

ssize_t fs_pread(int fd, void *data, size_t len, uint64_t offset)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = pread(fd, (char *)data + got, len - got, (off_t)(offset + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

int fs_pwrite(int fd, const void *data, size_t len, uint64_t offset)
{
    size_t put = 0;

    while (put < len) {
        ssize_t n = pwrite(fd, (const char *)data + put, len - put, (off_t)(offset + put));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        put += (size_t)n;
    }
    return 0;
}

int fs_sync_parent(int dirfd, const char *path, struct error *err)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    CLEANUP_CLOSE int fd = -1;

    if (!slash)
        (void)snprintf(parent, sizeof(parent), ".");
    else
        (void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path) + 1, path);
    if (fs_open_dir(dirfd, parent, &fd, err) < 0)
        return -1;
    if (fsync(fd) < 0)
        return error_errno(err, errno, "sync directory %s", parent);
    return 0;
}

static int write_temporary(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                           struct error *err)
{
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0)
        return error_errno(err, errno, "create %s", path);
    if (fs_write_all(fd, data, len, err) < 0)
        return error_wrap(err, "%s", path);
    if (fsync(fd) < 0)
        return error_errno(err, errno, "sync %s", path);
    return 0;
}

int fs_write_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                  struct error *err)
{
    char temporary[PATH_MAX];
    char name[9];

    digest_random_name(name, 8);
    if (snprintf(temporary, sizeof(temporary), "%s.tmp-%s", path, name) >= (int)sizeof(temporary))
        return error_set(err, ERR_SYSTEM, "write %s: path too long", path);
    if (write_temporary(dirfd, temporary, data, len, mode, err) < 0 ||
        (renameat(dirfd, temporary, dirfd, path) < 0 &&
         error_errno(err, errno, "rename %s to %s", temporary, path) < 0)) {
        (void)unlinkat(dirfd, temporary, 0);
        return -1;
    }
    return fs_sync_parent(dirfd, path, err);
}

/* ---- removal ----
 *
 * A RUN step can nest directories far deeper than there are descriptors or stack.  So the descent
 * stops at DEPTH_MAX: what is deeper moves up into the top directory and waits for another pass. */

#define DEPTH_MAX 64

struct removal {
    int top;    /* the directory that is being removed */
    bool moved; /* something was moved up in this pass */
};

static int remove_at(struct removal *r, int dirfd, const char *name, int depth, struct error *err);

/* Takes over fd. */
static int remove_children(struct removal *r, int fd, int depth, struct error *err)
{
    DIR *dir = fdopendir(fd);
    int result = 0;

    if (!dir) {
        int problem = errno;

        close(fd);
        return error_errno(err, problem, "list directory");
    }
    for (struct dirent *e = readdir(dir); e && result == 0; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            result = remove_at(r, dirfd(dir), e->d_name, depth, err);
    closedir(dir);
    return result;
}

/* Opens a directory that unlink refused because of `problem`, giving its owner every right; -1 in
 * *ret_fd: it has gone meanwhile. */
static int open_to_empty(int dirfd, const char *name, int problem, int *ret_fd, struct error *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dirfd, name, flags);

    if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(dirfd, name, flags);
    if (fd < 0 && errno != ENOENT)
        return error_errno(err, errno == ENOTDIR ? problem : errno, "remove %s", name);
    if (fd >= 0)
        (void)fchmod(fd, 0700);
    *ret_fd = fd;
    return 0;
}

static int move_up(struct removal *r, int dirfd, const char *name, struct error *err)
{
    char fresh[25];

    digest_random_name(fresh, sizeof(fresh) - 1);
    if (renameat(dirfd, name, r->top, fresh) == 0)
        r->moved = true;
    else if (errno != ENOENT)
        return error_errno(err, errno, "move %s up to remove it", name);
    return 0;
}

static int empty_top(int fd, struct error *err)
{
    struct removal r = {.top = fd};

    do {
        int pass = -1;

        r.moved = false;
        if (fs_open_dir(fd, ".", &pass, err) < 0 || remove_children(&r, pass, 1, err) < 0)
            return -1;
    } while (r.moved);
    return 0;
}

static int remove_at(struct removal *r, int dirfd, const char *name, int depth, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    int result;

    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM && errno != EACCES)
        return error_errno(err, errno, "remove %s", name);
    if (open_to_empty(dirfd, name, errno, &fd, err) < 0)
        return -1;
    if (fd < 0)
        return 0;
    if (depth >= DEPTH_MAX)
        return move_up(r, dirfd, name, err);
    result = depth == 0 ? empty_top(fd, err) : remove_children(r, TAKE_FD(fd), depth + 1, err);
    if (result < 0)
        return error_wrap(err, "%s", name);
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove directory %s", name);
    return 0;
}

int fs_remove_tree(int dirfd, const char *path, struct error *err)
{
    return remove_at(NULL, dirfd, path, 0, err);
}
