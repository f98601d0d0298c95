/* templates/storage — what all kinds have in common. */
#include "templates/storage.h"

#include <string.h>

#include "base/fs.h"

static const char *const area_names[AREAS] = {
    [AREA_PACKS] = "packs", [AREA_REVISIONS] = "revisions", [AREA_TEMPLATES] = "templates",
    [AREA_HOLDS] = "holds", [AREA_CONDEMNED] = "condemned", [AREA_RAW] = "raw",
};

void storage_free(struct storage *s)
{
    if (!s)
        return;
    free(s->where);
    s->kind->release(s);
}

const char *storage_where(const struct storage *s)
{
    return s->where;
}

int storage_list(struct storage *s, enum storage_area area, struct argv *ret, struct error *err)
{
    if (s->kind->list(s, area_names[area], ret, err) < 0)
        return -1;
    if (ret->failed)
        return error_set(err, ERR_SYSTEM, "list %s: out of memory", area_names[area]);
    argv_sort(ret);
    return 0;
}

int storage_open(struct storage *s, enum storage_area area, const char *name, int *ret_fd,
                 struct error *err)
{
    return s->kind->open(s, area_names[area], name, ret_fd, err);
}

int storage_open_pack(struct storage *s, const char *name, int *ret_fd,
                      struct pack_origin *ret_origin, struct error *err)
{
    *ret_origin = (struct pack_origin){.self = NULL};
    if (s->kind->open_pack)
        return s->kind->open_pack(s, name, ret_fd, ret_origin, err);
    return storage_open(s, AREA_PACKS, name, ret_fd, err);
}

int storage_may_remove(struct storage *s, const char *pack, bool *ret, struct error *err)
{
    *ret = true;
    return s->kind->may_remove ? s->kind->may_remove(s, pack, ret, err) : 0;
}

static int get(struct storage *s, const char *area, const char *name, struct buf *ret,
               bool *ret_there, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (s->kind->open(s, area, name, &fd, err) < 0)
        return -1;
    *ret_there = fd >= 0;
    if (fd >= 0 && (lseek(fd, 0, SEEK_SET) < 0 || fs_read_fd(fd, ret, err) < 0))
        return error_wrap(err, "%s/%s", area, name);
    return 0;
}

int storage_get(struct storage *s, enum storage_area area, const char *name, struct buf *ret,
                bool *ret_there, struct error *err)
{
    return get(s, area_names[area], name, ret, ret_there, err);
}

int storage_get_setting(struct storage *s, const char *name, struct buf *ret, struct error *err)
{
    bool there;

    return get(s, ".", name, ret, &there, err);
}

static int put(struct storage *s, const char *area, const char *name, const void *data, size_t len,
               struct error *err)
{
    struct storage_file f = STORAGE_FILE_INIT;

    if (s->kind->create(s, &f, err) < 0)
        return -1;
    if (fs_write_all(f.fd, data, len, err) < 0 || s->kind->commit(s, &f, area, name, err) < 0) {
        s->kind->discard(s, &f);
        return error_wrap(err, "write %s/%s", area, name);
    }
    return 0;
}

int storage_put(struct storage *s, enum storage_area area, const char *name, const void *data,
                size_t len, struct error *err)
{
    return put(s, area_names[area], name, data, len, err);
}

int storage_put_setting(struct storage *s, const char *name, const void *data, size_t len,
                        struct error *err)
{
    return put(s, ".", name, data, len, err);
}

int storage_create(struct storage *s, struct storage_file *ret, struct error *err)
{
    return s->kind->create(s, ret, err);
}

int storage_commit(struct storage *s, struct storage_file *f, enum storage_area area,
                   const char *name, struct error *err)
{
    return s->kind->commit(s, f, area_names[area], name, err);
}

void storage_discard(struct storage *s, struct storage_file *f)
{
    if (f->fd >= 0)
        s->kind->discard(s, f);
}

int storage_remove(struct storage *s, enum storage_area area, const char *name, struct error *err)
{
    return s->kind->remove(s, area_names[area], name, err);
}

int storage_lock(struct storage *s, bool exclusive, int *ret_lock, struct error *err)
{
    return s->kind->lock(s, exclusive, ret_lock, err);
}

void storage_unlock(struct storage *s, int *lock)
{
    if (*lock >= 0)
        s->kind->unlock(s, lock);
    *lock = -1;
}

int storage_session_begin(struct storage *s, const char *text, int *ret_session, struct error *err)
{
    return s->kind->session_begin(s, text, ret_session, err);
}

void storage_session_end(struct storage *s, int *session)
{
    if (*session >= 0)
        s->kind->session_end(s, session);
    *session = -1;
}

int storage_sessions(struct storage *s, struct argv *ret, struct error *err)
{
    return s->kind->sessions(s, ret, err);
}

int storage_sweep(struct storage *s, struct error *err)
{
    return s->kind->sweep(s, err);
}
