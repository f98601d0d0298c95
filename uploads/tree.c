/* uploads/tree — see the header. */
#include "uploads/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/text.h"
#include "uploads/entry_name.h"

#define DIRECTORY_MODE 0755 /* of one that has no entry of its own */
#define OPEN_PARENT    (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define REMEDY         "remove one of the two and upload again"

struct tree_directory {
    char *path;
    size_t order;
    struct tree_attributes attributes;
};

void tree_init(struct tree *t, int root, enum tree_method method)
{
    t->root = root;
    t->method = method;
    t->parent_fd = -1;
    t->parent_path[0] = '\0';
    t->directories = NULL;
    t->n_directories = t->cap_directories = 0;
    t->made = 0;
}

static void forget_parent(struct tree *t)
{
    if (t->parent_fd >= 0)
        close(t->parent_fd);
    t->parent_fd = -1;
}

void tree_release(struct tree *t)
{
    if (!t)
        return;
    forget_parent(t);
    for (size_t i = 0; i < t->n_directories; i++)
        free(t->directories[i].path);
    free(t->directories);
    t->directories = NULL;
    t->n_directories = 0;
}

/* A full disk is this machine's fault like any other, but should not read like a riddle. */
static int system_error(struct error *err, const char *path, const char *what)
{
    int errnum = errno;

    return error_errno(err, errnum, "unpack archive entry %s: %s", text_show(path).text, what);
}

static int remember_directory(struct tree *t, const char *path, const struct tree_attributes *a,
                              struct error *err)
{
    struct tree_directory *d;

    if (t->n_directories == t->cap_directories) {
        size_t cap = t->cap_directories ? t->cap_directories * 2 : 64;

        d = reallocarray(t->directories, cap, sizeof(*d));
        if (!d)
            return error_set(err, ERR_SYSTEM, "unpack: out of memory");
        t->directories = d;
        t->cap_directories = cap;
    }
    d = &t->directories[t->n_directories];
    *d = (struct tree_directory){.path = strdup(path), .order = t->n_directories, .attributes = *a};
    if (!d->path)
        return error_set(err, ERR_SYSTEM, "unpack: out of memory");
    t->n_directories++;
    return 0;
}

/* ---- parents ---- */

/* path can't be a parent's path because it is no directory: says what it is instead. */
static int refuse_parent(int fd, const char *name, const char *parent, const char *path,
                         struct error *err)
{
    struct stat st;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return system_error(err, path, "look at its folder");
    if (S_ISLNK(st.st_mode))
        return entry_name_refuse(
            err, ERR_INPUT, path,
            "it lies behind the symbolic link %s, and links are not followed; " REMEDY,
            text_show(parent).text);
    return entry_name_refuse(err, ERR_INPUT, path,
                             "its folder %s is also the name of a file in the archive; " REMEDY,
                             text_show(parent).text);
}

/* Opens name in fd, making it if it is missing.  parent: the path up to and with name. */
static int step(struct tree *t, int fd, const char *name, const char *parent, const char *path,
                int *ret_fd, struct error *err)
{
    static const struct tree_attributes attributes = {.mode = DIRECTORY_MODE};
    int next = openat(fd, name, OPEN_PARENT);

    if (next < 0 && errno == ENOENT) {
        if (mkdirat(fd, name, 0700) < 0)
            return system_error(err, path, "make its folder");
        t->made++;
        if (remember_directory(t, parent, &attributes, err) < 0)
            return -1;
        next = openat(fd, name, OPEN_PARENT);
    }
    if (next < 0 && (errno == ENOTDIR || errno == ELOOP))
        return refuse_parent(fd, name, parent, path, err);
    if (next < 0)
        return system_error(err, path, "open its folder");
    *ret_fd = next;
    return 0;
}

/* The whole way, component by component. */
static int walk(struct tree *t, const char *parent, const char *path, int *ret_fd,
                struct error *err)
{
    CLEANUP_CLOSE int fd = openat(t->root, ".", OPEN_PARENT);
    char so_far[PATH_MAX];
    char name[NAME_MAX + 1];

