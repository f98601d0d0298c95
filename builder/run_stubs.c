/* builder/run_stubs — mount points in a tree that lacks them, and the tree as before afterwards.
 *
 * runc would make them as well, but then nobody could tell them from what the command did.  They
 * are made here, before it starts, and taken out when it has ended (BuildKit: MountStubsCleaner).
 * The tree is an image's, so a path is walked name by name: a symlink is read and followed by us,
 * and the kernel is only ever asked for paths without one, below the root. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "builder/run_inside.h"

#define LINKS_MAX 40 /* as the kernel has it: path_resolution(7) */

/* path "" is the root. */
static int open_dir(int root, const char *path)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

    return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

/* Where a path that is being followed stands. */
struct walk {
    char done[PATH_MAX]; /* what is known to hold no symlink, without a leading slash */
    char rest[PATH_MAX]; /* what is still to be followed */
    int links;
};

static void go_up(struct walk *w)
{
    char *slash = strrchr(w->done, '/');

    if (slash)
        *slash = '\0';
    else
        w->done[0] = '\0';
}

/* Takes the first name off rest; false when there is none left. */
static bool next_name(struct walk *w, char name[NAME_MAX + 1])
{
    const char *at = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(at, "/");

    if (len == 0)
        return false;
    (void)snprintf(name, NAME_MAX + 1, "%.*s", (int)len, at);
    memmove(w->rest, at + len, strlen(at + len) + 1);
    return true;
}

static int add_name(struct walk *w, const char *name)
{
    size_t len = strlen(w->done);

    return snprintf(w->done + len, sizeof(w->done) - len, "%s%s", len ? "/" : "", name) <
                   (int)(sizeof(w->done) - len)
               ? 0
               : -ENAMETOOLONG;
}

static int follow(struct walk *w, const char *link)
{
    char rest[PATH_MAX];

    if (++w->links > LINKS_MAX)
        return -ELOOP;
    if (snprintf(rest, sizeof(rest), "%s/%s", link, w->rest) >= (int)sizeof(rest))
        return -ENAMETOOLONG;
    memcpy(w->rest, rest, strlen(rest) + 1);
    if (link[0] == '/')
        w->done[0] = '\0';
    return 0;
}

/* One name further: through a symlink, or onto what may not be there. */
static int step(int root, struct walk *w, const char *name)
{
    CLEANUP_CLOSE int dir = open_dir(root, w->done);
    char link[PATH_MAX];
    ssize_t n;

    if (dir < 0 && errno != ENOENT)
        return -errno;
    n = dir < 0 ? -1 : readlinkat(dir, name, link, sizeof(link) - 1);
    if (n < 0)
        return add_name(w, name);
    link[n] = '\0';
    return follow(w, link);
}

/* Where target leads: w->done. */
static int resolve(int root, const char *target, struct walk *w)
{
    char name[NAME_MAX + 1];
    int problem = 0;

    *w = (struct walk){.links = 0};
    if (snprintf(w->rest, sizeof(w->rest), "%s", target) >= (int)sizeof(w->rest))
        return -ENAMETOOLONG;
    while (problem == 0 && next_name(w, name)) {
        if (strcmp(name, "..") == 0)
            go_up(w);
        else if (strcmp(name, ".") != 0)
            problem = step(root, w, name);
    }
    return problem;
}

/* ---- making ---- */

static int remember(struct run_stubs *s, const char *path, bool is_dir)
{
    struct run_stub *more = reallocarray(s->v, s->n + 1, sizeof(*more));

    if (more)
        s->v = more;
    if (!more || !(s->v[s->n].path = strdup(path)))
        return -ENOMEM;
    s->v[s->n++].is_dir = is_dir;
    return 0;
}

static int make_in(int dir, const char *name, bool is_dir)
{
    int fd;

    if (is_dir)
        return mkdirat(dir, name, 0755);
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

/* Does something to an entry of the directory, whose times stay as they are. */
static int keeping_times(int root, const char *path, int (*act)(int dir, const char *name, bool),
                         bool is_dir)
{
    CLEANUP_FREE char *parent = strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    const char *name = slash ? slash + 1 : path;
    CLEANUP_CLOSE int dir = -1;
    struct stat st;

    if (!parent)
        return -ENOMEM;
    if (slash)
        *slash = '\0';
    dir = open_dir(root, slash ? parent : "");
    if (dir < 0 || fstat(dir, &st) < 0 || act(dir, name, is_dir) < 0)
        return -errno;
    (void)utimensat(dir, "", (const struct timespec[]){st.st_atim, st.st_mtim}, AT_EMPTY_PATH);
    return 0;
}

/* Makes what is missing of a resolved path. */
static int make_missing(int root, char *path, bool is_dir, struct run_stubs *s)
{
    size_t len = strlen(path);

    for (size_t n = strcspn(path, "/"); n <= len; n += 1 + strcspn(path + n + 1, "/")) {
        bool last = n == len;
        char cut = path[n];
        int problem;

        path[n] = '\0';
        problem = keeping_times(root, path, make_in, !last || is_dir);
        if (problem == 0)
            problem = remember(s, path, !last || is_dir);
        path[n] = cut;
        if (problem != 0 && problem != -EEXIST)
            return problem;
        if (last)
            break;
    }
    return 0;
}

int run_stubs_make(int root, const char *target, bool is_dir, struct run_stubs *s,
                   struct error *err)
{
    struct walk w;
    int problem = resolve(root, target, &w);

    if (problem == 0 && w.done[0])
        problem = make_missing(root, w.done, is_dir, s);
    if (problem == -ENOTDIR || problem == -ELOOP || problem == -ENAMETOOLONG)
        return error_set(err, ERR_INPUT, "make the mount point %s: %s", target,
                         strerrordesc_np(-problem));
    if (problem != 0)
        return error_errno(err, -problem, "make the mount point %s", target);
    return 0;
}

/* ---- taking out ---- */

/* Only what is as we made it: empty, and nobody else's. */
static int remove_in(int dir, const char *name, bool is_dir)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (st.st_uid != 0 || st.st_gid != 0 || (is_dir && st.st_mode != (S_IFDIR | 0755)) ||
        (!is_dir && (st.st_mode != (S_IFREG | 0644) || st.st_size != 0))) {
        errno = EBUSY;
        return -1;
    }
    return unlinkat(dir, name, is_dir ? AT_REMOVEDIR : 0);
}

void run_stubs_remove(int root, struct run_stubs *s)
{
    while (s->n > 0) {
        struct run_stub *last = &s->v[--s->n];

        (void)keeping_times(root, last->path, remove_in, last->is_dir);
        free(last->path);
    }
    free(s->v);
    *s = (struct run_stubs){.n = 0};
}
