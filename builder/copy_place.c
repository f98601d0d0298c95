/* builder/copy_place — see the header. */
#include "builder/copy_place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "builder/copy_file.h"

#define LINKS_MAX 255 /* as BuildKit follows */
#define REST_MAX  65536
#define OPEN_DIR  (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

void copy_place_release(struct copy_place *p)
{
    if (p->to >= 0)
        close(p->to);
    if (p->view >= 0)
        close(p->view);
    p->to = p->view = -1;
}

int copy_place_settle(const struct copy_place *p, const char *path, struct error *err)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, p->time};

    if (futimens(p->to, times) < 0)
        return error_errno(err, errno, "set the time of /%s", path);
    return 0;
}

/* ---- one step ---- */

static int stat_name(int fd, const char *name, struct stat *ret, bool *ret_there, struct error *err)
{
    *ret_there = false;
    if (fd < 0)
        return 0;
    if (fstatat(fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0)
        *ret_there = true;
    else if (errno == ENAMETOOLONG)
        return error_set(err, ERR_INPUT, "%.100s…: file name too long", name);
    else if (errno != ENOENT)
        return error_errno(err, errno, "look at %.255s", name);
    return 0;
}

int copy_place_look(const struct copy_place *p, const char *name, struct copy_place_entry *ret,
                    struct error *err)
{
    bool there;

    ret->in_view = false;
    if (stat_name(p->to, name, &ret->st, &there, err) < 0)
        return -1;
    if (!there) {
        ret->in_view = true;
        if (stat_name(p->view, name, &ret->st, &there, err) < 0)
            return -1;
    }
    ret->kind = !there                     ? COPY_PLACE_ABSENT
                : S_ISDIR(ret->st.st_mode) ? COPY_PLACE_DIRECTORY
                : S_ISLNK(ret->st.st_mode) ? COPY_PLACE_LINK
                                           : COPY_PLACE_FILE;
    return 0;
}

/* A directory of the view: to be read where that is allowed, else to be walked through. */
static int open_view(int fd, const char *name)
{
    int dir = openat(fd, name, OPEN_DIR);

    if (dir < 0 && errno == EACCES)
        dir = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return dir;
}

/* Opens what there is of a directory in either. */
static int enter(const struct copy_place *p, const char *name, struct copy_place *ret,
                 struct error *err)
{
    struct stat st;

    if (p->to >= 0) {
        ret->to = openat(p->to, name, OPEN_DIR);
        if (ret->to < 0 && errno != ENOENT)
            return error_errno(err, errno, "open %.255s", name);
        if (ret->to >= 0 && fstat(ret->to, &st) < 0)
            return error_errno(err, errno, "look at %.255s", name);
        if (ret->to >= 0)
            ret->time = st.st_mtim;
    }
    if (p->view >= 0) {
        ret->view = open_view(p->view, name);
        if (ret->view < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            return error_errno(err, errno, "open %.255s", name);
    }
    return 0;
}

int copy_place_enter(const struct copy_place *p, const char *name, struct copy_place *ret,
                     struct error *err)
{
    CLEANUP(copy_place_release) struct copy_place next = COPY_PLACE_NONE;

    if (enter(p, name, &next, err) < 0)
        return -1;
    *ret = next;
    next.to = next.view = -1;
    return 0;
}

/* p becomes its own subdirectory. */
static int descend(struct copy_place *p, const char *name, struct error *err)
{
    CLEANUP(copy_place_release) struct copy_place next = COPY_PLACE_NONE;

    if (copy_place_enter(p, name, &next, err) < 0)
        return -1;
    copy_place_release(p);
    *p = next;
    next.to = next.view = -1;
    return 0;
}

/* ---- a path ---- */

/* The name at *at, which moves behind it; NULL when there is no more. */
static const char *next_name(const char **at, char name[NAME_MAX + 2])
{
    size_t n;

    *at += strspn(*at, "/");
    n = strcspn(*at, "/");
    if (n == 0)
        return NULL;
    /* One that is too long keeps a byte too many, for the kernel to refuse. */
    (void)snprintf(name, NAME_MAX + 2, "%.*s", n > NAME_MAX ? NAME_MAX + 1 : (int)n, *at);
    *at += n;
    return name;
}

struct resolving {
    const struct copy_place *root;
    struct copy_place at; /* the directory that path is, unless beyond */
    bool beyond;          /* path is not there */
    struct buf *path;
    struct buf rest; /* what is still to go, from `from` */
    size_t from;
    int links;
};

static void resolving_release(struct resolving *r)
{
    copy_place_release(&r->at);
    buf_release(&r->rest);
}

static int go_to_root(struct resolving *r, struct error *err)
{
    copy_place_release(&r->at);
    r->beyond = false;
    return copy_place_enter(r->root, ".", &r->at, err);
}

static void add_name(struct buf *path, const char *name)
{
    if (path->len > 0)
        buf_addc(path, '/');
    buf_adds(path, name);
}

/* Takes the last name off path, and stands there. */
static int go_up(struct resolving *r, struct error *err)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(COPY_PLACE_PATH);
    const char *slash = strrchr(buf_str(r->path), '/');
    char name[NAME_MAX + 2];
    const char *p;

    buf_add(&path, buf_str(r->path), slash ? (size_t)(slash - buf_str(r->path)) : 0);
    buf_clear(r->path);
    buf_adds(r->path, buf_str(&path));
    if (go_to_root(r, err) < 0)
        return -1;
    for (p = buf_str(&path); !r->beyond && next_name(&p, name);) {
        struct copy_place_entry entry;

        if (copy_place_look(&r->at, name, &entry, err) < 0)
            return -1;
        r->beyond = entry.kind != COPY_PLACE_DIRECTORY;
        if (!r->beyond && descend(&r->at, name, err) < 0)
            return -1;
    }
    return 0;
}

/* What the link says takes its place in the rest. */
static int follow_link(struct resolving *r, const char *name, const struct copy_place_entry *entry,
                       struct error *err)
{
    CLEANUP(buf_release) struct buf rest = BUF_INIT(REST_MAX);
    char target[PATH_MAX];
    ssize_t n = readlinkat(entry->in_view ? r->at.view : r->at.to, name, target, sizeof(target));

    if (n < 0)
        return error_errno(err, errno, "read link %.255s", name);
    if (++r->links > LINKS_MAX)
        return error_set(err, ERR_INPUT, "/%s: too many links", buf_str(r->path));
    buf_add(&rest, target, (size_t)n);
    buf_adds(&rest, buf_str(&r->rest) + r->from);
    if (rest.full)
        return error_set(err, ERR_INPUT, "/%s: too many links", buf_str(r->path));
    buf_clear(&r->rest);
    buf_adds(&r->rest, buf_str(&rest));
    r->from = 0;
    if (target[0] != '/')
        return 0;
    buf_clear(r->path);
    return go_to_root(r, err);
}

/* Goes by one name that is neither "." nor "..".  *ret_end: it is no directory, and the last. */
static int go_by(struct resolving *r, const char *name, bool follow, enum copy_place_kind *ret_end,
                 struct error *err)
{
    const char *rest = buf_str(&r->rest) + r->from;
    bool last = rest[strspn(rest, "/")] == '\0';
    struct copy_place_entry entry = {.kind = COPY_PLACE_ABSENT};

    if (!r->beyond && copy_place_look(&r->at, name, &entry, err) < 0)
        return -1;
    if (entry.kind == COPY_PLACE_LINK && (follow || !last))
        return follow_link(r, name, &entry, err);
    add_name(r->path, name);
    if (entry.kind == COPY_PLACE_DIRECTORY)
        return descend(&r->at, name, err);
    if (entry.kind != COPY_PLACE_ABSENT && !last)
        return error_set(err, ERR_INPUT, "mkdir /%s: not a directory", buf_str(r->path));
    r->beyond = true;
    *ret_end = entry.kind;
    return 0;
}

int copy_place_resolve(const struct copy_place *root, const char *path, bool follow,
                       struct buf *ret_path, enum copy_place_kind *ret_kind, struct error *err)
{
    CLEANUP(resolving_release)
    struct resolving r = {
        .root = root, .at = COPY_PLACE_NONE, .path = ret_path, .rest = BUF_INIT(REST_MAX)};
    enum copy_place_kind end = COPY_PLACE_ABSENT;
    char name[NAME_MAX + 2];
    int result = go_to_root(&r, err);

    buf_adds(&r.rest, path);
    while (result == 0) {
        const char *p = buf_str(&r.rest) + r.from;

        if (!next_name(&p, name))
            break;
        r.from = (size_t)(p - buf_str(&r.rest));
        if (strcmp(name, "..") == 0)
            result = go_up(&r, err);
        else if (strcmp(name, ".") != 0)
            result = go_by(&r, name, follow, &end, err);
        if (ret_path->full)
            return error_set(err, ERR_LIMIT, "%.200s…: file name too long", path);
    }
    if (result < 0)
        return -1;
    *ret_kind = r.beyond ? end : COPY_PLACE_DIRECTORY;
    return 0;
}

/* ---- making ---- */

/* Like overlay's copy-up of a directory. */
static int copy_up(const struct copy_place *p, const char *name, const char *path,
                   struct copy_place *next, struct error *err)
{
    struct copy_attributes a;
    struct stat st;

    if (fstat(next->view, &st) < 0)
        return error_errno(err, errno, "look at /%s", path);
    a = (struct copy_attributes){st.st_mode & 07777, st.st_uid, st.st_gid, st.st_mtim};
    next->to = openat(p->to, name, OPEN_DIR);
    if (next->to < 0)
        return error_errno(err, errno, "open /%s", path);
    next->time = st.st_mtim;
    if (copy_file_xattrs(next->view, next->to, path, err) < 0)
        return -1;
    return copy_file_set(next->to, &a, path, err);
}

static int make_new(const struct copy_place *p, const char *name, const char *path,
                    const struct copy_place_new *new, struct copy_place *next, struct error *err)
{
    const struct copy_attributes a = {0755, new->uid, new->gid, new->time};

    next->to = openat(p->to, name, OPEN_DIR);
    if (next->to < 0)
        return error_errno(err, errno, "open /%s", path);
    next->time = new->time;
    return copy_file_set(next->to, &a, path, err);
}

/* p, which is in the diff, becomes its subdirectory, which is made there if it is not. */
static int make_one(struct copy_place *p, const char *name, const char *path,
                    const struct copy_place_new *new, bool *made, struct error *err)
{
    CLEANUP(copy_place_release) struct copy_place next = COPY_PLACE_NONE;
    struct copy_place_entry entry;
    int result = 0;

    if (copy_place_look(p, name, &entry, err) < 0)
        return -1;
    if (entry.kind != COPY_PLACE_ABSENT && entry.kind != COPY_PLACE_DIRECTORY)
        return error_set(err, ERR_INPUT, "mkdir /%s: not a directory", path);
    if (entry.kind == COPY_PLACE_DIRECTORY && copy_place_enter(p, name, &next, err) < 0)
        return -1;
    if (next.to < 0) {
        if (mkdirat(p->to, name, 0700) < 0)
            return error_errno(err, errno, "mkdir /%s", path);
        result = entry.kind == COPY_PLACE_DIRECTORY ? copy_up(p, name, path, &next, err)
                                                    : make_new(p, name, path, new, &next, err);
        *made = *made || entry.kind == COPY_PLACE_ABSENT;
        if (result < 0 || copy_place_settle(p, path, err) < 0)
            return -1;
    }
    copy_place_release(p);
    *p = next;
    next.to = next.view = -1;
    return 0;
}

int copy_place_make(const struct copy_place *root, const char *path,
                    const struct copy_place_new *new, struct copy_place *ret, bool *ret_made,
                    struct error *err)
{
    CLEANUP(copy_place_release) struct copy_place at = COPY_PLACE_NONE;
    char name[NAME_MAX + 2], so_far[COPY_PLACE_PATH + 1];
    const char *p = path;
    bool made = false;

    if (copy_place_enter(root, ".", &at, err) < 0)
        return -1;
    while (next_name(&p, name)) {
        (void)snprintf(so_far, sizeof(so_far), "%.*s", (int)(p - path), path);
        if (make_one(&at, name, so_far, new, &made, err) < 0)
            return -1;
    }
    *ret = at;
    at.to = at.view = -1;
    if (ret_made)
        *ret_made = made;
    return 0;
}
