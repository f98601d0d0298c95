/* builder/copy_source — see the header.
 *
 * A source is cut where its first wildcard is: what is before is a directory, links followed; what
 * is behind is matched against all that is in there, links not followed, as BuildKit does.  With
 * --parents the directory ends at the "/./", and the rest is a pattern for the walk. */
#include "builder/copy_source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "builder/copy_walk.h"

#define TRIES 100 /* openat2 gives up when somebody renames a directory meanwhile */

void copy_sources_release(struct copy_sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].path);
        free(s->v[i].shown);
        copy_glob_free(s->v[i].only);
    }
    free(s->v);
    *s = (struct copy_sources){0};
}

const char *copy_source_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* ---- opening ---- */

static int open_below(int root, const char *path, int flags)
{
    const struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = -1;

    for (int i = 0; i < TRIES; i++) {
        fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    return fd;
}

int copy_source_open(int root, const char *path, int flags, int *ret_fd, struct error *err)
{
    int fd = open_below(root, path, flags);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
        return error_set(err, ERR_INPUT, "\"/%.200s\": not found", path);
    if (fd < 0 && errno == ELOOP)
        return error_set(err, ERR_INPUT, "\"/%.200s\": too many links", path);
    if (fd < 0)
        return error_errno(err, errno, "open \"/%.200s\"", path);
    *ret_fd = fd;
    return 0;
}

/* ---- cleaning ---- */

/* Like Go's path.Clean of "/" and path, without the slash. */
static void clean(struct buf *out, const char *path, size_t len)
{
    const char *end = path + len;

    for (size_t n; path < end; path += n + 1) {
        const char *slash = memchr(path, '/', (size_t)(end - path));

        n = (size_t)((slash ? slash : end) - path);
        if (n == 0 || (n == 1 && *path == '.'))
            continue;
        if (n == 2 && memcmp(path, "..", 2) == 0) {
            const char *last = out->len > 0 ? strrchr(out->data, '/') : NULL;

            if (out->len > 0) {
                out->len = last ? (size_t)(last - out->data) : 0;
                out->data[out->len] = '\0';
            }
            continue;
        }
        if (out->len > 0)
            buf_addc(out, '/');
        buf_add(out, path, n);
    }
}

/* Where the first name with a wildcard begins; the length when there is none. */
static size_t wild_from(const char *path)
{
    size_t start = 0;

    for (;;) {
        size_t n = strcspn(path + start, "/");

        if (copy_glob_is_wild(path + start, n))
            return start;
        start += n;
        if (!path[start])
            return start;
        start++;
    }
}

/* ---- finding ---- */

struct search {
    const struct copy_request *req;
    struct copy_sources *found;
    const char *base;    /* of the pattern: clean, "" or "a/b" */
    const char *parents; /* --parents: the pattern behind the pivot; NULL: without it */
    struct copy_walk walk;
};

static int make_room(struct copy_sources *found, struct error *err)
{
    size_t cap = found->cap * 2 + 16;
    struct copy_source *v;

    if (found->n >= COPY_SOURCES_MAX)
        return error_set(err, ERR_LIMIT, "wildcards match more than %d files", COPY_SOURCES_MAX);
    if (found->n < found->cap)
        return 0;
    v = reallocarray(found->v, cap, sizeof(*v));
    if (!v)
        return error_set(err, ERR_SYSTEM, "find a source: out of memory");
    found->v = v;
    found->cap = cap;
    return 0;
}

static int add(struct search *s, const char *path, struct error *err)
{
    struct copy_source *source;
    int n;

    if (make_room(s->found, err) < 0)
        return -1;
    source = &s->found->v[s->found->n++];
    *source = (struct copy_source){.path = strdup(path)};
    n = s->parents ? asprintf(&source->shown, "/%s/./%s", path, s->parents)
                   : asprintf(&source->shown, "/%s", path);
    if (n < 0)
        source->shown = NULL;
    if (!source->path || !source->shown)
        return error_set(err, ERR_SYSTEM, "find a source: out of memory");
    if (!s->parents || !*s->parents)
        return 0;
    return copy_glob_compile(s->parents, true, &source->only, err);
}

static int add_match(void *self, struct copy_walk_dir *dir, const char *name, const struct stat *st,
                     struct error *err)
{
    struct search *s = self;
    CLEANUP(buf_release) struct buf path = BUF_INIT(COPY_PLACE_PATH);

    (void)dir;
    (void)name;
    (void)st;
    buf_addf(&path, "%s%s%s", s->base, *s->base ? "/" : "", buf_str(&s->walk.path));
    if (path.full)
        return error_set(err, ERR_LIMIT, "%.200s…: file name too long", buf_str(&s->walk.path));
    return add(s, buf_str(&path), err);
}

static int search_directory(struct search *s, const struct copy_glob *glob, struct error *err)
{
    static const struct copy_walk_ops ops = {.entry = add_match};
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int result;

    fd = open_below(s->req->from, s->base, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0; /* a wildcard that matches nothing */
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open \"/%.200s\"", s->base);
    s->walk.ops = &ops;
    s->walk.self = s;
    s->walk.only = glob;
    s->walk.stop_at_match = true;
    s->walk.path = (struct buf)BUF_INIT(COPY_WALK_PATH_MAX);
    result = copy_walk(&s->walk, fd, &st, err);
    buf_release(&s->walk.path);
    return result;
}

/* path: clean, with wildcards or without. */
static int find(struct search *s, const char *path, struct error *err)
{
    CLEANUP(copy_glob_freep) struct copy_glob *glob = NULL;
    CLEANUP(buf_release) struct buf base = BUF_INIT(COPY_PLACE_PATH);
    CLEANUP_CLOSE int fd = -1;
    size_t at = wild_from(path);

    if (path[at]) {
        if (copy_glob_compile(path + at, false, &glob, err) < 0)
            return -1;
        buf_add(&base, path, at > 0 ? at - 1 : 0);
        s->base = buf_str(&base);
        return search_directory(s, glob, err);
    }
    if (copy_source_open(s->req->from, path, O_PATH, &fd, err) < 0)
        return -1;
    return add(s, path, err);
}

/* Without a wildcard anywhere what is behind the pivot must be there, too. */
static int require(const struct search *s, const char *base, struct error *err)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(2 * COPY_PLACE_PATH);
    CLEANUP_CLOSE int fd = -1;

    if (base[wild_from(base)] || s->parents[wild_from(s->parents)])
        return 0;
    buf_addf(&path, "%s%s%s", base, *base && *s->parents ? "/" : "", s->parents);
    if (buf_check(&path, "a source", err) < 0)
        return -1;
    return copy_source_open(s->req->from, buf_str(&path), O_PATH, &fd, err);
}

