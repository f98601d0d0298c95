/* builder/copy_put — see the header.
 *
 * Whatever is made is made by a call that fails when something is there (EEXIST); then that goes,
 * if it is no directory, and it is tried again.  So a link that is there is never written
 * through. */
#include "builder/copy_put.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/copy_content.h"
#include "base/fs.h"
#include "builder/copy_mode.h"
#include "builder/copy_source.h"

#define CREATE (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define READ   (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

struct putting {
    struct copier *c;
    const struct copy_item *item;
    const struct copy_place *to;
    const char *name, *path;
    struct copy_attributes attributes;
};

struct copy_attributes copy_put_attributes(const struct copier *c, const struct stat *st)
{
    const struct copy_request *req = c->req;

    return (struct copy_attributes){
        .mode = copy_mode_apply(req->chmod ? req->chmod : "", st->st_mode),
        .uid = req->keep_owner ? st->st_uid : req->uid,
        .gid = req->keep_owner ? st->st_gid : req->gid,
        .mtime = copy_file_time(st->st_mtim, req->epoch),
    };
}

/* ---- the way ---- */

static int refuse_directory(const struct putting *p, struct error *err)
{
    return error_set(err, ERR_INPUT, "cannot replace to directory /%s with file", p->path);
}

static int check_view(const struct putting *p, struct error *err)
{
    struct stat st;

    if (p->to->view >= 0 && fstatat(p->to->view, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(st.st_mode))
        return refuse_directory(p, err);
    return 0;
}

/* Takes away what made a call fail with EEXIST; -1 also when it failed with something else. */
static int make_way(const struct putting *p, struct error *err)
{
    struct stat st;

    if (errno == ENAMETOOLONG)
        return error_set(err, ERR_INPUT, "/%.200s…: file name too long", p->path);
    if (errno != EEXIST)
        return error_errno(err, errno, "make /%s", p->path);
    if (fstatat(p->to->to, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at /%s", p->path);
    if (S_ISDIR(st.st_mode))
        return refuse_directory(p, err);
    if (unlinkat(p->to->to, p->name, 0) < 0)
        return error_errno(err, errno, "replace /%s", p->path);
    return 0;
}

static int create(const struct putting *p, int *ret_fd, struct error *err)
{
    int fd = openat(p->to->to, p->name, CREATE, 0600);

    if (fd < 0) {
        if (make_way(p, err) < 0)
            return -1;
        fd = openat(p->to->to, p->name, CREATE, 0600);
    }
    if (fd < 0)
        return error_errno(err, errno, "make /%s", p->path);
    *ret_fd = fd;
    return 0;
}

/* ---- files ---- */

static int open_source(const struct putting *p, int *ret_fd, struct error *err)
{
    const struct copy_item *item = p->item;
    int fd;

    if (item->whole)
        return copy_source_open(item->dir, item->name, READ, ret_fd, err);
    fd = openat(item->dir, item->name, READ | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "open the source of /%s", p->path);
    *ret_fd = fd;
    return 0;
}

static bool is_unchanged(const struct putting *p)
{
    const struct stat *st = &p->item->st;
    const struct copy_attributes *a = &p->attributes;

    return a->mode == (st->st_mode & 07777) && a->uid == st->st_uid && a->gid == st->st_gid &&
           a->mtime.tv_sec == st->st_mtim.tv_sec && a->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

/* A source's own path may lead through links, so it is opened, and linked by descriptor. */
static int link_whole(const struct putting *p)
{
    CLEANUP_CLOSE int fd = -1;
    struct error ignored;
    char self[64];
    int result;

    if (copy_source_open(p->item->dir, p->item->name, O_PATH, &fd, &ignored) < 0)
        return -1;
    result = linkat(fd, "", p->to->to, p->name, AT_EMPTY_PATH);
    if (result == 0 || errno == EEXIST)
        return result;
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, p->to->to, p->name, AT_SYMLINK_FOLLOW);
}

static int link_source(const struct putting *p)
{
    return p->item->whole ? link_whole(p)
                          : linkat(p->item->dir, p->item->name, p->to->to, p->name, 0);
}

static int link_copied(const struct putting *p)
{
    const char *copied = copy_links_find(&p->c->links, &p->item->st);

    if (!copied) {
        errno = ENOENT;
        return -1;
    }
    return linkat(p->c->root.to, copied, p->to->to, p->name, 0);
}

/* *ret_done false: it has to be copied. */
static int try_link(const struct putting *p, int (*make)(const struct putting *p), bool *ret_done,
                    struct error *err)
{
    int result = make(p);

    if (result < 0 && errno == EEXIST) {
        if (make_way(p, err) < 0)
            return -1;
        result = make(p);
    }
    if (result < 0 && (errno == EXDEV || errno == EPERM || errno == ENOSYS))
        p->c->no_links = p->c->no_links || make == link_source;
    *ret_done = result == 0;
    return 0;
}

static int copy_regular(const struct putting *p, struct error *err)
{
    CLEANUP_CLOSE int from = -1;
    CLEANUP_CLOSE int to = -1;

    if (open_source(p, &from, err) < 0 || create(p, &to, err) < 0 ||
        copy_content(from, to, &p->item->st, p->path, err) < 0 ||
        copy_file_set(to, &p->attributes, p->path, err) < 0 ||
        copy_file_xattrs(from, to, p->path, err) < 0)
        return -1;
    if (p->item->st.st_nlink > 1 && strlen(p->path) < PATH_MAX)
        copy_links_add(&p->c->links, &p->item->st, p->path);
    return 0;
}

static int put_regular(const struct putting *p, struct error *err)
{
    bool done = false;

    if (p->c->req->may_link && !p->c->no_links && is_unchanged(p) &&
        try_link(p, link_source, &done, err) < 0)
        return -1;
    if (!done && p->item->st.st_nlink > 1 && copy_links_find(&p->c->links, &p->item->st) &&
        try_link(p, link_copied, &done, err) < 0)
        return -1;
    if (!done && copy_regular(p, err) < 0)
        return -1;
    p->c->result.files++;
    p->c->result.bytes += (uint64_t)p->item->st.st_size;
    return 0;
}

/* ---- what is no file ---- */

static int put_symlink(const struct putting *p, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(p->item->dir, p->item->name, target, sizeof(target) - 1);

    if (n < 0)
        return error_errno(err, errno, "read the link for /%s", p->path);
    target[n] = '\0';
    if (symlinkat(target, p->to->to, p->name) < 0 &&
        (make_way(p, err) < 0 || (symlinkat(target, p->to->to, p->name) < 0 &&
                                  error_errno(err, errno, "make the link /%s", p->path) < 0)))
        return -1;
    return copy_file_set_at(p->to->to, p->name, &p->attributes, true, p->path, err);
}

static int refuse_device(const struct putting *p, struct error *err)
{
    return error_set(
        err, ERR_INPUT,
        "/%s is a device (%u, %u), and a build cannot make that one: leave it out with "
        ".dockerignore or --exclude",
        p->path, major(p->item->st.st_rdev), minor(p->item->st.st_rdev));
}

/* A device 0, 0 would be a whiteout in the diff. */
static int put_node(const struct putting *p, struct error *err)
{
    mode_t kind = p->item->st.st_mode & S_IFMT;
    dev_t dev = kind == S_IFIFO ? 0 : p->item->st.st_rdev;
    int result;

    if (kind != S_IFIFO && dev == 0)
        return refuse_device(p, err);
    result = mknodat(p->to->to, p->name, kind | 0600, dev);
    if (result < 0 && errno == EEXIST) {
        if (make_way(p, err) < 0)
            return -1;
        result = mknodat(p->to->to, p->name, kind | 0600, dev);
    }
    if (result < 0 && kind != S_IFIFO && (errno == EPERM || errno == EINVAL))
        return refuse_device(p, err);
    if (result < 0)
        return error_errno(err, errno, "make /%s", p->path);
    return copy_file_set_at(p->to->to, p->name, &p->attributes, false, p->path, err);
}

int copy_put(struct copier *c, const struct copy_item *item, const struct copy_place *to,
             const char *name, const char *path, struct error *err)
{
    const struct putting p = {.c = c,
                              .item = item,
                              .to = to,
                              .name = name,
                              .path = path,
                              .attributes = copy_put_attributes(c, &item->st)};

    if (check_view(&p, err) < 0)
        return -1;
    switch (item->st.st_mode & S_IFMT) {
    case S_IFREG:
        return put_regular(&p, err);
    case S_IFLNK:
        return put_symlink(&p, err);
    case S_IFSOCK:
        return 0;
    default:
        return put_node(&p, err);
    }
}

int copy_put_text(struct copier *c, const struct copy_file *file, const struct copy_place *to,
                  const char *name, const char *path, struct error *err)
{
    const struct copy_item item = {.st = {.st_mode = S_IFREG | 0644,
                                          .st_uid = c->req->uid,
                                          .st_gid = c->req->gid,
                                          .st_mtim = copy_file_now(c->req->epoch)}};
    const struct putting p = {.c = c,
                              .item = &item,
                              .to = to,
                              .name = name,
                              .path = path,
                              .attributes = copy_put_attributes(c, &item.st)};
    CLEANUP_CLOSE int fd = -1;

    if (check_view(&p, err) < 0 || create(&p, &fd, err) < 0)
        return -1;
    if (fs_write_all(fd, file->content, file->len, err) < 0)
        return error_wrap(err, "/%s", path);
    c->result.files++;
    c->result.bytes += file->len;
    return copy_file_set(fd, &p.attributes, path, err);
}
