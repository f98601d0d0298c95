/* templates/disk_open — a served volume is opened, and its overlay made or removed. */
#include <errno.h>
#include <string.h>

#include "templates/catalog.h"
#include "templates/disk.h"

#define NAMELESS_DIR "/var/tmp"

static uint64_t whole_blocks(uint64_t bytes)
{
    return (bytes + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK * OVERLAY_BLOCK;
}

/* A new volume's. */
static int size_of_new(const struct template_revision_info *i, uint64_t asked, uint64_t *ret,
                       struct error *err)
{
    uint64_t size = asked ? asked : i->default_size_mb << 20;

    if (asked > 0 && asked < i->image_size)
        return error_set(err, ERR_LIMIT,
                         "a volume of %llu bytes is too small for %s:%llu, which needs %llu",
                         (unsigned long long)asked, i->ref.name,
                         (unsigned long long)i->ref.revision, (unsigned long long)i->image_size);
    if (size > OVERLAY_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "a volume has at most %llu bytes",
                         (unsigned long long)OVERLAY_SIZE_MAX);
    *ret = whole_blocks(size > i->image_size ? size : i->image_size);
    return 0;
}

static int open_revision(struct template_store *s, const struct template_ref *ref,
                         struct template_disk *d, struct error *err)
{
    return template_revision_open(s, ref, &d->revision, err);
}

/* The overlay says which revision; what the request says must not be another. */
static int adopt(struct template_store *s, const struct template_disk_request *req,
                 struct template_disk *d, struct error *err)
{
    struct overlay *o = &d->overlay;
    struct template_ref asked = req->ref;

    if (asked.name[0] && (catalog_resolve(s, &asked, err) < 0))
        return -1;
    if (asked.name[0] &&
        (strcmp(asked.name, o->header.ref.name) != 0 || asked.revision != o->header.ref.revision))
        return error_set(err, ERR_INPUT,
                         "%s lies over %s:%llu, not over %s:%llu: leave the template out, or "
                         "choose another overlay",
                         req->overlay, o->header.ref.name,
                         (unsigned long long)o->header.ref.revision, asked.name,
                         (unsigned long long)asked.revision);
    if (open_revision(s, &o->header.ref, d, err) < 0)
        return -1;
    if (strcmp(template_revision_info(d->revision)->digest, o->header.digest) != 0)
        return error_set(err, ERR_INPUT, "%s lies over another %s:%llu than this store has",
                         req->overlay, o->header.ref.name,
                         (unsigned long long)o->header.ref.revision);
    if (req->size > 0 && req->size < o->header.size)
        return error_set(err, ERR_INPUT, "%s is a volume of %llu bytes, and volumes do not shrink",
                         req->overlay, (unsigned long long)o->header.size);
    return req->size > o->header.size ? overlay_grow(o, whole_blocks(req->size), err) : 0;
}

/* Held before there is an overlay to need it. */
static int make_overlay(struct template_store *s, const struct template_disk_request *req,
                        struct template_disk *d, struct error *err)
{
    const struct template_revision_info *i;
    struct overlay_header h = {.size = 0};
    struct error ignored = ERROR_INIT;
    char random[17];

    if (!req->ref.name[0])
        return error_set(err, ERR_INPUT,
                         "there is no volume %s: say of which template it is to be made",
                         req->overlay);
    if (open_revision(s, &req->ref, d, err) < 0)
        return -1;
    i = template_revision_info(d->revision);
    digest_random_name(random, 16);
    h.ref = i->ref;
    memcpy(h.digest, i->digest, sizeof(h.digest));
    (void)snprintf(h.holder, sizeof(h.holder), "overlay-%s", random);
    if (size_of_new(i, req->size, &h.size, err) < 0 || template_hold(s, &h.ref, h.holder, err) < 0)
        return -1;
    if (overlay_create(req->overlay, &h, &d->overlay, err) < 0) {
        (void)!template_let_go(s, &h.ref, h.holder, &ignored);
        return -1;
    }
    d->info.fresh = true;
    return 0;
}

static int open_overlay(struct template_store *s, const struct template_disk_request *req,
                        struct template_disk *d, struct error *err)
{
    bool there = false;

    if (overlay_open(req->overlay, &d->overlay, &there, err) < 0)
        return -1;
    if ((there ? adopt(s, req, d, err) : make_overlay(s, req, d, err)) < 0)
        return -1;
    d->info.size = d->overlay.header.size;
    d->info.writable = true;
    return 0;
}

static int open_bare(struct template_store *s, const struct template_disk_request *req,
                     struct template_disk *d, struct error *err)
{
    if (!req->ref.name[0])
        return error_set(err, ERR_INPUT, "say of which template, or of which overlay");
    if (open_revision(s, &req->ref, d, err) < 0)
        return -1;
    return size_of_new(template_revision_info(d->revision), req->size, &d->info.size, err);
}

static void directory_of(const struct template_disk_request *req, char ret[4096])
{
    const char *slash = req->overlay ? strrchr(req->overlay, '/') : NULL;
    const char *fixed = req->cache_dir ? req->cache_dir : req->overlay ? "." : NAMELESS_DIR;

    if (!req->cache_dir && slash)
        (void)snprintf(ret, 4096, "%.*s", slash > req->overlay ? (int)(slash - req->overlay) : 1,
                       req->overlay);
    else
        (void)snprintf(ret, 4096, "%s", fixed);
}

static int open_disk(struct template_store *s, const struct template_disk_request *req,
                     struct template_disk *d, struct error *err)
{
    char dir[4096];

    if ((req->overlay ? open_overlay(s, req, d, err) : open_bare(s, req, d, err)) < 0)
        return -1;
    d->info.ref = template_revision_info(d->revision)->ref;
    d->info.image_size = template_revision_info(d->revision)->image_size;
    directory_of(req, dir);
    return disk_cache_init(&d->cache, d->revision, dir, req->cache_max, err);
}

int template_disk_open(struct template_store *s, const struct template_disk_request *req,
                       struct template_disk **ret, struct error *err)
{
    struct template_disk *d = calloc(1, sizeof(*d));

    if (!d)
        return error_set(err, ERR_SYSTEM, "open a volume: out of memory");
    d->overlay.fd = -1;
    if (open_disk(s, req, d, err) < 0) {
        template_disk_free(d);
        return -1;
    }
    *ret = d;
    return 0;
}

void template_disk_free(struct template_disk *d)
{
    if (!d)
        return;
    overlay_release(&d->overlay);
    disk_cache_release(&d->cache);
    template_revision_free(d->revision);
    free(d);
}

const struct template_disk_info *template_disk_info(const struct template_disk *d)
{
    return &d->info;
}

int template_disk_remove(struct template_store *s, const char *overlay, struct error *err)
{
    struct overlay o;
    bool there = false;
    int result;

    if (overlay_open(overlay, &o, &there, err) < 0)
        return -1;
    if (!there)
        return error_set(err, ERR_INPUT, "there is no volume %s", overlay);
    result = unlink(overlay) < 0 ? error_errno(err, errno, "remove %s", overlay)
                                 : template_let_go(s, &o.header.ref, o.header.holder, err);
    overlay_release(&o);
    return result;
}
