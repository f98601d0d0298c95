/* templates/source_directory — a directory of this machine.
 *
 * Nothing is followed out of it: files are opened beneath it and through no link.  What changes
 * while it is read is an error where it shows. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/text.h"
#include "templates/source.h"

#define XATTR_LIST_MAX  65536
#define XATTR_VALUE_MAX 65536

/* Files that have several names, by device and inode. */
struct seen {
    dev_t device;
    ino_t inode;
    uint32_t node; /* TREE_NONE: an empty slot */
};

struct directory {
    struct source source;
    int root;
    int file; /* that is open */
    char path[PATH_MAX];
    struct seen *seen;
    size_t n_seen, cap_seen;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read the directory: out of memory");
}

static int open_beneath(const struct directory *d, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

    return (int)syscall(SYS_openat2, d->root, *path ? path : ".", &how, sizeof(how));
}

/* ---- hard links ---- */

static struct seen *find_seen(struct directory *d, const struct stat *st)
{
    size_t i = (size_t)(st->st_ino * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (d->cap_seen - 1);

    while (d->seen[i].node != TREE_NONE &&
           (d->seen[i].inode != st->st_ino || d->seen[i].device != st->st_dev))
        i = (i + 1) & (d->cap_seen - 1);
    return &d->seen[i];
}

static int grow_seen(struct directory *d, struct error *err)
{
    size_t cap = d->cap_seen ? d->cap_seen * 2 : 256;
    struct seen *old = d->seen;
    size_t n_old = d->cap_seen;

    if (d->cap_seen && d->n_seen < d->cap_seen / 2)
        return 0;
    d->seen = calloc(cap, sizeof(*d->seen));
    if (!d->seen) {
        d->seen = old;
        return out_of_memory(err);
    }
    for (size_t i = 0; i < cap; i++)
        d->seen[i].node = TREE_NONE;
    d->cap_seen = cap;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].node != TREE_NONE) {
            struct stat st = {.st_dev = old[i].device, .st_ino = old[i].inode};

            *find_seen(d, &st) = old[i];
        }
    free(old);
    return 0;
}

/* ---- attributes ---- */

/* Those that ext4 keeps: an unprivileged reader sees no more than its own. */
static int add_xattrs(int fd, const char *link, struct tree *t, uint32_t node, struct error *err)
{
    char list[XATTR_LIST_MAX];
    CLEANUP_FREE char *value = NULL;
    ssize_t n = link ? llistxattr(link, list, sizeof(list)) : flistxattr(fd, list, sizeof(list));

    if (n <= 0)
        return n < 0 && errno != ENOTSUP ? error_errno(err, errno, "list attributes") : 0;
    value = malloc(XATTR_VALUE_MAX);
    if (!value)
        return out_of_memory(err);
    for (const char *name = list; name < list + n; name += strlen(name) + 1) {
        ssize_t len = link ? lgetxattr(link, name, value, XATTR_VALUE_MAX)
                           : fgetxattr(fd, name, value, XATTR_VALUE_MAX);

        if (len < 0)
            return error_errno(err, errno, "read attribute %s", name);
        if (nodes_add_xattr(t, node, name, value, (size_t)len, err) < 0)
            return -1;
    }
    return 0;
}

static int add_segments(int fd, const struct stat *st, struct tree *t, uint32_t node,
                        struct error *err)
{
    off_t at = 0;

    if (st->st_size == 0 || (st->st_blocks * 512 >= st->st_size))
        return 0;
    if (nodes_set_sparse(t, node, err) < 0)
        return -1;
    while (at < st->st_size) {
        off_t data = lseek(fd, at, SEEK_DATA);
        off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);

        if (data < 0 && errno == ENXIO)
            break;
        if (data < 0 || hole < 0)
            return error_errno(err, errno, "look for holes");
        if (hole > st->st_size)
            hole = st->st_size;
        if (data >= hole)
            break;
        if (nodes_add_segment(t, node, (uint64_t)data, (uint64_t)(hole - data), err) < 0)
            return -1;
        at = hole;
    }
    return 0;
}

/* ---- walking ---- */

