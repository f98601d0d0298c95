/* base/fs — see the header. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"

static int make_dir(const char *path, mode_t mode, struct error *err)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return error_errno(err, errno, "make directory %s", path);
}

int fs_mkdirs(const char *path, mode_t mode, struct error *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return error_set(err, ERR_SYSTEM, "make directory %s: path too long", path);
    memcpy(part, path, len + 1);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
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

static int remove_at(int dirfd, const char *name, struct error *err);

static int remove_children(int fd, struct error *err)
{
    DIR *dir = fdopendir(fd);
    int result = 0;

    if (!dir) {
        close(fd);
        return error_errno(err, errno, "list directory");
    }
    for (struct dirent *e = readdir(dir); e && result == 0; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            result = remove_at(dirfd(dir), e->d_name, err);
    closedir(dir);
    return result;
}

static int remove_at(int dirfd, const char *name, struct error *err)
{
    int fd;

    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM && errno != EACCES)
        return error_errno(err, errno, "remove %s", name);
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "remove %s", name);
    (void)fchmod(fd, 0700);
    if (remove_children(fd, err) < 0)
        return error_wrap(err, "%s", name);
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove directory %s", name);
    return 0;
}

int fs_remove_tree(int dirfd, const char *path, struct error *err)
{
    return remove_at(dirfd, path, err);
}
