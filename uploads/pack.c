/* uploads/pack — a directory as a tar.
 *
 * What extract would refuse is refused here already, so that `kiln build DIR` and an upload of the
 * same directory agree. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/entry_name.h"
#include "uploads/tar_writer.h"
#include "uploads/uploads.h"

#define BLOCK_SIZE (256u << 10)

struct packer {
    struct tar_writer *tar;
    unsigned char *block;
    const struct upload_filter *filter;
};

static void release(struct packer *p)
{
    tar_writer_free(p->tar);
    free(p->block);
}

static int pack_errno(const char *path, const char *what, struct error *err)
{
    int errnum = errno;

    return error_errno(err, errnum, "pack %s: %s", text_show(path).text, what);
}

/* ---- one entry ---- */

/* The header has promised so many bytes, and the file may be growing or shrinking meanwhile. */
static int put_content(struct packer *p, const char *path, int fd, uint64_t size, struct error *err)
{
    while (size > 0) {
        size_t want = size < BLOCK_SIZE ? (size_t)size : BLOCK_SIZE;
        ssize_t n = read(fd, p->block, want);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pack_errno(path, "read it", err);
        if (n == 0)
            return error_set(err, ERR_INPUT, "pack %s: it became shorter while it was read",
                             text_show(path).text);
        if (tar_writer_data(p->tar, path, p->block, (size_t)n, err) < 0)
            return -1;
        size -= (uint64_t)n;
    }
    return 0;
}

static int put_file(struct packer *p, int dirfd, const char *name, const char *path,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return pack_errno(path, "open it", err);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_INPUT, "pack %s: it was replaced while it was read",
                         text_show(path).text);
    if (tar_writer_header(p->tar, path, &st, NULL, err) < 0)
        return -1;
    return put_content(p, path, fd, (uint64_t)st.st_size, err);
}

static int put_symlink(struct packer *p, int dirfd, const char *name, const char *path,
                       const struct stat *st, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

    if (n < 0)
        return pack_errno(path, "read the link", err);
    target[n] = '\0';
    if (!entry_name_is_target(target, (size_t)n))
        return error_set(err, ERR_INPUT, "pack %s: a symbolic link to %s, which is no path",
                         text_show(path).text, text_show(target).text);
    return tar_writer_header(p->tar, path, st, target, err);
}

/* ---- directories ---- */

static int list_names(int dirfd, const char *path, struct argv *ret, struct error *err)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return pack_errno(path, "list it", err);
    }
    errno = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            argv_push1(ret, e->d_name);
    closedir(dir);
    if (ret->failed)
        return error_set(err, ERR_SYSTEM, "pack: out of memory");
    argv_sort(ret);
    return 0;
}

static int put_directory(struct packer *p, int dirfd, const char *path, struct error *err);

static int enter_directory(struct packer *p, int dirfd, const char *name, const char *path,
                           bool itself, struct error *err)
{
    CLEANUP_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return pack_errno(path, "open it", err);
    if (itself && tar_writer_header(p->tar, path, &st, NULL, err) < 0)
        return -1;
    return put_directory(p, fd, path, err);
}

static enum upload_choice choose(const struct packer *p, const char *path, const struct stat *st)
{
    return p->filter ? p->filter->choose(p->filter->self, path, S_ISDIR(st->st_mode)) : UPLOAD_KEEP;
}

static int put_entry(struct packer *p, int dirfd, const char *name, const char *path,
                     struct error *err)
{
    enum upload_choice choice;
    char normal[PATH_MAX];
    struct stat st;
    bool slash;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return pack_errno(path, "look at it", err);
    choice = choose(p, path, &st);
    if (choice == UPLOAD_SKIP)
        return 0;
    /* Also bounds the depth, and with it this recursion and its open descriptors. */
    if (entry_name_to_path(path, &upload_limits_default, normal, &slash, err) < 0)
        return error_wrap(err, "pack");
    if (S_ISREG(st.st_mode))
        return put_file(p, dirfd, name, path, err);
    if (S_ISDIR(st.st_mode))
        return enter_directory(p, dirfd, name, path, choice == UPLOAD_KEEP, err);
    if (S_ISLNK(st.st_mode))
        return put_symlink(p, dirfd, name, path, &st, err);
    return error_set(
        err, ERR_INPUT,
        "pack %s: it is a device, FIFO or socket, which no image is built from; remove "
        "it or move it elsewhere",
        text_show(path).text);
}

/* path: relative to the root, "" for the root itself. */
static int put_directory(struct packer *p, int dirfd, const char *path, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char child[PATH_MAX];

    if (list_names(dirfd, path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        int n = snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", names.v[i]);

        if (n < 0 || (size_t)n >= sizeof(child))
            return error_set(err, ERR_LIMIT, "pack %s: its path is too long", text_show(path).text);
        if (put_entry(p, dirfd, names.v[i], child, err) < 0)
            return -1;
    }
    return 0;
}

int upload_pack_directory(const char *dir, const struct upload_filter *filter, int fd,
                          struct error *err)
{
    CLEANUP(release) struct packer p = {.filter = filter, .block = malloc(BLOCK_SIZE)};
    CLEANUP_CLOSE int root = -1;

    if (!p.block)
        return error_set(err, ERR_SYSTEM, "pack: out of memory");
    if (fs_open_dir(AT_FDCWD, dir, &root, err) < 0)
        return error_wrap(err, "pack");
    if (tar_writer_new(fd, &p.tar, err) < 0 || put_directory(&p, root, "", err) < 0)
        return -1;
    return tar_writer_close(p.tar, err);
}

int upload_pack_files(const struct upload_file *files, size_t n, int fd, struct error *err)
{
    CLEANUP(tar_writer_freep) struct tar_writer *tar = NULL;

    if (tar_writer_new(fd, &tar, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const struct stat st = {.st_mode = S_IFREG | 0644, .st_size = (off_t)files[i].len};

        if (tar_writer_header(tar, files[i].path, &st, NULL, err) < 0 ||
            tar_writer_data(tar, files[i].path, files[i].content, files[i].len, err) < 0)
            return -1;
    }
    return tar_writer_close(tar, err);
}
