/* builder/layer_tree — see the header. */
#include "builder/layer_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "builder/layer_attributes.h"

#define NO_PATH     "/" /* no cleaned path is that */
#define OPEN_PARENT (O_PATH | O_DIRECTORY | O_CLOEXEC)

struct layer_time {
    char *path;
    struct timespec mtime;
};

void layer_tree_init(struct layer_tree *t, int root, bool userxattr)
{
    *t = (struct layer_tree){.root = root, .userxattr = userxattr, .parent_fd = -1};
}

static void forget_parent(struct layer_tree *t)
{
    if (t->parent_fd >= 0)
        close(t->parent_fd);
    t->parent_fd = -1;
}

void layer_tree_release(struct layer_tree *t)
{
    forget_parent(t);
    for (size_t i = 0; i < t->n_times; i++)
        free(t->times[i].path);
    free(t->times);
    t->times = NULL;
    t->n_times = 0;
}

static int remember_time(struct layer_tree *t, const char *path, struct timespec mtime,
                         struct error *err)
{
    struct layer_time *times = t->times;
    size_t cap = t->cap_times ? t->cap_times * 2 : 64;

    if (t->n_times == t->cap_times) {
        times = reallocarray(times, cap, sizeof(*times));
        if (!times)
            return error_set(err, ERR_SYSTEM, "unpack a layer: out of memory");
        t->times = times;
        t->cap_times = cap;
    }
    times[t->n_times] = (struct layer_time){.path = strdup(path), .mtime = mtime};
    if (!times[t->n_times].path)
        return error_set(err, ERR_SYSTEM, "unpack a layer: out of memory");
    t->n_times++;
    return 0;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* ---- parents ---- */

static int open_in_root(const struct layer_tree *t, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };

    int fd = -1;

    /* EAGAIN: something was renamed anywhere while the kernel was on its way up. */
    for (int tries = 0; tries < 100; tries++) {
        fd = (int)syscall(SYS_openat2, t->root, *path ? path : ".", &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd;
}

/* A directory of our own accord; one in a whiteout's place hides what the whiteout hid. */
static int make_directory(struct layer_tree *t, int dir, const char *name, bool opaque,
                          struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (mkdirat(dir, name, 0755) < 0)
        return error_errno(err, errno, "make a directory");
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0)
        return error_errno(err, errno, "open a directory");
    return opaque ? attributes_set_opaque(fd, t->userxattr, err) : 0;
}

/* name in dir, which is the end of `so_far`, has to be a directory and is none. */
static int make_parent(struct layer_tree *t, int dir, const char *name, struct error *err)
{
    bool opaque = false;
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!is_whiteout(&st))
            return error_set(err, ERR_INPUT, "what it is to be in is no directory");
        if (unlinkat(dir, name, 0) < 0)
            return error_errno(err, errno, "replace a whiteout");
        opaque = true;
    } else if (errno != ENOENT) {
        return error_errno(err, errno, "look at what it is to be in");
    }
    return make_directory(t, dir, name, opaque, err);
}

/* Component by component, making what is missing. */
static int walk(struct layer_tree *t, const char *path, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = open_in_root(t, "", OPEN_PARENT);
    char so_far[PATH_MAX] = "";
    char name[NAME_MAX + 1];

    for (const char *p = path; fd >= 0 && *p;) {
        size_t len = strcspn(p, "/");
        int next;

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, p);
        p += len;
        (void)snprintf(so_far, sizeof(so_far), "%.*s", (int)(p - path), path);
        next = open_in_root(t, so_far, OPEN_PARENT);
        if (next < 0 && (errno == ENOENT || errno == ENOTDIR)) {
            if (make_parent(t, fd, name, err) < 0)
                return -1;
            next = open_in_root(t, so_far, OPEN_PARENT);
        }
        if (next < 0 && errno == ELOOP)
            return error_set(err, ERR_INPUT, "the links it is behind go round");
        close(fd);
        fd = next;
        p += *p == '/';
    }
    if (fd < 0)
        return error_errno(err, errno, "open what it is to be in");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* *ret_fd is borrowed until the next call; *ret_name points into path. */
static int open_parent(struct layer_tree *t, const char *path, int *ret_fd, const char **ret_name,
                       struct error *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    char parent[PATH_MAX];
    int fd;

    *ret_name = slash ? slash + 1 : path;
    memcpy(parent, path, len);
    parent[len] = '\0';
    if (t->parent_fd < 0 || strcmp(t->parent_path, parent) != 0) {
        fd = open_in_root(t, parent, OPEN_PARENT);
        if (fd < 0 && walk(t, parent, &fd, err) < 0)
            return -1;
        forget_parent(t);
        t->parent_fd = fd;
        memcpy(t->parent_path, parent, len + 1);
    }
    *ret_fd = t->parent_fd;
    return 0;
}

