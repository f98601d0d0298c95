/* builder/copy_tree — see the header. */
#include "builder/copy_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "builder/copy_walk.h"

struct tree {
    struct copier *c;
    struct copy_place *to; /* of the directory where the walk begins */
    struct copy_walk walk;
    struct buf path; /* of what is being made; base_len: of where the walk began */
    size_t base_len;
};

/* The path in the image of what is at rel below the walk's begin. */
static const char *path_of(struct tree *t, const char *rel)
{
    if (t->path.data) {
        t->path.len = t->base_len;
        t->path.data[t->base_len] = '\0';
    }
    if (t->base_len > 0 && *rel)
        buf_addc(&t->path, '/');
    buf_adds(&t->path, rel);
    return buf_str(&t->path);
}

/* The path of a directory of the walk, which may be above the one that is being looked at. */
static const char *path_of_dir(struct tree *t, const struct copy_walk_dir *dir)
{
    char *rel = t->walk.path.data;
    const char *path;
    char kept;

    if (!rel || dir->path_len == 0)
        return path_of(t, "");
    kept = rel[dir->path_len];
    rel[dir->path_len] = '\0';
    path = path_of(t, rel);
    rel[dir->path_len] = kept;
    return path;
}

static const struct copy_place *place_of(const struct tree *t, const struct copy_walk_dir *dir)
{
    return dir->parent ? &dir->at : t->to;
}

/* Makes it in the diff, with what attributes the view's has. */
static int make(struct copy_walk_dir *dir, const struct copy_place *parent, const char *path,
                struct error *err)
{
    struct copy_place_entry there;

    if (copy_place_look(parent, dir->name, &there, err) < 0)
        return -1;
    if (there.kind != COPY_PLACE_ABSENT && there.kind != COPY_PLACE_DIRECTORY)
        return error_set(err, ERR_INPUT, "cannot copy to non-directory: /%s", path);
    if ((there.kind == COPY_PLACE_ABSENT || there.in_view) &&
        mkdirat(parent->to, dir->name, 0700) < 0)
        return error_errno(err, errno, "mkdir /%s", path);
    if (copy_place_enter(parent, dir->name, &dir->at, err) < 0)
        return error_wrap(err, "/%s", path);
    if (there.kind == COPY_PLACE_DIRECTORY && there.in_view)
        return copy_file_xattrs(dir->at.view, dir->at.to, path, err);
    return 0;
}

static int enter(void *self, struct copy_walk_dir *dir, struct error *err)
{
    struct tree *t = self;

    if (!dir->parent)
        return 0;
    return make(dir, place_of(t, dir->parent), path_of_dir(t, dir), err);
}

static int leave(void *self, struct copy_walk_dir *dir, struct error *err)
{
    struct tree *t = self;
    const struct copy_attributes a = copy_put_attributes(t->c, &dir->st);
    const char *path;

    if (!dir->parent) {
        t->to->time = a.mtime;
        return 0;
    }
    path = path_of_dir(t, dir);
    if (copy_file_xattrs(dir->fd, dir->at.to, path, err) < 0)
        return -1;
    return copy_file_set(dir->at.to, &a, path, err);
}

static int entry(void *self, struct copy_walk_dir *dir, const char *name, const struct stat *st,
                 struct error *err)
{
    struct tree *t = self;
    const struct copy_item item = {.dir = dir->fd, .name = name, .st = *st};

    return copy_put(t->c, &item, place_of(t, dir), name, path_of(t, buf_str(&t->walk.path)), err);
}

static void tree_release(struct tree *t)
{
    buf_release(&t->walk.path);
    buf_release(&t->path);
    copy_links_release(&t->c->links);
}

int copy_tree(struct copier *c, const struct copy_source *source, int fd, const struct stat *st,
              struct copy_place *to, const char *path, struct error *err)
{
    static const struct copy_walk_ops ops = {.enter = enter, .leave = leave, .entry = entry};
    CLEANUP(tree_release)
    struct tree t = {
        .c = c,
        .to = to,
        .walk = {.ops = &ops,
                 .only = source->only,
                 .patterns = c->req->patterns,
                 .excluded = c->excluded,
                 .entries = c->entries,
                 .path = BUF_INIT(COPY_WALK_PATH_MAX)},
        .path = BUF_INIT(COPY_WALK_PATH_MAX + COPY_PLACE_PATH),
        .base_len = strlen(path),
    };

    t.walk.self = &t;
    buf_adds(&t.path, path);
    if (copy_walk(&t.walk, fd, st, err) < 0)
        return -1;
    c->entries = t.walk.entries;
    return copy_place_settle(to, path, err);
}