static int add_entry(struct directory *d, struct tree *t, const char *path, const struct stat *st,
                     const char *target, uint32_t *ret, struct error *err)
{
    struct tree_entry e = {.name = path,
                           .path = path,
                           .target = target,
                           .mode = (uint16_t)(st->st_mode & 07777u),
                           .uid = st->st_uid,
                           .gid = st->st_gid,
                           .mtime = st->st_mtim.tv_sec,
                           .nsec = (uint32_t)st->st_mtim.tv_nsec,
                           .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
                           .type = S_ISDIR(st->st_mode)   ? NODE_DIRECTORY
                                   : S_ISLNK(st->st_mode) ? NODE_SYMLINK
                                                          : NODE_FILE};

    source_tick(&d->source);
    return nodes_add(t, &e, ret, err);
}

/* *ret_known: it is another name of a file that is in the tree. */
static int add_link(struct directory *d, struct tree *t, const char *path, const struct stat *st,
                    bool *ret_known, struct error *err)
{
    char target[PATH_MAX];
    struct tree_entry e = {.type = NODE_HARDLINK, .name = path, .path = path, .target = target};
    struct seen *s;
    uint32_t node;

    *ret_known = false;
    if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
        return 0;
    if (grow_seen(d, err) < 0)
        return -1;
    s = find_seen(d, st);
    if (s->node == TREE_NONE) {
        *s = (struct seen){.device = st->st_dev, .inode = st->st_ino, .node = t->n_nodes};
        d->n_seen++;
        return 0; /* the caller adds it, and that is its number, as its parent is there */
    }
    *ret_known = true;
    nodes_path(t, s->node, target);
    return nodes_add(t, &e, &node, err);
}

static int add_file(struct directory *d, struct tree *t, const char *path, const struct stat *st,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = open_beneath(d, path, O_RDONLY | O_NONBLOCK);
    uint32_t node;

    if (fd < 0)
        return error_errno(err, errno, "open %s", text_show(path).text);
    if (add_entry(d, t, path, st, NULL, &node, err) < 0 || add_segments(fd, st, t, node, err) < 0 ||
        add_xattrs(fd, NULL, t, node, err) < 0)
        return -1;
    return 0;
}

static int add_symlink(struct directory *d, struct tree *t, int parent, const char *name,
                       const char *path, const struct stat *st, struct error *err)
{
    char target[PATH_MAX], link[64 + NAME_MAX];
    ssize_t n = readlinkat(parent, name, target, sizeof(target) - 1);
    uint32_t node;

    if (n < 0)
        return error_errno(err, errno, "read the link %s", text_show(path).text);
    target[n] = '\0';
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d/%s", parent, name);
    return add_entry(d, t, path, st, target, &node, err) < 0 ? -1
                                                             : add_xattrs(-1, link, t, node, err);
}

static int add_one(struct directory *d, struct tree *t, int parent, const char *name,
                   struct argv *below, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    bool known;

    if (snprintf(path, sizeof(path), "%s%s%s", d->path, *d->path ? "/" : "", name) >=
        (int)sizeof(path))
        return entry_refuse(err, ERR_LIMIT, name, "its path is too long");
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at %s", text_show(path).text);
    if (S_ISDIR(st.st_mode)) {
        argv_push1(below, path);
        return 0;
    }
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return entry_refuse(err, ERR_INPUT, path,
                            "it is a device, FIFO or socket, which a template cannot hold; remove "
                            "it");
    if (add_link(d, t, path, &st, &known, err) < 0)
        return -1;
    if (known)
        return 0;
    return S_ISREG(st.st_mode) ? add_file(d, t, path, &st, err)
                               : add_symlink(d, t, parent, name, path, &st, err);
}

/* One directory; those in it are added to below.  d->path is its path. */
static int scan_directory(struct directory *d, struct tree *t, struct argv *below,
                          struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    int fd = open_beneath(d, d->path, O_RDONLY | O_DIRECTORY);
    struct stat st;
    uint32_t node;
    int result = 0;
    DIR *dir;

    if (fd < 0)
        return error_errno(err, errno, "open directory %s", text_show(d->path).text);
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return out_of_memory(err);
    }
    if (fstat(fd, &st) < 0)
        result = error_errno(err, errno, "look at %s", text_show(d->path).text);
    if (result == 0 && (add_entry(d, t, d->path, &st, NULL, &node, err) < 0 ||
                        add_xattrs(fd, NULL, t, node, err) < 0))
        result = -1;
    for (struct dirent *e = readdir(dir); e && result == 0; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            argv_push1(&names, e->d_name);
    /* In byte order, so that which name of a file is the first does not depend on the disk. */
    argv_sort(&names);
    for (size_t i = 0; i < names.n && result == 0; i++)
        result = add_one(d, t, fd, names.v[i], below, err);
    closedir(dir);
    return result < 0 || !(names.failed || below->failed) ? result : out_of_memory(err);
}

