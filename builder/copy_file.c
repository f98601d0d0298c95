/* builder/copy_file — see the header. */
#include "builder/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/text.h"

#define NAMES_MAX 65536 /* the kernel's own for all names, and for a value (XATTR_LIST_MAX) */

static bool is_later(struct timespec t, int64_t epoch)
{
    return t.tv_sec > epoch || (t.tv_sec == epoch && t.tv_nsec > 0);
}

struct timespec copy_file_time(struct timespec t, int64_t epoch)
{
    if (epoch >= 0 && is_later(t, epoch))
        return (struct timespec){.tv_sec = epoch};
    return t;
}

struct timespec copy_file_now(int64_t epoch)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return copy_file_time(now, epoch);
}

static int no_owner(const struct copy_attributes *a, int problem, const char *path,
                    struct error *err)
{
    if (problem == EINVAL)
        return error_set(err, ERR_INPUT,
                         "chown %s: the owner %u:%u is beyond the ids that a build has", path,
                         a->uid, a->gid);
    return error_errno(err, problem, "chown %s to %u:%u", path, a->uid, a->gid);
}

/* To the kernel it says: leave it as it is. */
static bool is_nobody(const struct copy_attributes *a)
{
    return a->uid == (uid_t)-1 || a->gid == (gid_t)-1;
}

int copy_file_set(int fd, const struct copy_attributes *a, const char *path, struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, a->mtime};

    if (is_nobody(a))
        return no_owner(a, EINVAL, path, err);
    if (fchown(fd, a->uid, a->gid) < 0)
        return no_owner(a, errno, path, err);
    if (fchmod(fd, a->mode) < 0)
        return error_errno(err, errno, "chmod %s", path);
    if (futimens(fd, times) < 0)
        return error_errno(err, errno, "set the time of %s", path);
    return 0;
}

int copy_file_set_at(int dirfd, const char *name, const struct copy_attributes *a, bool is_link,
                     const char *path, struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, a->mtime};

    if (is_nobody(a))
        return no_owner(a, EINVAL, path, err);
    if (fchownat(dirfd, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return no_owner(a, errno, path, err);
    if (!is_link && fchmodat(dirfd, name, a->mode, 0) < 0)
        return error_errno(err, errno, "chmod %s", path);
    if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "set the time of %s", path);
    return 0;
}

bool copy_file_keeps_xattr(const char *name)
{
    return strcmp(name, "security.capability") == 0 ||
           (text_starts(name, "user.") && !text_starts(name, "user.overlay."));
}

int copy_file_set_xattr(int to, const char *name, const void *value, size_t len, const char *path,
                        struct error *err)
{
    if (fsetxattr(to, name, value, len, 0) == 0 || errno == ENOTSUP || errno == EPERM)
        return 0;
    return error_errno(err, errno, "set the attribute %.100s of %s", name, path);
}

static int copy_xattr(int from, int to, const char *name, const char *path, struct error *err)
{
    CLEANUP_FREE char *value = malloc(NAMES_MAX);
    ssize_t n;

    if (!value)
        return error_set(err, ERR_SYSTEM, "copy %s: out of memory", path);
    n = fgetxattr(from, name, value, NAMES_MAX);
    if (n < 0)
        return errno == ENODATA
                   ? 0
                   : error_errno(err, errno, "read the attribute %.100s of %s", name, path);
    return copy_file_set_xattr(to, name, value, (size_t)n, path, err);
}

int copy_file_xattrs(int from, int to, const char *path, struct error *err)
{
    CLEANUP_FREE char *names = NULL;
    ssize_t n = flistxattr(from, NULL, 0);

    if (n <= 0) /* EBADF: a directory that may only be walked through */
        return n == 0 || errno == ENOTSUP || errno == EBADF
                   ? 0
                   : error_errno(err, errno, "list the attributes of %s", path);
    names = malloc((size_t)n);
    if (!names)
        return error_set(err, ERR_SYSTEM, "copy %s: out of memory", path);
    n = flistxattr(from, names, (size_t)n);
    if (n < 0)
        return error_errno(err, errno, "list the attributes of %s", path);
    for (const char *p = names; p < names + n; p += strlen(p) + 1)
        if (copy_file_keeps_xattr(p) && copy_xattr(from, to, p, path, err) < 0)
            return -1;
    return 0;
}
