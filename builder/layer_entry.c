/* builder/layer_entry — an entry of a layer is made in its place, and gets its owner, attributes,
 * mode and time. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/layer_attributes.h"
#include "builder/layer_place.h"

/* ---- what an entry has besides its data ---- */

/* EINVAL is about what the layer says: an owner that this user namespace has not, a capability that
 * is none. */
static int blame(int errnum, struct error *err)
{
    err->kind = errnum == EINVAL ? ERR_INPUT : ERR_SYSTEM;
    return -1;
}

static int set_attributes(int fd, const struct layer_member *m, struct error *err)
{
    for (size_t i = 0; i < m->n_attributes; i++) {
        const struct tar_attribute *a = &m->attributes[i];

        if (attribute_is_carried(a->name) && fsetxattr(fd, a->name, a->value, a->len, 0) < 0) {
            int problem = errno;

            (void)error_errno(err, problem, "set the attribute %.255s", a->name);
            return blame(problem, err);
        }
    }
    return 0;
}

static int refuse_owner(int errnum, const struct layer_member *m, struct error *err)
{
    (void)error_errno(err, errnum, "give it to %lld:%lld", (long long)m->uid, (long long)m->gid);
    return blame(errnum, err);
}

static int check_owner(const struct layer_member *m, struct error *err)
{
    if (m->uid < 0 || m->gid < 0 || m->uid >= UINT32_MAX || m->gid >= UINT32_MAX)
        return error_set(err, ERR_INPUT, "its owner is no number that a system has");
    return 0;
}

/* Owner first: it takes away set-user-ID bits and capabilities. */
static int dress(int fd, const struct layer_member *m, struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, m->mtime};

    if (fchown(fd, (uid_t)m->uid, (gid_t)m->gid) < 0)
        return refuse_owner(errno, m, err);
    if (set_attributes(fd, m, err) < 0)
        return -1;
    if (fchmod(fd, m->mode) < 0)
        return error_errno(err, errno, "set its mode");
    if (futimens(fd, times) < 0)
        return error_errno(err, errno, "set its time");
    return 0;
}

static int dress_at(int dir, const char *name, const struct layer_member *m, struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, m->mtime};

    if (fchownat(dir, name, (uid_t)m->uid, (gid_t)m->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return refuse_owner(errno, m, err);
    if (m->type != TAR_SYMLINK && fchmodat(dir, name, m->mode, 0) < 0)
        return error_errno(err, errno, "set its mode");
    if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "set its time");
    return 0;
}

/* Opens what path is in, and clears its place. */
static int clear(struct layer_tree *t, const char *path, bool for_directory, int *ret_dir,
                 const char **ret_name, bool *ret_there, bool *ret_whiteout, struct error *err)
{
    if (layer_place_open(t, path, ret_dir, ret_name, err) < 0)
        return -1;
    return layer_place_clear(t, *ret_dir, *ret_name, for_directory, ret_there, ret_whiteout, err);
}

/* ---- entries ---- */

static bool is_zero(const unsigned char *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static int write_at(int fd, const unsigned char *p, size_t len, uint64_t offset, struct error *err)
{
    return fs_pwrite(fd, p, len, offset) < 0 ? error_errno(err, errno, "write it") : 0;
}

/* Pieces of zeros stay holes. */
static int copy_data(int fd, struct layer_reader *r, struct error *err)
{
    for (;;) {
        const void *data = NULL;
        size_t len = 0;
        uint64_t offset = 0;

        if (layer_reader_data(r, &data, &len, &offset, err) < 0)
            return -1;
        if (!data) {
            if (ftruncate(fd, (off_t)offset) < 0)
                return error_errno(err, errno, "give it its size");
            return 0;
        }
        if (!is_zero(data, len) && write_at(fd, data, len, offset, err) < 0)
            return -1;
    }
}

static int put_file(struct layer_tree *t, const char *path, const struct layer_member *m,
                    struct layer_reader *r, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    bool there, whiteout;
    const char *name;
    int dir;

    if (clear(t, path, false, &dir, &name, &there, &whiteout, err) < 0)
        return -1;
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "create it");
    return copy_data(fd, r, err) < 0 ? -1 : dress(fd, m, err);
}

