/* dockerfile/source_directory — a context on disk, which whoever uploaded it has filled: symlinks
 * are followed with the context as their root (openat2, RESOLVE_IN_ROOT), and what is neither a
 * regular file nor a directory is not there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "dockerfile/source.h"

static int open_path(const int *dirfd, const char *path, struct stat *st)
{
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, *dirfd, *path ? path : ".", &how, sizeof(how));

    if (fd >= 0 && fstat(fd, st) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int directory_kind(void *self, const char *path, enum source_kind *ret, struct error *err)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open_path(self, path, &st);

    (void)err;
    *ret = fd < 0                ? SOURCE_NONE
           : S_ISREG(st.st_mode) ? SOURCE_FILE
           : S_ISDIR(st.st_mode) ? SOURCE_DIRECTORY
                                 : SOURCE_NONE;
    return 0;
}

static int directory_read(void *self, const char *path, struct buf *out, bool *ret_found,
                          struct error *err)
{
    struct stat st;
    CLEANUP_CLOSE int fd = open_path(self, path, &st);

    if (fd < 0 || !S_ISREG(st.st_mode)) {
        *ret_found = false;
        return 0;
    }
    if (fs_read_fd(fd, out, err) < 0)
        return error_wrap(err, "read %.200s", path);
    *ret_found = true;
    return 0;
}

static bool is_directory(int fd, const struct dirent *e)
{
    struct stat st;

    if (e->d_type == DT_DIR)
        return true;
    if (e->d_type != DT_UNKNOWN)
        return false;
    return fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int read_names(DIR *dir, struct argv *names, struct error *err)
{
    const struct dirent *e;

    while ((errno = 0, e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (names->n == SOURCE_LIST_MAX)
            return error_set(err, ERR_LIMIT, "more than %d names", SOURCE_LIST_MAX);
        argv_pushf(names, "%s%s", e->d_name, is_directory(dirfd(dir), e) ? "/" : "");
    }
    if (errno)
        return error_errno(err, errno, "read it");
    return names->failed ? error_set(err, ERR_SYSTEM, "out of memory") : 0;
}

static int directory_list(void *self, const char *path, struct argv *ret_names, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct stat st;
    int fd = open_path(self, path, &st);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int r;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        *ret_names = (struct argv)ARGV_INIT;
        return 0;
    }
    r = read_names(dir, &names, err);
    (void)closedir(dir);
    if (r < 0)
        return error_wrap(err, "list directory \"%.200s\"", path);
    argv_sort(&names);
    *ret_names = names;
    names = (struct argv)ARGV_INIT;
    return 0;
}

struct dockerfile_source dockerfile_source_directory(const int *dirfd)
{
    return (struct dockerfile_source){.kind = directory_kind,
                                      .read = directory_read,
                                      .list = directory_list,
                                      .self = (void *)dirfd};
}
