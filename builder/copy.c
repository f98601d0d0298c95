/* builder/copy — see the header.
 *
 *   copy_source    what the sources mean, wildcards resolved
 *   copy_walk      all that is in a directory, less what is excluded
 *   copy_place     where a path leads in the tree, and making directories in the diff
 *   copy_put       one file to a name          copy_file   its content, owner, mode, time
 *   copy_tree      a directory's content       copy_links  files with several names
 *   copy_archive   ADD's archives              copy_mode   --chmod       copy_glob   wildcards
 *   copy_digest    all that is read, as a digest */
#include "builder/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "builder/copy_archive.h"
#include "builder/copy_excluded.h"
#include "builder/copy_mode.h"
#include "builder/copy_tree.h"

struct copying {
    struct copier c;
    struct copy_sources sources;
    bool into;       /* the destination has to be a directory */
    struct buf dest; /* resolved; valid with `open` */
    bool open;       /* to is the destination, a directory, kept for the next source */
    struct copy_place to;
};

static void copying_release(struct copying *x)
{
    copy_excluded_release(x->c.req, &x->c.excluded);
    copy_links_release(&x->c.links);
    copy_sources_release(&x->sources);
    buf_release(&x->dest);
    copy_place_release(&x->to);
}

/* ---- the destination ---- */

static int refuse_dest(const struct copying *x, struct error *err)
{
    return error_set(err, ERR_INPUT, "mkdir /%s: not a directory", buf_str(&x->dest));
}

/* The destination as a directory, in x->to. */
static int open_directory(struct copying *x, struct error *err)
{
    if (x->open)
        return 0;
    copy_place_release(&x->to);
    if (copy_place_make(&x->c.root, buf_str(&x->dest), &x->c.made, &x->to, NULL, err) < 0)
        return -1;
    x->open = true;
    return 0;
}

/* Where a file of that name goes: the place in x->to, its own name, which points into name or into
 * path, and its path. */
static int find_place(struct copying *x, const char *name, struct buf *path, const char **ret_name,
                      struct error *err)
{
    enum copy_place_kind kind = COPY_PLACE_DIRECTORY;
    const char *slash;

    if (!x->open) {
        buf_clear(&x->dest);
        if (copy_place_resolve(&x->c.root, x->c.req->dest, true, &x->dest, &kind, err) < 0)
            return -1;
    }
    if (kind != COPY_PLACE_DIRECTORY && kind != COPY_PLACE_ABSENT && x->into)
        return refuse_dest(x, err);
    if (kind == COPY_PLACE_DIRECTORY || x->into) {
        *ret_name = name;
        buf_addf(path, "%s%s%s", buf_str(&x->dest), x->dest.len > 0 ? "/" : "", name);
        return open_directory(x, err);
    }
    slash = strrchr(buf_str(&x->dest), '/');
    buf_add(path, buf_str(&x->dest), slash ? (size_t)(slash - buf_str(&x->dest)) : 0);
    copy_place_release(&x->to);
    if (copy_place_make(&x->c.root, buf_str(path), &x->c.made, &x->to, NULL, err) < 0)
        return -1;
    buf_clear(path);
    buf_adds(path, buf_str(&x->dest));
    *ret_name = slash ? slash + 1 : buf_str(&x->dest);
    return 0;
}

/* The destination of a directory's content, in x->to. */
static int find_directory(struct copying *x, bool archive, struct error *err)
{
    enum copy_place_kind kind;

    if (x->open)
        return 0;
    buf_clear(&x->dest);
    if (copy_place_resolve(&x->c.root, x->c.req->dest, true, &x->dest, &kind, err) < 0)
        return -1;
    if (kind == COPY_PLACE_FILE || kind == COPY_PLACE_LINK)
        return archive ? refuse_dest(x, err)
                       : error_set(err, ERR_INPUT, "cannot copy to non-directory: /%s",
                                   buf_str(&x->dest));
    return open_directory(x, err);
}

/* ---- the sources ---- */

