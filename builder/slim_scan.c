/* builder/slim_scan — see the header. */
#include "builder/slim_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "builder/layer_attributes.h"
#include "builder/layer_place.h"
#include "builder/layer_walk.h"

struct scan {
    const struct slim_scan_request *req;
    struct slim_facts *facts;
    struct slim_twins *twins;
    struct layer_walk *walk;
    struct slim_root *whole; /* the last one of which everything goes; NULL: none yet */
    struct slim_root *named; /* the last one of which some names go */
    void *links;             /* in roots: a tree of struct linked */
};

/* ---- facts ---- */

void slim_facts_release(struct slim_facts *f)
{
    for (size_t i = 0; i < f->n_roots; i++)
        free(f->roots[i].path);
    free(f->roots);
    slim_pins_release(&f->pins);
    *f = (struct slim_facts){.n_roots = 0};
}

bool slim_facts_add(struct slim_facts *f, const char *path, const struct slim_rule *rule)
{
    char *copy;

    if (f->n_roots == SLIM_ROOTS_MAX)
        return false;
    if (!f->roots)
        f->roots = calloc(SLIM_ROOTS_MAX, sizeof(*f->roots));
    copy = f->roots ? strdup(path) : NULL;
    if (!copy)
        return false;
    f->roots[f->n_roots++] = (struct slim_root){.path = copy, .rule = rule};
    return true;
}

/* ---- what goes ---- */

struct linked { /* a file by several names, of which some lie in roots */
    ino_t ino;
    nlink_t seen;
};

static int by_ino(const void *a, const void *b)
{
    const struct linked *x = a, *y = b;

    return (x->ino > y->ino) - (x->ino < y->ino);
}

/* The bytes of a file go with its last name. */
static int is_last_name(struct scan *s, const struct stat *st, bool *ret, struct error *err)
{
    struct linked *fresh = calloc(1, sizeof(*fresh));
    void *node;

    if (!fresh)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    fresh->ino = st->st_ino;
    node = tsearch(fresh, &s->links, by_ino);
    if (!node || *(struct linked **)node != fresh)
        free(fresh);
    if (!node)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    *ret = ++(*(struct linked **)node)->seen == st->st_nlink;
    return 0;
}

/* Without it another one would be seen in its place: a file has to stay, of a directory its owner
 * and mode.  A file that was only opened to be locked is here, too, and is the same. */
