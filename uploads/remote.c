/* uploads/remote — see the header. */
#include "uploads/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "uploads/object_name.h"

#define INCOMING "incoming/"
#define ARCHIVES "archives/"

struct place {
    char key[sizeof(ARCHIVES) + UPLOAD_KEY_TEXT];
};

static struct place place_of(const char *area, const char *name)
{
    struct place p;

    (void)snprintf(p.key, sizeof(p.key), "%s%s", area, name);
    return p;
}

int remote_put(const struct remote *r, const char *key, int fd, struct error *err)
{
    return objects_put_file(r->objects, place_of(ARCHIVES, key).key, fd, err);
}

/* All of it, in the cache; the caller's descriptor keeps it there. */
int remote_get(const struct remote *r, const char *key, int *ret_fd, struct error *err)
{
    const struct place place = place_of(ARCHIVES, key);
    struct object_file *f = NULL;
    struct object_info info;
    int result;
    int fd = -1;

    if (objects_head(r->objects, place.key, &info, err) < 0)
        return error_wrap(err, "fetch the archive");
    argv_release(&info.labels);
    if (!info.there)
        return error_set(err, ERR_SYSTEM, "fetch the archive: %s has no %s any more",
                         objects_where(r->objects), place.key);
    if (object_file_open(r->cache, r->objects, place.key, info.etag, info.size, &f, err) < 0)
        return error_wrap(err, "fetch the archive");
    result = object_file_fill(f, 0, info.size, err);
    if (result == 0 && (fd = fcntl(object_file_fd(f), F_DUPFD_CLOEXEC, 0)) < 0)
        result = error_errno(err, errno, "fetch the archive");
    object_file_close(f);
    if (result == 0)
        *ret_fd = fd;
    return result;
}

int remote_remove(const struct remote *r, const char *key, struct error *err)
{
    const struct place place = place_of(ARCHIVES, key);

    object_cache_remove(r->cache, r->objects, place.key);
    return objects_delete(r->objects, place.key, err);
}

/* ---- what arrives ---- */

int upload_store_presign(struct upload_store *s, const char *object, int64_t seconds,
                         const struct argv *labels, struct buf *out, struct error *err)
{
    const struct remote *r = upload_store_remote(s);

    if (!r || !object_name_is_valid(object) || strlen(object) >= UPLOAD_KEY_TEXT)
        return error_set(err, ERR_SYSTEM, "make an upload URL: not the name of an upload");
    return objects_presign_put(r->objects, place_of(INCOMING, object).key, seconds, labels, out,
                               err);
}

struct names {
    struct argv *names;
    size_t prefix;
};

static int add_name(void *self, const struct object_listed *l, struct error *err)
{
    const struct names *n = self;
    const char *name = l->key + n->prefix;

    (void)err;
    if (object_name_is_valid(name) && strlen(name) < UPLOAD_KEY_TEXT)
        argv_push1(n->names, name);
    return 0;
}

int upload_store_arrived(struct upload_store *s, struct argv *ret, struct error *err)
{
    struct names names = {ret, strlen(INCOMING)};

    if (objects_list(upload_store_remote(s)->objects, INCOMING, add_name, &names, err) < 0)
        return -1;
    return ret->failed ? error_set(err, ERR_SYSTEM, "list uploads: out of memory") : 0;
}

int remote_collect(const struct remote *r, const char *object, const char *key, uint64_t max_bytes,
                   struct upload_arrival *ret, struct error *err)
{
    const struct place from = place_of(INCOMING, object);
    struct object_info info;
    bool there;

    if (objects_head(r->objects, from.key, &info, err) < 0)
        return -1;
    argv_release(&info.labels);
    *ret = (struct upload_arrival){.verdict = UPLOAD_ABSENT, .size = info.size};
    if (info.there && info.size == 0)
        ret->verdict = UPLOAD_EMPTY;
    else if (info.there && info.size > max_bytes)
        ret->verdict = UPLOAD_TOO_LARGE;
    if (!info.there || ret->verdict != UPLOAD_ABSENT)
        return 0;
    if (objects_copy(r->objects, from.key, info.etag, place_of(ARCHIVES, key).key, &there, err) < 0)
        return error_wrap(err, "keep an upload");
    if (there) {
        ret->verdict = UPLOAD_ARRIVED;
        (void)snprintf(ret->key, sizeof(ret->key), "%s", key);
    }
    return 0;
}

int upload_store_forget(struct upload_store *s, const char *object, struct error *err)
{
    return objects_delete(upload_store_remote(s)->objects, place_of(INCOMING, object).key, err);
}

int upload_store_labels(struct upload_store *s, const char *key, struct argv *ret,
                        struct error *err)
{
    const struct remote *r = upload_store_remote(s);
    struct object_info info;

    if (!r)
        return 0;
    if (objects_head(r->objects, place_of(ARCHIVES, key).key, &info, err) < 0)
        return -1;
    for (size_t i = 0; i < info.labels.n; i++)
        if (!text_has_control(info.labels.v[i], strlen(info.labels.v[i])) &&
            text_is_utf8(info.labels.v[i], strlen(info.labels.v[i])))
            argv_push1(ret, info.labels.v[i]);
    argv_release(&info.labels);
    return 0;
}

/* ---- sweeping ---- */

struct sweeper {
    const struct remote *remote;
    bool (*keep)(void *self, const char *key);
    void *self;
    size_t prefix;
    int64_t stale;
};

/* One that cannot be removed is tried again by the next sweep. */
static int sweep_object(void *self, const struct object_listed *l, struct error *err)
{
    const struct sweeper *s = self;
    const char *name = l->key + s->prefix;

    if (l->age < s->stale || !object_name_is_valid(name) || strlen(name) >= UPLOAD_KEY_TEXT ||
        s->keep(s->self, name))
        return 0;
    if (s->stale == 0)
        return remote_remove(s->remote, name, err);
    return objects_delete(s->remote->objects, l->key, err);
}

int remote_sweep(const struct remote *r, bool (*keep)(void *self, const char *key), void *self,
                 int64_t stale_seconds, struct error *err)
{
    struct sweeper archives = {r, keep, self, strlen(ARCHIVES), 0};
    struct sweeper incoming = {r, keep, self, strlen(INCOMING), stale_seconds};

    if (objects_list(r->objects, ARCHIVES, sweep_object, &archives, err) < 0 ||
        objects_list(r->objects, INCOMING, sweep_object, &incoming, err) < 0)
        return error_wrap(err, "sweep uploads");
    return 0;
}