static int copy_directory(struct copying *x, const struct copy_source *source, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (copy_source_open(x->c.req->from, source->path, O_RDONLY | O_DIRECTORY, &fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at /%s", source->path);
    if (find_directory(x, false, err) < 0)
        return -1;
    return copy_tree(&x->c, source, fd, &st, &x->to, buf_str(&x->dest), err);
}

/* *ret_done false: it is no archive. */
static int try_archive(struct copying *x, const struct copy_source *source, bool *ret_done,
                       struct error *err)
{
    CLEANUP(copy_archive_freep) struct copy_archive *archive = NULL;
    CLEANUP_CLOSE int fd = -1;

    *ret_done = false;
    if (copy_source_open(x->c.req->from, source->path, O_RDONLY | O_NONBLOCK, &fd, err) < 0 ||
        copy_archive_open(fd, &archive, err) < 0)
        return -1;
    if (!archive)
        return 0;
    *ret_done = true;
    if (find_directory(x, true, err) < 0)
        return -1;
    if (copy_archive_unpack(archive, &x->c, &x->to, err) < 0)
        return error_wrap(err, "unpack /%.200s", source->path);
    return copy_place_settle(&x->to, buf_str(&x->dest), err);
}

static int copy_whole(struct copying *x, const struct copy_source *source, const struct stat *st,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(2 * COPY_PLACE_PATH);
    const struct copy_item item = {
        .dir = x->c.req->from, .name = source->path, .whole = true, .st = *st};
    const char *name;

    if (S_ISSOCK(st->st_mode))
        return 0;
    if (find_place(x, copy_source_name(source->path), &path, &name, err) < 0 ||
        copy_put(&x->c, &item, &x->to, name, buf_str(&path), err) < 0)
        return -1;
    copy_links_release(&x->c.links);
    return copy_place_settle(&x->to, buf_str(&path), err);
}

static int copy_source(struct copying *x, const struct copy_source *source, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    bool done = false;

    if (copy_source_open(x->c.req->from, source->path, O_PATH, &fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at /%s", source->path);
    if (S_ISDIR(st.st_mode))
        return copy_directory(x, source, err);
    if (copy_excluded_has(x->c.req, x->c.excluded, copy_source_name(source->path)))
        return 0;
    if (x->c.req->add && S_ISREG(st.st_mode) && try_archive(x, source, &done, err) < 0)
        return -1;
    return done ? 0 : copy_whole(x, source, &st, err);
}

static int copy_text(struct copying *x, const struct copy_file *file, struct error *err)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(2 * COPY_PLACE_PATH);
    const char *name;

    if (strchr(file->name, '/') || strcmp(file->name, ".") == 0 || strcmp(file->name, "..") == 0)
        return error_set(err, ERR_INPUT, "the here-document's name %.100s is no file name",
                         file->name);
    if (find_place(x, file->name, &path, &name, err) < 0 ||
        copy_put_text(&x->c, file, &x->to, name, buf_str(&path), err) < 0)
        return -1;
    return copy_place_settle(&x->to, buf_str(&path), err);
}

static struct copying begin(const struct copy_request *req)
{
    return (struct copying){
        .c = {.req = req,
              .root = {.to = req->to, .view = req->view},
              .made = {.uid = req->uid, .gid = req->gid, .time = copy_file_now(req->epoch)}},
        .dest = BUF_INIT(COPY_PLACE_PATH),
        .to = COPY_PLACE_NONE,
    };
}

int copy_into(const struct copy_request *req, struct copy_result *ret, struct error *err)
{
    CLEANUP(copying_release) struct copying x = begin(req);

    if (copy_mode_check(req->chmod ? req->chmod : "", err) < 0 ||
        copy_excluded_compile(req, &x.c.excluded, err) < 0 ||
        copy_sources_find(req, &x.sources, err) < 0)
        return -1;
    x.into =
        text_ends(req->dest, "/") || text_ends(req->dest, "/.") || x.sources.n + req->n_files > 1;
    for (size_t i = 0; i < x.sources.n; i++)
        if (copy_source(&x, &x.sources.v[i], err) < 0)
            return -1;
    for (size_t i = 0; i < req->n_files; i++)
        if (copy_text(&x, &req->files[i], err) < 0)
            return -1;
    *ret = x.c.result;
    return 0;
}

int copy_make_directory(int view, int to, const char *path, uint32_t uid, uint32_t gid,
                        int64_t epoch, bool *ret_made, struct error *err)
{
    const struct copy_place root = {.to = to, .view = view};
    const struct copy_place_new new = {.uid = uid, .gid = gid, .time = copy_file_now(epoch)};
    CLEANUP(copy_place_release) struct copy_place made = COPY_PLACE_NONE;
    CLEANUP(buf_release) struct buf resolved = BUF_INIT(COPY_PLACE_PATH);
    enum copy_place_kind kind;

    if (copy_place_resolve(&root, path, true, &resolved, &kind, err) < 0)
        return -1;
    if (kind == COPY_PLACE_DIRECTORY) {
        *ret_made = false;
        return 0;
    }
    return copy_place_make(&root, buf_str(&resolved), &new, &made, ret_made, err);
}