static int find_with_parents(struct search *s, const char *source, struct error *err)
{
    CLEANUP(buf_release) struct buf base = BUF_INIT(COPY_PLACE_PATH);
    CLEANUP(buf_release) struct buf pattern = BUF_INIT(COPY_PLACE_PATH);
    const char *pivot = strstr(source, "/./");

    if (pivot)
        clean(&base, source, (size_t)(pivot - source));
    source = pivot ? pivot + 3 : source;
    clean(&pattern, source, strlen(source));
    if (base.full || pattern.full)
        return error_set(err, ERR_LIMIT, "%.200s…: file name too long", source);
    s->parents = buf_str(&pattern);
    if (require(s, buf_str(&base), err) < 0)
        return -1;
    return find(s, buf_str(&base), err);
}

int copy_sources_find(const struct copy_request *req, struct copy_sources *ret, struct error *err)
{
    struct search s = {.req = req, .found = ret};

    for (size_t i = 0; req->from >= 0 && req->sources && i < req->sources->n; i++) {
        CLEANUP(buf_release) struct buf path = BUF_INIT(COPY_PLACE_PATH);
        const char *source = req->sources->v[i];
        int result;

        clean(&path, source, strlen(source));
        if (path.full)
            result = error_set(err, ERR_LIMIT, "%.200s…: file name too long", source);
        else
            result =
                req->parents ? find_with_parents(&s, source, err) : find(&s, buf_str(&path), err);
        if (result < 0)
            return -1;
    }
    return 0;
}
