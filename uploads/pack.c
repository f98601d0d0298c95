/* uploads/pack — a directory as a tar; this file and member_reader.c are the ones that know
 * libarchive.
 *
 * What extract would refuse is refused here already, so that `kiln build DIR` and an upload of the
 * same directory agree. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "uploads/entry_name.h"
#include "uploads/uploads.h"

#define BLOCK_SIZE (256u << 10)

struct packer {
    struct archive *archive;
    struct archive_entry *entry;
    locale_t locale;
    unsigned char *block;
    const struct upload_filter *filter;
    int fd;
    struct error write_error; /* of the write that did not succeed */
};

static void release(struct packer *p)
{
    if (p->archive)
        archive_write_free(p->archive);
    if (p->entry)
        archive_entry_free(p->entry);
    if (p->locale)
        freelocale(p->locale);
    free(p->block);
}

static void restore_locale(const locale_t *previous)
{
    (void)uselocale(*previous);
}

static la_ssize_t write_block(struct archive *a, void *self, const void *data, size_t len)
{
    struct packer *p = self;

    if (fs_write_all(p->fd, data, len, &p->write_error) < 0) {
        archive_set_error(a, EIO, "write");
        return -1;
    }
    return (la_ssize_t)len;
}

static int archive_failed(const struct packer *p, const char *path, struct error *err)
{
    if (p->write_error.kind == ERR_NONE)
        return error_set(err, ERR_SYSTEM, "pack %s: %s", entry_name_show(path).text,
                         archive_error_string(p->archive));
    *err = p->write_error;
    return error_wrap(err, "pack %s", entry_name_show(path).text);
}

static int pack_errno(const char *path, const char *what, struct error *err)
{
    int errnum = errno;

    return error_errno(err, errnum, "pack %s: %s", entry_name_show(path).text, what);
}

/* ---- one entry ---- */

static int put_header(struct packer *p, const char *path, const struct stat *st, const char *target,
                      struct error *err)
{
    struct archive_entry *e = archive_entry_clear(p->entry);

    archive_entry_set_pathname(e, path);
    archive_entry_set_mode(e, st->st_mode);
    archive_entry_set_mtime(e, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    archive_entry_set_size(e, S_ISREG(st->st_mode) ? st->st_size : 0);
    if (target)
        archive_entry_set_symlink(e, target);
    if (archive_write_header(p->archive, e) != ARCHIVE_OK)
        return archive_failed(p, path, err);
    return 0;
}

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
                             entry_name_show(path).text);
        if (archive_write_data(p->archive, p->block, (size_t)n) != n)
            return archive_failed(p, path, err);
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
                         entry_name_show(path).text);
    if (put_header(p, path, &st, NULL, err) < 0)
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
                         entry_name_show(path).text, entry_name_show(target).text);
    return put_header(p, path, st, target, err);
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
    if (itself && put_header(p, path, &st, NULL, err) < 0)
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
        entry_name_show(path).text);
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
            return error_set(err, ERR_LIMIT, "pack %s: its path is too long",
                             entry_name_show(path).text);
        if (put_entry(p, dirfd, names.v[i], child, err) < 0)
            return -1;
    }
    return 0;
}

static int begin(struct packer *p, struct error *err)
{
    struct archive *a;

    p->archive = a = archive_write_new();
    p->entry = archive_entry_new();
    p->block = malloc(BLOCK_SIZE);
    p->locale = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    if (!a || !p->entry || !p->block || !p->locale)
        return error_set(err, ERR_SYSTEM, "pack: out of memory, or no C.UTF-8 locale");
    /* "Restricted": pax headers only for what ustar cannot say. */
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(a, (int)BLOCK_SIZE) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open(a, p, NULL, write_block, NULL) != ARCHIVE_OK)
        return archive_failed(p, ".", err);
    return 0;
}

int upload_pack_directory(const char *dir, const struct upload_filter *filter, int fd,
                          struct error *err)
{
    CLEANUP(release) struct packer p = {.filter = filter, .fd = fd};
    CLEANUP_CLOSE int root = -1;

    if (fs_open_dir(AT_FDCWD, dir, &root, err) < 0)
        return error_wrap(err, "pack");
    if (begin(&p, err) < 0)
        return -1;
    /* libarchive asks for the thread's locale when it writes a name. */
    CLEANUP(restore_locale) __attribute__((unused)) locale_t previous = uselocale(p.locale);

    if (put_directory(&p, root, "", err) < 0)
        return -1;
    if (archive_write_close(p.archive) != ARCHIVE_OK)
        return archive_failed(&p, ".", err);
    return 0;
}
