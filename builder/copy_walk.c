/* builder/copy_walk — see the header. */
#include "builder/copy_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- names ---- */

static int compare_names(const void *a, const void *b, void *text)
{
    return strcmp((const char *)text + *(const size_t *)a, (const char *)text + *(const size_t *)b);
}

static void names_release(struct copy_names *names)
{
    free(names->text);
    free(names->starts);
    *names = (struct copy_names){0};
}

struct reading {
    struct copy_names *names;
    size_t len, text_cap, starts_cap;
};

static int add_name(struct reading *r, const char *name, struct error *err)
{
    struct copy_names *names = r->names;
    size_t n = strlen(name) + 1;

    if (names->n >= COPY_NAMES_MAX)
        return error_set(err, ERR_LIMIT, "more than %d files in one directory", COPY_NAMES_MAX);
    if (r->len + n > r->text_cap) {
        size_t cap = r->text_cap * 2 + 4096;
        char *text = realloc(names->text, cap);

        if (!text)
            return error_set(err, ERR_SYSTEM, "list a directory: out of memory");
        names->text = text;
        r->text_cap = cap;
    }
    if (names->n >= r->starts_cap) {
        size_t cap = r->starts_cap * 2 + 128;
        size_t *starts = reallocarray(names->starts, cap, sizeof(*starts));

        if (!starts)
            return error_set(err, ERR_SYSTEM, "list a directory: out of memory");
        names->starts = starts;
        r->starts_cap = cap;
    }
    memcpy(names->text + r->len, name, n);
    names->starts[names->n++] = r->len;
    r->len += n;
    return 0;
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int read_names(int fd, struct copy_names *names, struct error *err)
{
    CLEANUP_CLOSE int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(close_dir) DIR *dir = own < 0 ? NULL : fdopendir(own);
    struct reading r = {.names = names};

    if (!dir)
        return error_errno(err, errno, "list directory");
    (void)TAKE_FD(own);
    errno = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && e->d_type != DT_SOCK &&
            add_name(&r, e->d_name, err) < 0)
            return -1;
        errno = 0;
    }
    if (errno)
        return error_errno(err, errno, "list directory");
    if (names->n > 1)
        qsort_r(names->starts, names->n, sizeof(*names->starts), compare_names, names->text);
    return 0;
}

/* ---- the walk ---- */

struct levels {
    struct copy_walk_dir *v; /* COPY_DEPTH_MAX of them */
    size_t n;
};

static void drop_level(struct levels *l)
{
    struct copy_walk_dir *dir = &l->v[--l->n];

    names_release(&dir->names);
    copy_place_release(&dir->at);
    if (dir->fd >= 0)
        close(dir->fd);
}

static void levels_release(struct levels *l)
{
    while (l->n > 0)
        drop_level(l);
    free(l->v);
}

/* Puts dir, whose descriptor it takes, on top. */
static int push(struct copy_walk *w, struct levels *l, int fd, const char *name,
                const struct stat *st, bool inside, struct error *err)
{
    struct copy_walk_dir *dir;

    if (l->n >= COPY_DEPTH_MAX) {
        close(fd);
        return error_set(err, ERR_LIMIT, "more than %d directories in a row: %.200s…",
                         COPY_DEPTH_MAX, buf_str(&w->path));
    }
    dir = &l->v[l->n];
    *dir = (struct copy_walk_dir){
        .parent = l->n > 0 ? &l->v[l->n - 1] : NULL,
        .fd = fd,
        .name = name,
        .st = *st,
        .inside = inside,
        .path_len = w->path.len,
        .at = COPY_PLACE_NONE,
    };
    l->n++;
    if (read_names(fd, &dir->names, err) < 0)
        return error_wrap(err, "/%.200s", buf_str(&w->path));
    return 0;
}

static int make_up_to(struct copy_walk *w, struct levels *l, struct error *err)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].made)
            continue;
        if (w->ops->enter && w->ops->enter(w->self, &l->v[i], err) < 0)
            return -1;
        l->v[i].made = true;
    }
    return 0;
}

static int visit_dir(struct copy_walk *w, struct levels *l, const char *name, const struct stat *st,
                     bool in, bool out, struct error *err)
{
    struct copy_walk_dir *dir = &l->v[l->n - 1];
    const char *path = buf_str(&w->path);
    int fd;

    if (in && !out && w->stop_at_match)
        return w->ops->entry(w->self, dir, name, st, err);
    if ((out && !w->patterns->may_reinclude(w->excluded, path)) ||
        (!in && !copy_glob_leads_below(w->only, path)))
        return 0;
    fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open directory /%.200s", path);
    if (push(w, l, fd, name, st, in, err) < 0)
        return -1;
    return in && !out ? make_up_to(w, l, err) : 0;
}

static int visit(struct copy_walk *w, struct levels *l, const char *name, struct error *err)
{
    struct copy_walk_dir *dir = &l->v[l->n - 1];
    const char *path = buf_str(&w->path);
    struct stat st;
    bool in, out;

    if (++w->entries > COPY_ENTRIES_MAX)
        return error_set(err, ERR_LIMIT, "more than %d files", COPY_ENTRIES_MAX);
    if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at /%.200s", path);
    in = dir->inside || !w->only || copy_glob_matches(w->only, path);
    out = w->excluded && w->patterns->matches(w->excluded, path);
    if (S_ISDIR(st.st_mode))
        return visit_dir(w, l, name, &st, in, out, err);
    if (!in || out || S_ISSOCK(st.st_mode))
        return 0;
    if (make_up_to(w, l, err) < 0)
        return -1;
    return w->ops->entry(w->self, dir, name, &st, err);
}

static int step(struct copy_walk *w, struct levels *l, struct error *err)
{
    struct copy_walk_dir *dir = &l->v[l->n - 1];
    const char *name;

    w->path.len = dir->path_len;
    if (w->path.data)
        w->path.data[w->path.len] = '\0';
    if (dir->names.next == dir->names.n) {
        int result = dir->made && w->ops->leave ? w->ops->leave(w->self, dir, err) : 0;

        drop_level(l);
        return result;
    }
    name = dir->names.text + dir->names.starts[dir->names.next++];
    if (w->path.len > 0)
        buf_addc(&w->path, '/');
    buf_adds(&w->path, name);
    if (buf_check(&w->path, "a path", err) < 0)
        return -1;
    return visit(w, l, name, err);
}

int copy_walk(struct copy_walk *w, int fd, const struct stat *st, struct error *err)
{
    CLEANUP(levels_release) struct levels l = {.v = calloc(COPY_DEPTH_MAX, sizeof(*l.v))};
    int top = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (!l.v || top < 0) {
        if (top >= 0)
            close(top);
        return error_errno(err, errno, "list directory");
    }
    buf_clear(&w->path);
    if (push(w, &l, top, "", st, false, err) < 0 ||
        (!w->stop_at_match && make_up_to(w, &l, err) < 0))
        return -1;
    while (l.n > 0)
        if (step(w, &l, err) < 0)
            return -1;
    return 0;
}
