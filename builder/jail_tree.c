/* builder/jail_tree — a filesystem made of nothing but what the specification lists.
 *
 * What is bound from the host is opened first, as detached copies of its mounts (open_tree(2));
 * then the tree is put together in a tmpfs, and pivot_root makes it all there is.  Entries are
 * data, in the order in which they are made. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "builder/jail_inside.h"

/* A directory that every host has and the tree's tmpfs may cover on the way. */
#define STAGING "/usr"

/* ---- what is bound ---- */

static bool is_bound(enum jail_entry_kind kind)
{
    return kind == JAIL_BIND || kind == JAIL_BIND_RO || kind == JAIL_DEVICE;
}

static int open_mount(const struct jail_entry *e, int *ret_fd, struct error *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE};
    CLEANUP_CLOSE int fd =
        open_tree(AT_FDCWD, e->from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (fd < 0)
        return error_errno(err, errno, "bind %s", e->from);
    if (e->kind == JAIL_BIND_RO)
        attr.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (e->kind == JAIL_DEVICE)
        attr.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return error_errno(err, errno, "bind %s", e->from);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int jail_tree_open(const struct jail_spec *spec, int *ret_fds, struct error *err)
{
    for (size_t i = 0; i < spec->n_entries; i++)
        if (is_bound(spec->entries[i].kind) && open_mount(&spec->entries[i], &ret_fds[i], err) < 0)
            return -1;
    return 0;
}

/* ---- putting it together; the working directory is the new root ---- */

static int make_parents(const char *path, struct error *err)
{
    CLEANUP_FREE char *parent = strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;

    if (!slash)
        return 0;
    *slash = '\0';
    return fs_mkdirs(parent, 0755, err);
}

static int make_file(const struct jail_entry *e, mode_t mode, struct error *err)
{
    CLEANUP_CLOSE int fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0)
        return error_errno(err, errno, "create %s", e->path);
    return fs_write_all(fd, e->from, strlen(e->from), err);
}

static int make_bind(const struct jail_entry *e, int fd, struct error *err)
{
    struct stat st;
    const struct jail_entry empty = {.path = e->path, .from = (char[]){""}};

    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at %s", e->from);
    if (S_ISDIR(st.st_mode) ? fs_mkdirs(e->path, 0755, err) < 0 : make_file(&empty, 0444, err) < 0)
        return -1;
    if (move_mount(fd, "", AT_FDCWD, e->path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errno(err, errno, "mount %s", e->from);
    return 0;
}

static int make_mount(const struct jail_entry *e, const char *type, unsigned long flags,
                      struct error *err)
{
    if (fs_mkdirs(e->path, 0755, err) < 0)
        return -1;
    if (mount(type, e->path, type, flags | MS_NOSUID, e->from) < 0)
        return error_errno(err, errno, "mount %s", type);
    return 0;
}

static int make_sysfs(const struct jail_entry *e, struct error *err)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

    if (fs_mkdirs(e->path, 0755, err) < 0)
        return -1;
    if (mount("sysfs", e->path, "sysfs", flags, NULL) < 0 && errno != EPERM)
        return error_errno(err, errno, "mount sysfs");
    return 0;
}

static int make_loopback(const struct jail_entry *e, struct error *err)
{
    const struct jail_entry empty = {.path = e->path, .from = (char[]){""}};

    if (make_file(&empty, 0444, err) < 0)
        return -1;
    return jail_net_make_loopback(e->path, err);
}

static int make_entry(const struct jail_entry *e, int fd, struct error *err)
{
    if (make_parents(e->path, err) < 0)
        return -1;
    switch (e->kind) {
    case JAIL_DIR:
        return fs_mkdirs(e->path, 0755, err);
    case JAIL_LINK:
        return symlink(e->from, e->path) == 0 ? 0 : error_errno(err, errno, "link %s", e->path);
    case JAIL_FILE:
        return make_file(e, 0444, err);
    case JAIL_SECRET:
        return make_file(e, 0600, err);
    case JAIL_BIND:
    case JAIL_BIND_RO:
    case JAIL_DEVICE:
        return make_bind(e, fd, err);
    case JAIL_TMPFS:
        return make_mount(e, "tmpfs", MS_NODEV, err);
    case JAIL_PROC:
        return make_mount(e, "proc", MS_NODEV | MS_NOEXEC, err);
    case JAIL_DEVPTS:
        return make_mount(e, "devpts", MS_NOEXEC, err);
    case JAIL_CGROUP:
        return make_mount(e, "cgroup2", MS_NODEV | MS_NOEXEC | MS_RDONLY, err);
    case JAIL_SYSFS:
        return make_sysfs(e, err);
    case JAIL_LOOPBACK:
        return make_loopback(e, err);
    case JAIL_KINDS_END:
        break;
    }
    abort();
}

static int enter_empty_root(struct error *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_errno(err, errno, "make mounts private");
    if (mount("tmpfs", STAGING, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m") < 0)
        return error_errno(err, errno, "mount the root");
    if (chdir(STAGING) < 0)
        return error_errno(err, errno, "enter the root");
    return 0;
}

/* pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one, from where it
 * is taken off. */
static int leave_old_root(struct error *err)
{
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return error_errno(err, errno, "change the root");
    if (umount2(".", MNT_DETACH) < 0)
        return error_errno(err, errno, "leave the old root");
    if (chdir("/") < 0)
        return error_errno(err, errno, "enter the root");
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
        return error_errno(err, errno, "make the root read-only");
    return 0;
}

int jail_tree_enter(const struct jail_spec *spec, const int *fds, struct error *err)
{
    umask(022);
    if (enter_empty_root(err) < 0)
        return -1;
    for (size_t i = 0; i < spec->n_entries; i++)
        if (make_entry(&spec->entries[i], fds[i], err) < 0)
            return error_wrap(err, "make /%s in the jail", spec->entries[i].path);
    return leave_old_root(err);
}
