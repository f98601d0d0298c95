/* templates/storage_objects — a store below a prefix of a bucket.
 *
 *   secret format lock       as in a directory; the lock is storage_lease's
 *   packs/ revisions/ …      an object for each file; sessions/ is storage_lease's
 *
 * An object is there as a whole or not at all, and durable when its put is answered, so what a
 * directory does by sync and rename is one put.  Files on their way are in the cache's directory,
 * without a name.  There are no raw images: nothing could share blocks with them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "templates/bytes.h"
#include "templates/storage.h"
#include "templates/storage_lease.h"
#include "templates/templates.h"

#define SMALL_MAX      (64u << 20) /* bytes of what is no pack: a revision's root */
#define REMOVE_SECONDS 3600        /* that readers have a condemned pack for */
#define PARTS_SECONDS  (24 * 3600) /* no pack takes that long to be put */
#define PACKS          "packs"
#define RAW            "raw"

struct bucket {
    struct storage storage;
    struct objects *packs; /* what takes long, and never happens with the lock */
    struct objects *objects;
    struct object_cache *cache;
    struct lease lease;
};

static struct bucket *bucket_of(struct storage *s)
{
    return (struct bucket *)s;
}

struct place {
    char key[OBJECT_KEY];
};

/* Names that are too long are cut here, and so are refused as absent or as no key. */
static struct place place_of(const char *area, const char *name)
{
    struct place p;

    if (strcmp(area, ".") == 0)
        (void)snprintf(p.key, sizeof(p.key), "%s", name);
    else
        (void)snprintf(p.key, sizeof(p.key), "%s/%s", area, name);
    return p;
}

/* ---- listing and reading ---- */

struct listing {
    struct argv *names;
    size_t prefix;
};

static int add_name(void *self, const struct object_listed *listed, struct error *err)
{
    const struct listing *l = self;
    const char *name = listed->key + l->prefix;

    (void)err;
    if (*name && !strchr(name, '/'))
        argv_push1(l->names, name);
    return 0;
}

static int bucket_list(struct storage *s, const char *area, struct argv *ret, struct error *err)
{
    struct bucket *b = bucket_of(s);
    const struct place all = place_of(area, "");
    struct listing l = {ret, strlen(all.key)};

    if (lease_touch(&b->lease, err) < 0)
        return -1;
    return objects_list(b->objects, all.key, add_name, &l, err);
}

static int bucket_open(struct storage *s, const char *area, const char *name, int *ret_fd,
                       struct error *err)
{
    struct bucket *b = bucket_of(s);
    CLEANUP(buf_release) struct buf content = BUF_INIT(SMALL_MAX);
    CLEANUP_CLOSE int fd = -1;
    bool there;