    if (fd < 0)
        return system_error(err, path, "open the root");
    for (const char *p = parent; *p;) {
        size_t len = strcspn(p, "/");
        int next = -1;

        if (len > NAME_MAX)
            return entry_name_refuse(err, ERR_LIMIT, path, "a name in it is too long");
        (void)snprintf(name, sizeof(name), "%.*s", (int)len, p);
        (void)snprintf(so_far, sizeof(so_far), "%.*s", (int)(p - parent + (ptrdiff_t)len), parent);
        if (step(t, fd, name, so_far, path, &next, err) < 0)
            return -1;
        close(fd);
        fd = next;
        p += len;
        p += *p == '/';
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* -1 also when a component is missing or is no directory: walking makes it, or says what it is. */
static int open_at_once(struct tree *t, const char *parent)
{
    struct open_how how = {
        .flags = OPEN_PARENT,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd = -1;

    if (t->method == TREE_OPENAT2)
        fd = (int)syscall(SYS_openat2, t->root, *parent ? parent : ".", &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        t->method = TREE_WALK;
    return fd;
}

/* *ret_fd is borrowed until the next call; *ret_name points into path. */
static int open_parent(struct tree *t, const char *path, int *ret_fd, const char **ret_name,
                       struct error *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    char parent[PATH_MAX];
    int fd;

    *ret_name = slash ? slash + 1 : path;
    if (t->parent_fd >= 0 && strncmp(t->parent_path, path, len) == 0 &&
        t->parent_path[len] == '\0') {
        *ret_fd = t->parent_fd;
        return 0;
    }
    memcpy(parent, path, len);
    parent[len] = '\0';
    fd = open_at_once(t, parent);
    if (fd < 0 && walk(t, parent, path, &fd, err) < 0)
        return -1;
    forget_parent(t);
    t->parent_fd = fd;
    memcpy(t->parent_path, parent, len + 1);
    *ret_fd = fd;
    return 0;
}

/* Removes what stands at name, for an entry that comes later in the archive and so wins. */
static int make_way(int fd, const char *name, const char *path, enum tree_replaced *ret_replaced,
                    struct error *err)
{
    struct stat st;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return system_error(err, path, "look at what is in its place");
    if (S_ISDIR(st.st_mode))
        return entry_name_refuse(err, ERR_INPUT, path,
                                 "it is a folder and something else in the same archive; " REMEDY);
    if (unlinkat(fd, name, 0) < 0)
        return system_error(err, path, "replace an entry of the same name");
    *ret_replaced = S_ISLNK(st.st_mode) ? TREE_REPLACED_SYMLINK : TREE_REPLACED_FILE;
    return 0;
}

/* ---- entries ---- */

int tree_create_file(struct tree *t, const char *path, int *ret_fd,
                     enum tree_replaced *ret_replaced, struct error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    enum tree_replaced replaced = TREE_NEW;
    const char *name;
    int parent, fd;

    if (open_parent(t, path, &parent, &name, err) < 0)
        return -1;
    fd = openat(parent, name, flags, 0600);
    if (fd < 0 && errno == EEXIST) {
        if (make_way(parent, name, path, &replaced, err) < 0)
            return -1;
        fd = openat(parent, name, flags, 0600);
    }
    if (fd < 0)
        return system_error(err, path, "create it");
    *ret_fd = fd;
    *ret_replaced = replaced;
    return 0;
}

static int set_attributes(int fd, const char *path, const struct tree_attributes *a,
                          struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, a->mtime};

    if (a->has_mtime && futimens(fd, times) < 0)
        return system_error(err, path, "set its time");
    if (fchmod(fd, a->mode) < 0)
        return system_error(err, path, "set its mode");
    return 0;
}

int tree_finish_file(int fd, const char *path, const struct tree_attributes *a, struct error *err)
{
    return set_attributes(fd, path, a, err);
}

int tree_symlink(struct tree *t, const char *path, const char *target,
                 enum tree_replaced *ret_replaced, struct error *err)
{
    enum tree_replaced replaced = TREE_NEW;
    const char *name;
    int parent, result;

    if (open_parent(t, path, &parent, &name, err) < 0)
        return -1;
    result = symlinkat(target, parent, name);
    if (result < 0 && errno == EEXIST) {
        if (make_way(parent, name, path, &replaced, err) < 0)
            return -1;
        result = symlinkat(target, parent, name);
    }
    if (result < 0)
        return system_error(err, path, "make the link");
    *ret_replaced = replaced;
    return 0;
}

/* Finds what a hard link names, itself and not where that leads; *ret_fd: the directory it is in.
 */
static int find_target(struct tree *t, const char *path, const char *target, int *ret_fd,
                       const char **ret_name, struct stat *ret_st, struct error *err)
{
    const char *name;
    struct stat st;
    int parent, fd;

    if (open_parent(t, target, &parent, &name, err) < 0)
        return error_wrap(err, "archive entry %s, a hard link", text_show(path).text);
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return system_error(err, path, "look at what it links to");
        return entry_name_refuse(err, ERR_INPUT, path,
                                 "it is a hard link to %s, which does not come before it in the "
                                 "archive; put a copy of the file in its place and upload again",
                                 text_show(target).text);
    }
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return entry_name_refuse(err, ERR_INPUT, path,
                                 "it is a hard link to the folder %s; remove it and upload again",
                                 text_show(target).text);
    /* The tree's own descriptor changes with the next path. */
    fd = fcntl(parent, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return system_error(err, path, "look at what it links to");
    *ret_fd = fd;
    *ret_name = name;
    *ret_st = st;
    return 0;
}

int tree_hardlink(struct tree *t, const char *path, const char *target, struct stat *ret_st,
                  enum tree_replaced *ret_replaced, struct error *err)
{
    enum tree_replaced replaced = TREE_NEW;
    CLEANUP_CLOSE int from = -1;
    const char *name = NULL, *from_name = NULL;
    struct stat st;
    int parent, result;

    if (strcmp(path, target) == 0)
        return entry_name_refuse(err, ERR_INPUT, path,
                                 "it is a hard link to itself; remove it and upload again");
    if (find_target(t, path, target, &from, &from_name, &st, err) < 0 ||
        open_parent(t, path, &parent, &name, err) < 0)
        return -1;
    result = linkat(from, from_name, parent, name, 0);
    if (result < 0 && errno == EEXIST) {
        if (make_way(parent, name, path, &replaced, err) < 0)
            return -1;
        result = linkat(from, from_name, parent, name, 0);
    }
    if (result < 0)
        return system_error(err, path, "make the hard link");
    *ret_st = st;
    *ret_replaced = replaced;
    return 0;
}

int tree_make_directory(struct tree *t, const char *path, const struct tree_attributes *a,
                        struct error *err)
{
    const char *name;
    struct stat st;
    bool new;
    int parent;

    if (open_parent(t, path, &parent, &name, err) < 0)
        return -1;
    new = mkdirat(parent, name, 0700) == 0;
    if (!new &&errno != EEXIST)
        return system_error(err, path, "make the folder");
    if (!new &&fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return system_error(err, path, "look at what is in its place");
    if (!new && !S_ISDIR(st.st_mode))
        return entry_name_refuse(err, ERR_INPUT, path,
                                 "it is a folder and something else in the same archive; " REMEDY);
    t->made += new;
    return remember_directory(t, path, a, err);
}

/* ---- the end ---- */

/* Children before their parents, which may close the way; of one directory the latest first. */
static int compare_directories(const void *a, const void *b)
{
    const struct tree_directory *x = a;
    const struct tree_directory *y = b;
    int by_path = strcmp(y->path, x->path);

    return by_path ? by_path : (x->order < y->order) - (x->order > y->order);
}

static int finish_directory(struct tree *t, const struct tree_directory *d, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    const char *name;
    int parent;

    if (open_parent(t, d->path, &parent, &name, err) < 0)
        return -1;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return system_error(err, d->path, "open the folder");
    return set_attributes(fd, d->path, &d->attributes, err);
}

int tree_finish(struct tree *t, struct error *err)
{
    if (t->n_directories > 0)
        qsort(t->directories, t->n_directories, sizeof(*t->directories), compare_directories);
    for (size_t i = 0; i < t->n_directories; i++) {
        if (i > 0 && strcmp(t->directories[i].path, t->directories[i - 1].path) == 0)
            continue;
        if (finish_directory(t, &t->directories[i], err) < 0)
            return -1;
    }
    return 0;
}