static void compare_below(const struct scan *s, struct slim_root *root, const char *path,
                          const struct stat *st)
{
    struct stat old;
    bool same_kind, same_owner;

    if (s->req->below < 0 || root->covers ||
        fstatat(s->req->below, path, &old, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    same_kind = (old.st_mode & S_IFMT) == (st->st_mode & S_IFMT);
    same_owner = old.st_mode == st->st_mode && old.st_uid == st->st_uid && old.st_gid == st->st_gid;
    if (same_kind && S_ISDIR(st->st_mode))
        root->marks |= !same_owner;
    else
        root->covers = !same_kind || !same_owner || old.st_size != st->st_size;
}

static int count(struct scan *s, struct slim_root *root, const char *path, const struct stat *st,
                 struct error *err)
{
    bool last = true;

    if (layer_place_is_whiteout(st)) {
        root->marks = true;
        return 0;
    }
    if (!root->rule->names)
        compare_below(s, root, path, st);
    if (S_ISDIR(st->st_mode))
        return 0;
    if (st->st_nlink > 1 && is_last_name(s, st, &last, err) < 0)
        return -1;
    root->files++;
    root->bytes += S_ISREG(st->st_mode) && last ? (uint64_t)st->st_size : 0;
    return 0;
}

/* Of a name that the log and JSON cannot hold, nothing goes. */
static void begin_root(struct scan *s, const char *path)
{
    const struct slim_rule *rule = NULL;
    struct slim_root **place;
    size_t len = 0;

    if (!s->req->removes || slim_places_find(&s->req->config->places, path, &rule, &len) != SLIM_AT)
        return;
    if (!text_is_utf8(path, strlen(path)) || text_has_control(path, strlen(path)) ||
        !slim_facts_add(s->facts, path, rule))
        return;
    place = rule->names ? &s->named : &s->whole;
    *place = &s->facts->roots[s->facts->n_roots - 1];
}

/* ---- the walk ---- */

static int enter(struct scan *s, const struct layer_walk_entry *at, struct slim_root *inside,
                 struct error *err)
{
    CLEANUP(attributes_release) struct attributes attributes = {.v = NULL};
    CLEANUP_CLOSE int fd =
        openat(at->dir, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "open it");
    if (inside) {
        if (attributes_read(fd, &attributes, err) < 0)
            return -1;
        inside->marks |= attributes.opaque;
    } else {
        begin_root(s, at->path);
    }
    return layer_walk_enter(s->walk, fd, err);
}

static int look_at_link(struct scan *s, const struct layer_walk_entry *at,
                        const struct slim_root *inside, struct error *err)
{
    struct slim_pins found = {.many = false};
    char target[PATH_MAX];
    ssize_t len = readlinkat(at->dir, at->name, target, sizeof(target) - 1);

    if (len < 0)
        return error_errno(err, errno, "read the link");
    target[len] = '\0';
    slim_pins_add_link(&found, &s->req->config->places, at->path, target);
    /* A cache's links within itself go with it. */
    if (!inside || found.many || (found.at.n > 0 && strcmp(found.at.v[0], inside->path) != 0))
        slim_pins_add_all(&s->facts->pins, &found);
    slim_pins_release(&found);
    return 0;
}

static struct slim_root *root_of(const struct scan *s, const char *path)
{
    return s->whole && slim_is_below(path, s->whole->path) ? s->whole : NULL;
}

static bool goes_by_name(const struct scan *s, const char *path, const struct stat *st)
{
    return s->named && S_ISREG(st->st_mode) && slim_is_below(path, s->named->path) &&
           slim_rule_takes(s->named->rule, path + strlen(s->named->path) + 1);
}

static int look_at(struct scan *s, const struct layer_walk_entry *at, struct error *err)
{
    struct slim_root *inside = root_of(s, at->path);
    struct stat st;

    if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at it");
    if (strcmp(at->name, ".pnp.cjs") == 0 || strcmp(at->name, ".pnp.js") == 0)
        slim_pins_add(&s->facts->pins, SLIM_PIN_PNP, text_show(at->path).text);
    if (S_ISLNK(st.st_mode) && look_at_link(s, at, inside, err) < 0)
        return -1;
    if (inside && count(s, inside, at->path, &st, err) < 0)
        return -1;
    if (S_ISDIR(st.st_mode))
        return enter(s, at, inside, err);
    if (inside)
        return 0;
    if (goes_by_name(s, at->path, &st))
        return count(s, s->named, at->path, &st, err);
    return S_ISREG(st.st_mode) ? slim_twins_offer(s->twins, at->path, &st, err) : 0;
}

static int walk(struct scan *s, struct error *err)
{
    if (layer_walk_new(s->req->diff, &s->walk, err) < 0)
        return -1;
    for (;;) {
        struct layer_walk_entry at;
        bool is_end = false;

        if (layer_walk_next(s->walk, &at, &is_end, err) < 0)
            return -1;
        if (is_end)
            return slim_twins_find(s->twins, &s->facts->twins, &s->facts->twin_bytes, err);
        if (look_at(s, &at, err) < 0)
            return error_wrap(err, "%.500s", at.path);
    }
}

int slim_scan(const struct slim_scan_request *req, struct slim_facts *ret,
              struct slim_twins **ret_twins, struct error *err)
{
    struct scan s = {.req = req, .facts = ret};
    int result;

    *ret = (struct slim_facts){.n_roots = 0};
    result = slim_twins_new(req->diff, req->epoch, &req->config->volumes, &s.twins, err);
    if (result == 0)
        result = walk(&s, err);
    layer_walk_free(s.walk);
    tdestroy(s.links, free);
    if (result < 0) {
        slim_twins_free(s.twins);
        return -1;
    }
    *ret_twins = s.twins;
    return 0;
}
