/* builder/layer_walk — see the header.
 *
 * A RUN can nest directories deeper than there are descriptors or stack, so only the directory that
 * is being read is open; on the way up its parent is opened again by its path. */
#include "builder/layer_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/argv.h"

struct level {
    struct argv names; /* sorted */
    size_t next;
    size_t path_len; /* of the directory's own path */
};

struct layer_walk {
    int diff;
    int dir; /* the directory of the uppermost level */
    struct level *levels;
    size_t n_levels, cap_levels;
    char path[PATH_MAX];
};

static int list(int dir, struct argv *ret, struct error *err)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    int problem = errno;

    if (!d) {
        if (fd >= 0)
            close(fd);
        return error_errno(err, problem, "list a directory");
    }
    while ((errno = 0, e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            argv_push1(ret, e->d_name);
    problem = ret->failed ? ENOMEM : errno;
    closedir(d);
    if (problem)
        return error_errno(err, problem, "list a directory");
    argv_sort(ret);
    return 0;
}

/* Takes over dir. */
static int push(struct layer_walk *w, int dir, struct error *err)
{
    struct level *levels = w->levels;
    struct level *l;

    if (w->dir >= 0)
        close(w->dir);
    w->dir = dir;
    if (w->n_levels == w->cap_levels) {
        levels = reallocarray(levels, w->cap_levels * 2 + 16, sizeof(*levels));
        if (!levels)
            return error_set(err, ERR_SYSTEM, "read a diff: out of memory");
        w->levels = levels;
        w->cap_levels = w->cap_levels * 2 + 16;
    }
    l = &w->levels[w->n_levels++];
    *l = (struct level){.path_len = strlen(w->path)};
    return list(dir, &l->names, err);
}

int layer_walk_enter(struct layer_walk *w, int fd, struct error *err)
{
    int dir = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (dir < 0)
        return error_errno(err, errno, "open a directory");
    return push(w, dir, err);
}

/* Back to the directory above. */
static int pop(struct layer_walk *w, struct error *err)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };

    argv_release(&w->levels[--w->n_levels].names);
    close(w->dir);
    w->dir = -1;
    if (w->n_levels == 0)
        return 0;
    w->path[w->levels[w->n_levels - 1].path_len] = '\0';
    w->dir = (int)syscall(SYS_openat2, w->diff, *w->path ? w->path : ".", &how, sizeof(how));
    if (w->dir < 0)
        return error_errno(err, errno, "open the directory %s again", w->path);
    return 0;
}

int layer_walk_new(int diff, struct layer_walk **ret, struct error *err)
{
    CLEANUP(layer_walk_freep) struct layer_walk *w = calloc(1, sizeof(*w));

    if (!w)
        return error_set(err, ERR_SYSTEM, "read a diff: out of memory");
    w->diff = diff;
    w->dir = -1;
    if (layer_walk_enter(w, diff, err) < 0)
        return -1;
    *ret = TAKE(w);
    return 0;
}

void layer_walk_free(struct layer_walk *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_levels; i++)
        argv_release(&w->levels[i].names);
    free(w->levels);
    if (w->dir >= 0)
        close(w->dir);
    free(w);
}

int layer_walk_next(struct layer_walk *w, struct layer_walk_entry *ret, bool *ret_end,
                    struct error *err)
{
    struct level *l;
    const char *name;

    while (w->n_levels > 0 && w->levels[w->n_levels - 1].next == w->levels[w->n_levels - 1].names.n)
        if (pop(w, err) < 0)
            return -1;
    *ret_end = w->n_levels == 0;
    if (*ret_end)
        return 0;
    l = &w->levels[w->n_levels - 1];
    name = l->names.v[l->next++];
    if (snprintf(w->path + l->path_len, sizeof(w->path) - l->path_len, "%s%s",
                 l->path_len > 0 ? "/" : "", name) >= (int)(sizeof(w->path) - l->path_len)) {
        w->path[l->path_len] = '\0';
        return error_set(err, ERR_LIMIT, "a path in %.100s… has more than %d bytes", w->path,
                         PATH_MAX - 1);
    }
    *ret = (struct layer_walk_entry){.dir = w->dir, .name = name, .path = w->path};
    return 0;
}
