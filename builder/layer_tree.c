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
#include "builder/layer_place.h"

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

int layer_place_remember_time(struct layer_tree *t, const char *path, struct timespec mtime,
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

bool layer_place_is_whiteout(const struct stat *st)
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
int layer_place_make_directory(struct layer_tree *t, int dir, const char *name, bool opaque,
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
        if (!layer_place_is_whiteout(&st))
            return error_set(err, ERR_INPUT, "what it is to be in is no directory");
        if (unlinkat(dir, name, 0) < 0)
            return error_errno(err, errno, "replace a whiteout");
        opaque = true;
    } else if (errno != ENOENT) {
        return error_errno(err, errno, "look at what it is to be in");
    }
    return layer_place_make_directory(t, dir, name, opaque, err);
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
int layer_place_open(struct layer_tree *t, const char *path, int *ret_fd, const char **ret_name,
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
int layer_place_clear(struct layer_tree *t, int dir, const char *name, bool for_directory,
                      bool *ret_there, bool *ret_whiteout, struct error *err)
{
    struct stat st;

    *ret_there = *ret_whiteout = false;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "look at what is in its place");
    *ret_whiteout = layer_place_is_whiteout(&st);
    *ret_there = for_directory && S_ISDIR(st.st_mode);
    if (*ret_there)
        return 0;
    /* What is open may be below it, or behind it; it stays open, as it may also be dir. */
    (void)snprintf(t->parent_path, sizeof(t->parent_path), "%s", NO_PATH);
    if (!S_ISDIR(st.st_mode))
        return unlinkat(dir, name, 0) == 0 ? 0 : error_errno(err, errno, "replace it");
    return fs_remove_tree(dir, name, err);
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

    if (layer_place_open(t, path, &dir, &name, err) < 0)
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
