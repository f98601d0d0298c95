/* worker/credentials — see the header. */
#include "worker/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/argv.h"
#include "base/fs.h"

#define YOUNG_SECONDS 60

/* The directory may lie where others can make one of its name before us. */
static int open_own(const char *dir, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statfs fs;
    struct stat st;

    if (fd < 0)
        return error_errno(err, errno, "open %s", dir);
    if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
        return error_errno(err, errno, "look at %s", dir);
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return error_set(err, ERR_SYSTEM, "%s belongs to somebody else, or is open to others", dir);
    if (fs.f_type != TMPFS_MAGIC)
        return error_set(err, ERR_SYSTEM, "%s is not in memory: credentials are kept nowhere else",
                         dir);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int credentials_keep(const char *dir, const char *build, const char *json, size_t len,
                     struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make %s", dir);
    if (open_own(dir, &fd, err) < 0 || fs_write_file(fd, build, json, len, 0600, err) < 0)
        return error_wrap(err, "keep credentials");
    return 0;
}

int credentials_read(const char *dir, const char *build, struct buf *out, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (access(dir, F_OK) < 0)
        return 0;
    if (open_own(dir, &fd, err) < 0)
        return -1;
    if (faccessat(fd, build, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return fs_read_file(fd, build, out, err);
}

void credentials_forget(const char *dir, const char *build)
{
    struct error ignored = ERROR_INIT;
    CLEANUP_CLOSE int fd = -1;

    if (dir && open_own(dir, &fd, &ignored) == 0)
        (void)unlinkat(fd, build, 0);
}

void credentials_sweep(const char *dir, bool (*keep)(void *self, const char *build), void *self)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error ignored = ERROR_INIT;
    CLEANUP_CLOSE int fd = -1;

    if (!dir || open_own(dir, &fd, &ignored) < 0 || fs_list(fd, ".", &names, &ignored) < 0)
        return;
    for (size_t i = 0; i < names.n; i++) {
        struct stat st;

        if (fstatat(fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_mtime < time(NULL) - YOUNG_SECONDS && !keep(self, names.v[i]))
            (void)unlinkat(fd, names.v[i], 0);
    }
}