static int directory_scan(struct source *source, struct tree *t, struct error *err)
{
    struct directory *d = (struct directory *)source;
    CLEANUP(argv_release) struct argv below = ARGV_INIT;

    d->source.sub_seen = true;
    argv_push1(&below, "");
    for (size_t i = 0; i < below.n; i++) {
        (void)snprintf(d->path, sizeof(d->path), "%s", below.v[i]);
        if (scan_directory(d, t, &below, err) < 0)
            return -1;
        free(below.v[i]);
        below.v[i] = strdup("");
        if (!below.v[i])
            return out_of_memory(err);
    }
    return 0;
}

static int changed(const char *path, struct error *err)
{
    return entry_refuse(err, ERR_INPUT, path, "it changed while it was read; try again");
}

/* *ret_fd is for the caller to close. */
static int open_file(const struct directory *d, const struct tree *t, uint32_t node,
                     char path[PATH_MAX], int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    nodes_path(t, node, path);
    fd = open_beneath(d, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return error_errno(err, errno, "open %s", text_show(path).text);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != t->nodes[node].size)
        return changed(path, err);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int read_file(int fd, const char *path, uint64_t offset, void *data, size_t len,
                     struct error *err)
{
    const ssize_t got = fs_pread(fd, data, len, offset);

    if (got < 0)
        return error_errno(err, errno, "read %s", text_show(path).text);
    return (size_t)got < len ? changed(path, err) : 0;
}

static int directory_open(struct source *source, const struct tree *t, uint32_t node,
                          struct error *err)
{
    struct directory *d = (struct directory *)source;

    if (d->file >= 0)
        close(TAKE_FD(d->file));
    return open_file(d, t, node, d->path, &d->file, err);
}

static int directory_read(struct source *source, uint64_t offset, void *data, size_t len,
                          struct error *err)
{
    struct directory *d = (struct directory *)source;

    return read_file(d->file, d->path, offset, data, len, err);
}

static int directory_fetch(const struct source *source, void *hand, const struct tree *t,
                           uint32_t node, unsigned char *data, struct error *err)
{
    char path[PATH_MAX];
    CLEANUP_CLOSE int fd = -1;

    (void)hand;
    if (open_file((const struct directory *)source, t, node, path, &fd, err) < 0)
        return -1;
    return read_file(fd, path, 0, data, (size_t)t->nodes[node].size, err);
}

static void directory_release(struct source *source)
{
    struct directory *d = (struct directory *)source;

    if (d->root >= 0)
        close(d->root);
    if (d->file >= 0)
        close(d->file);
    free(d->seen);
    free(d);
}

static const struct source_kind directory_kind = {.scan = directory_scan,
                                                  .open = directory_open,
                                                  .read = directory_read,
                                                  .fetch = directory_fetch,
                                                  .release = directory_release};

static int open_root(struct directory *d, const char *path, const char *sub, struct error *err)
{
    int below;

    if (fs_open_dir(AT_FDCWD, path, &d->root, err) < 0)
        return -1;
    if (!sub || !*sub)
        return 0;
    below = open_beneath(d, sub, O_RDONLY | O_DIRECTORY);
    if (below < 0)
        return error_set(err, ERR_INPUT, "there is no folder %s in %s", text_show(sub).text, path);
    close(d->root);
    d->root = below;
    return 0;
}

int source_open_directory(const char *path, const char *sub, struct source **ret, struct error *err)
{
    struct directory *d = calloc(1, sizeof(*d));

    if (!d)
        return out_of_memory(err);
    d->source.kind = &directory_kind;
    d->source.sub = "";
    d->source.plain_fd = -1;
    d->file = -1;
    d->root = -1;
    if (open_root(d, path, sub, err) < 0) {
        directory_release(&d->source);
        return -1;
    }
    *ret = &d->source;
    return 0;
}