    if (lease_touch(&b->lease, err) < 0 ||
        objects_read(b->objects, place_of(area, name).key, &content, &there, err) < 0)
        return -1;
    *ret_fd = -1;
    if (!there)
        return 0;
    fd = memfd_create("object", MFD_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s/%s", area, name);
    if (fs_write_all(fd, buf_str(&content), content.len, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "open %s/%s", area, name);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* ---- packs ---- */

struct open_pack {
    struct lease *lease;
    struct object_file *file;
};

static int pack_fill(void *self, uint64_t offset, uint64_t len, struct error *err)
{
    struct open_pack *p = self;

    return lease_touch(p->lease, err) < 0 ? -1 : object_file_fill(p->file, offset, len, err);
}

static void pack_forget(void *self, uint64_t offset, uint64_t len)
{
    object_file_forget(((struct open_pack *)self)->file, offset, len);
}

static void pack_close_file(void *self)
{
    struct open_pack *p = self;

    object_file_close(p->file);
    free(p);
}

/* Frames are verified when they are read; the tables after them are mapped, and stay. */
static int let_shrink(struct open_pack *p, uint64_t size, struct error *err)
{
    unsigned char tables[8];

    if (size < PACK_TRAILER_SIZE)
        return 0;
    if (pack_fill(p, size - PACK_TRAILER_SIZE, PACK_TRAILER_SIZE, err) < 0)
        return -1;
    if (fs_pread(object_file_fd(p->file), tables, sizeof(tables), size - PACK_TRAILER_SIZE) ==
        (ssize_t)sizeof(tables))
        object_file_let_shrink(p->file, bytes_get64(tables));
    return 0;
}

static int bucket_open_pack(struct storage *s, const char *name, int *ret_fd,
                            struct pack_origin *ret_origin, struct error *err)
{
    struct bucket *b = bucket_of(s);
    const struct place place = place_of(PACKS, name);
    struct open_pack *p = calloc(1, sizeof(*p));
    struct object_info info = {.there = false};
    int fd = -1;

    if (!p)
        return error_set(err, ERR_SYSTEM, "open a pack: out of memory");
    p->lease = &b->lease;
    if (lease_touch(&b->lease, err) < 0 || objects_head(b->objects, place.key, &info, err) < 0 ||
        (info.there && (object_file_open(b->cache, b->packs, place.key, info.etag, info.size,
                                         &p->file, err) < 0 ||
                        let_shrink(p, info.size, err) < 0))) {
        argv_release(&info.labels);
        pack_close_file(p);
        return -1;
    }
    argv_release(&info.labels);
    if (info.there && (fd = fcntl(object_file_fd(p->file), F_DUPFD_CLOEXEC, 0)) < 0) {
        pack_close_file(p);
        return error_errno(err, errno, "open pack %s", name);
    }
    if (info.there)
        *ret_origin = (struct pack_origin){pack_fill, pack_forget, pack_close_file, p};
    else
        pack_close_file(p);
    *ret_fd = fd;
    return 0;
}

static int bucket_may_remove(struct storage *s, const char *pack, bool *ret, struct error *err)
{
    struct object_info info;

    if (objects_head(bucket_of(s)->objects, place_of("condemned", pack).key, &info, err) < 0)
        return -1;
    argv_release(&info.labels);
    *ret = info.there && info.age >= REMOVE_SECONDS;
    return 0;
}

/* ---- writing ---- */

static int bucket_create(struct storage *s, struct storage_file *ret, struct error *err)
{
    struct bucket *b = bucket_of(s);

    ret->temporary[0] = '\0';
    return lease_touch(&b->lease, err) < 0 ? -1 : object_cache_temporary(b->cache, &ret->fd, err);
}

static int bucket_commit(struct storage *s, struct storage_file *f, const char *area,
                         const char *name, struct error *err)
{
    struct bucket *b = bucket_of(s);

    if (strcmp(area, RAW) == 0)
        return error_set(err, ERR_SYSTEM, "an object store has no raw images");
    if (lease_touch(&b->lease, err) < 0 ||
        (strcmp(area, "revisions") == 0 && lease_sessions_live(&b->lease, err) < 0) ||
        objects_put_file(strcmp(area, PACKS) == 0 ? b->packs : b->objects, place_of(area, name).key,
                         f->fd, err) < 0)
        return -1;
    close(TAKE_FD(f->fd));
    return 0;
}

static void bucket_discard(struct storage *s, struct storage_file *f)
{
    (void)s;
    close(TAKE_FD(f->fd));
}

static int bucket_remove(struct storage *s, const char *area, const char *name, struct error *err)
{
    struct bucket *b = bucket_of(s);
    const struct place place = place_of(area, name);

    if (lease_touch(&b->lease, err) < 0)
        return -1;
    if (strcmp(area, PACKS) == 0)
        object_cache_remove(b->cache, b->packs, place.key);
    return objects_delete(b->objects, place.key, err);
}

/* ---- locks and sessions ---- */

/* Shared ones exclude each other, too: they are held for moments. */
static int bucket_lock(struct storage *s, bool exclusive, int *ret_lock, struct error *err)
{
    (void)exclusive;
    if (lease_lock(&bucket_of(s)->lease, err) < 0)
        return -1;
    *ret_lock = 0;
    return 0;
}

static void bucket_unlock(struct storage *s, int *lock)
{
    (void)lock;
    lease_unlock(&bucket_of(s)->lease);
}

static int bucket_session_begin(struct storage *s, const char *text, int *ret, struct error *err)
{
    return lease_session_begin(&bucket_of(s)->lease, text, ret, err);
}

static void bucket_session_end(struct storage *s, int *session)
{
    lease_session_end(&bucket_of(s)->lease, *session);
}

static int bucket_sessions(struct storage *s, struct argv *ret, struct error *err)
{
    struct bucket *b = bucket_of(s);

    return lease_touch(&b->lease, err) < 0 ? -1 : lease_sessions(&b->lease, ret, err);
}

/* Puts in parts of packs that nobody will end.  A server that does not list them, or does not let
 * us, is to have a rule for them: no reason to collect nothing. */
static int bucket_sweep(struct storage *s, struct error *err)
{
    struct bucket *b = bucket_of(s);
    struct error ignored = ERROR_INIT;
    size_t n;

    (void)!objects_abort_unfinished(b->objects, PARTS_SECONDS, &n, &ignored);
    return lease_touch(&b->lease, err);
}

static void bucket_release(struct storage *s)
{
    if (bucket_of(s)->objects)
        lease_release(&bucket_of(s)->lease);
    objects_free(bucket_of(s)->objects);
    objects_free(bucket_of(s)->packs);
    object_cache_free(bucket_of(s)->cache);
    free(s);
}

static const struct storage_kind bucket_kind = {
    .list = bucket_list,
    .open = bucket_open,
    .create = bucket_create,
    .commit = bucket_commit,
    .discard = bucket_discard,
    .remove = bucket_remove,
    .lock = bucket_lock,
    .unlock = bucket_unlock,
    .session_begin = bucket_session_begin,
    .session_end = bucket_session_end,
    .sessions = bucket_sessions,
    .sweep = bucket_sweep,
    .open_pack = bucket_open_pack,
    .may_remove = bucket_may_remove,
    .release = bucket_release,
};

/* Without conditions the lock would be none.  Asked of a store that is about to be made. */
static int check_conditions(struct objects *o, struct error *err)
{
    bool made, conditions;

    if (template_store_is_made(o, &made, err) < 0)
        return -1;
    if (made)
        return 0;
    if (objects_probe(o, &conditions, err) < 0)
        return -1;
    if (!conditions)
        return error_set(err, ERR_SYSTEM,
                         "%s: this server does not know conditional puts (If-None-Match, "
                         "If-Match), which template stores need: keep them in a directory",
                         objects_where(o));
    return 0;
}

static int open_bucket(struct bucket *b, struct error *err)
{
    if (check_conditions(b->packs, err) < 0 || objects_open_hasty(b->packs, &b->objects, err) < 0)
        return -1;
    lease_init(&b->lease, b->objects);
    b->storage.where = strdup(objects_where(b->packs));
    return b->storage.where ? 0 : error_set(err, ERR_SYSTEM, "open the store: out of memory");
}

int storage_open_objects(struct objects *objects, struct object_cache *cache, struct storage **ret,
                         struct error *err)
{
    struct bucket *b = calloc(1, sizeof(*b));

    if (!b) {
        objects_free(objects);
        object_cache_free(cache);
        return error_set(err, ERR_SYSTEM, "open the store: out of memory");
    }
    b->storage.kind = &bucket_kind;
    b->packs = objects;
    b->cache = cache;
    if (open_bucket(b, err) < 0) {
        storage_free(&b->storage);
        return -1;
    }
    *ret = &b->storage;
    return 0;
}