static int put_directory(struct layer_tree *t, const char *path, const struct layer_member *m,
                         struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    bool there = true, whiteout = false;
    const char *name = ".";
    int dir = t->root;

    if (*path && clear(t, path, true, &dir, &name, &there, &whiteout, err) < 0)
        return -1;
    if (!there && layer_place_make_directory(t, dir, name, whiteout, err) < 0)
        return -1;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open it");
    if (dress(fd, m, err) < 0)
        return -1;
    return layer_place_remember_time(t, path, m->mtime, err);
}

static int put_symlink(struct layer_tree *t, const char *path, const struct layer_member *m,
                       struct error *err)
{
    bool there, whiteout;
    const char *name;
    int dir;

    if (clear(t, path, false, &dir, &name, &there, &whiteout, err) < 0)
        return -1;
    if (symlinkat(m->target, dir, name) < 0)
        return errno == ENOENT || errno == ENAMETOOLONG
                   ? error_set(err, ERR_INPUT, "it is a link to a path that cannot be one")
                   : error_errno(err, errno, "make the link");
    return dress_at(dir, name, m, err);
}

/* A device that may not be made here could not be used here either. */
static int put_special(struct layer_tree *t, const char *path, const struct layer_member *m,
                       struct error *err)
{
    mode_t kind = m->type == TAR_FIFO ? S_IFIFO : m->type == TAR_CHARACTER ? S_IFCHR : S_IFBLK;
    dev_t device = m->type == TAR_FIFO ? 0 : m->device;
    bool there, whiteout;
    const char *name;
    int dir;

    if (clear(t, path, false, &dir, &name, &there, &whiteout, err) < 0)
        return -1;
    if (mknodat(dir, name, kind | 0600, device) < 0)
        return errno == EPERM && kind != S_IFIFO ? 0 : error_errno(err, errno, "make it");
    return dress_at(dir, name, m, err);
}

/* Opens what a hard link names: itself, and not where that leads. */
static int open_target(struct layer_tree *t, const char *target, int *ret_dir,
                       const char **ret_name, struct stat *ret_st, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    const char *name;
    struct stat st;
    bool there;
    int dir;

    if (!*target)
        return error_set(err, ERR_INPUT, "it is a hard link to the root");
    if (layer_place_open(t, target, &dir, &name, err) < 0)
        return -1;
    there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && errno != ENOENT)
        return error_errno(err, errno, "look at what it links to");
    if (!there || layer_place_is_whiteout(&st) || S_ISDIR(st.st_mode))
        return error_set(err, ERR_INPUT,
                         "it is a hard link to %.300s, which is no file before it in the layer",
                         target);
    /* The tree's own descriptor changes with the next path. */
    fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, errno, "look at what it links to");
    *ret_dir = TAKE_FD(fd);
    *ret_name = name;
    *ret_st = st;
    return 0;
}

static int put_hardlink(struct layer_tree *t, const char *path, const char *target,
                        struct error *err)
{
    CLEANUP_CLOSE int from = -1;
    const char *from_name = NULL, *name;
    struct stat st = {.st_ino = 0}, here;
    bool there, whiteout;
    int dir;

    if (open_target(t, target, &from, &from_name, &st, err) < 0 ||
        layer_place_open(t, path, &dir, &name, err) < 0)
        return -1;
    if (fstatat(dir, name, &here, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == st.st_ino &&
        here.st_dev == st.st_dev)
        return 0; /* it is that already, and replacing it could remove the last name */
    if (layer_place_clear(t, dir, name, false, &there, &whiteout, err) < 0)
        return -1;
    if (linkat(from, from_name, dir, name, 0) < 0)
        return errno == ENOENT || errno == EMLINK
                   ? error_set(err, ERR_INPUT, "it is a hard link to %.300s, which it replaces",
                               target)
                   : error_errno(err, errno, "link it");
    return 0;
}

int layer_tree_put(struct layer_tree *t, const char *path, const char *target,
                   const struct layer_member *m, struct layer_reader *r, struct error *err)
{
    if (!*path && m->type != TAR_DIRECTORY)
        return error_set(err, ERR_INPUT, "the root of a layer is no directory");
    if (check_owner(m, err) < 0)
        return -1;
    switch (m->type) {
    case TAR_FILE:
        return put_file(t, path, m, r, err);
    case TAR_DIRECTORY:
        return put_directory(t, path, m, err);
    case TAR_SYMLINK:
        return put_symlink(t, path, m, err);
    case TAR_HARDLINK:
        return put_hardlink(t, path, target, err);
    default:
        return put_special(t, path, m, err);
    }
}
