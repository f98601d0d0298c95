/* builder/packages_layer — the packages that a diff brings: it is walked once, and what its files
 * say is kept in the cache, so that a build whose layers are known opens none of them. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/layer_walk.h"
#include "builder/packages.h"

#define FORM        2          /* of what is kept: with another it is read anew */
#define KEPT_MAX    (32 << 20) /* bytes of what is kept of a layer */
#define FILES_MAX   100000     /* of a layer, that say something */
#define PROGRAM_MIN 4096       /* bytes: no Go binary is smaller */

struct reading {
    struct layer_walk *walk;
    json_t *files; /* what is said, by path */
    size_t packages;
    bool cut;
};

/* ---- the files ---- */

static enum packages_file kind_of(const char *path, const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return PACKAGES_FILE_NONE;
    return packages_file_of(path, (st->st_mode & 0111) != 0 && st->st_size >= PROGRAM_MIN);
}

static void keep(struct reading *r, const char *path, json_t *said)
{
    size_t n = json_array_size(json_object_get(said, "packages"));

    if (!text_is_utf8(path, strlen(path)) || r->packages + n > PACKAGES_MAX ||
        json_object_size(r->files) >= FILES_MAX ||
        json_object_set_new_nocheck(r->files, path, json_incref(said)) < 0) {
        r->cut = true;
        return;
    }
    r->packages += n;
}

static int read_file(struct reading *r, const struct layer_walk_entry *e, enum packages_file kind,
                     struct error *err)
{
    CLEANUP_CLOSE int fd = openat(e->dir, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    json_auto_t *said = NULL;

    if (fd < 0)
        return error_errno(err, errno, "open %s", e->path);
    said = packages_read_file(kind, fd);
    if (said)
        keep(r, e->path, said);
    return 0;
}

static int visit(struct reading *r, const struct layer_walk_entry *e, struct error *err)
{
    enum packages_file kind;
    struct stat st;

    if (fstatat(e->dir, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at %s", e->path);
    if (S_ISDIR(st.st_mode)) {
        CLEANUP_CLOSE int fd =
            openat(e->dir, e->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? error_errno(err, errno, "open %s", e->path)
                      : layer_walk_enter(r->walk, fd, err);
    }
    kind = kind_of(e->path, &st);
    return kind == PACKAGES_FILE_NONE ? 0 : read_file(r, e, kind, err);
}

static int read_all(struct reading *r, struct error *err)
{
    struct layer_walk_entry e;
    bool end = false;

    while (!end) {
        if (layer_walk_next(r->walk, &e, &end, err) < 0 || (!end && visit(r, &e, err) < 0))
            return -1;
    }
    return 0;
}

static int read_diff(const char *diff, json_t **ret, struct error *err)
{
    CLEANUP(layer_walk_freep) struct layer_walk *walk = NULL;
    json_auto_t *files = json_object();
    CLEANUP_CLOSE int fd = -1;
    struct reading r = {.files = files};

    if (fs_open_dir(AT_FDCWD, diff, &fd, err) < 0 || layer_walk_new(fd, &walk, err) < 0)
        return -1;
    r.walk = walk;
    if (read_all(&r, err) < 0)
        return -1;
    *ret = json_pack("{s:i, s:b, s:O}", "form", FORM, "cut", (int)r.cut, "files", files);
    return *ret ? 0 : error_set(err, ERR_SYSTEM, "out of memory");
}

/* ---- what is kept ---- */

static json_t *load(const struct cache *c, const char *name)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(KEPT_MAX);
    struct error ignored = ERROR_INIT;
    json_auto_t *o = NULL;

    if (faccessat(c->packages, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
        fs_read_file(c->packages, name, &text, &ignored) < 0)
        return NULL;
    o = json_loadb(buf_str(&text), text.len, 0, NULL);
    if (json_integer_value(json_object_get(o, "form")) != FORM ||
        !json_is_object(json_object_get(o, "files")))
        return NULL;
    (void)utimensat(c->packages, name, NULL, 0); /* it was used */
    return json_incref(o);
}

static int store(const struct cache *c, const char *name, const json_t *o, struct error *err)
{
    CLEANUP_FREE char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text)
        return error_set(err, ERR_SYSTEM, "out of memory");
    return strlen(text) > KEPT_MAX ? 0 : cache_write(c, c->packages, name, text, strlen(text), err);
}

int packages_of_layer(const struct cache *c, const char *name, const char *diff, json_t **ret,
                      struct error *err)
{
    json_t *o = load(c, name);

    if (!o && (read_diff(diff, &o, err) < 0 || store(c, name, o, err) < 0)) {
        json_decref(o);
        return error_wrap(err, "read the packages of a layer");
    }
    *ret = o;
    return 0;
}