/* What stands in the way goes, but a directory for a directory.  *ret_whiteout: it was one. */
static int make_way(struct layer_tree *t, int dir, const char *name, bool for_directory,
                    bool *ret_there, bool *ret_whiteout, struct error *err)
{
    struct stat st;

    *ret_there = *ret_whiteout = false;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "look at what is in its place");
    *ret_whiteout = is_whiteout(&st);
    *ret_there = for_directory && S_ISDIR(st.st_mode);
    if (*ret_there)
        return 0;
    /* What is open may be below it, or behind it; it stays open, as it may also be dir. */
    (void)snprintf(t->parent_path, sizeof(t->parent_path), "%s", NO_PATH);
    if (!S_ISDIR(st.st_mode))
        return unlinkat(dir, name, 0) == 0 ? 0 : error_errno(err, errno, "replace it");
    return fs_remove_tree(dir, name, err);
}

/* Opens what path is in, and clears its place. */
static int clear(struct layer_tree *t, const char *path, bool for_directory, int *ret_dir,
                 const char **ret_name, bool *ret_there, bool *ret_whiteout, struct error *err)
{
    if (open_parent(t, path, ret_dir, ret_name, err) < 0)
        return -1;
    return make_way(t, *ret_dir, *ret_name, for_directory, ret_there, ret_whiteout, err);
}

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

/* ---- entries ---- */

static bool is_zero(const unsigned char *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static int write_at(int fd, const unsigned char *p, size_t len, uint64_t offset, struct error *err)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, p, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "write it");
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
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
    if (!there && make_directory(t, dir, name, whiteout, err) < 0)
        return -1;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open it");
    if (dress(fd, m, err) < 0)
        return -1;
    return remember_time(t, path, m->mtime, err);
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
    int dir;

    if (!*target || open_parent(t, target, &dir, &name, err) < 0)
        return *target ? -1 : error_set(err, ERR_INPUT, "it is a hard link to the root");
    if (fstatat(dir, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
        return error_errno(err, errno, "look at what it links to");
    else if (fstatat(dir, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0 || is_whiteout(ret_st) ||
             S_ISDIR(ret_st->st_mode))
        return error_set(err, ERR_INPUT,
                         "it is a hard link to %.300s, which is no file before it in the layer",
                         target);
    /* The tree's own descriptor changes with the next path. */
    fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, errno, "look at what it links to");
    *ret_dir = TAKE_FD(fd);
    *ret_name = name;
    return 0;
}

static int put_hardlink(struct layer_tree *t, const char *path, const char *target,
                        struct error *err)
{
    CLEANUP_CLOSE int from = -1;
    const char *from_name, *name;
    struct stat st, here;
    bool there, whiteout;
    int dir;

    if (open_target(t, target, &from, &from_name, &st, err) < 0 ||
        open_parent(t, path, &dir, &name, err) < 0)
        return -1;
    if (fstatat(dir, name, &here, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == st.st_ino &&
        here.st_dev == st.st_dev)
        return 0; /* it is that already, and replacing it could remove the last name */
    if (make_way(t, dir, name, false, &there, &whiteout, err) < 0)
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

/* ---- what is hidden ---- */

int layer_tree_make_opaque(struct layer_tree *t, const char *path, struct error *err)
{
    CLEANUP_CLOSE int fd = open_in_root(t, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP_CLOSE int found = -1;

    if (fd < 0) {
        if (walk(t, path, &found, err) < 0)
            return -1;
        fd = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return error_errno(err, errno, "open a directory");
    return attributes_set_opaque(fd, t->userxattr, err);
}

/* A whiteout speaks of the layers below: what this one has under the name stays. */
int layer_tree_white_out(struct layer_tree *t, const char *path, struct error *err)
{
    const char *name;
    struct stat st;
    int dir;

    if (open_parent(t, path, &dir, &name, err) < 0)
        return -1;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISDIR(st.st_mode) ? layer_tree_make_opaque(t, path, err) : 0;
    if (errno != ENOENT)
        return error_errno(err, errno, "look at what is in its place");
    if (mknodat(dir, name, S_IFCHR, 0) < 0)
        return error_errno(err, errno, "make a whiteout");
    return 0;
}

/* ---- the end ---- */

int layer_tree_finish(struct layer_tree *t, struct error *err)
{
    for (size_t i = 0; i < t->n_times; i++) {
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, t->times[i].mtime};
        CLEANUP_CLOSE int fd =
            open_in_root(t, t->times[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        /* One that a later entry replaced is not there any more. */
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
            continue;
        if (fd < 0 || futimens(fd, times) < 0)
            return error_errno(err, errno, "set the time of %.300s", t->times[i].path);
    }
    return 0;
}
