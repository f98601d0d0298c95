/* objects/cache — objects that were read, in sparse files.
 *
 *   DIR/NAME       blocks of the object where the object has them; NAME is a hash of where it is
 *   DIR/NAME.map   a header, and a bit for each block that is there, mapped by who has it open
 *   DIR/lock       held for moments by who opens, makes room or removes
 *
 * An open file has a shared lock on NAME, by which who makes room knows.  Where open files alone
 * are more than the cache may have, this process takes blocks out of those that it may shrink.  A
 * map that was written before the machine's last start counts for nothing: the power may have been
 * cut between its writing and that of the data. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "objects/objects.h"

#define BLOCK    (UINT64_C(1) << 20)
#define AHEAD    (UINT64_C(4) << 20) /* fetched at once where so much is not there */
#define LOOKS    8 /* times that the cache is looked at while as much is fetched as it may have */
#define MAP      ".map"
#define NAME_LEN 64
#define BOOT_ID  "/proc/sys/kernel/random/boot_id"

struct object_cache {
    int dir_fd;
    uint64_t max;
    pthread_mutex_t mutex; /* over the next two */
    struct object_file *open;
    uint64_t fetched; /* bytes since room was last made */
    char boot[40];
    char dir[4096];
};

struct map {
    char boot[40];
    char etag[OBJECT_ETAG];
    uint64_t size;
    unsigned char bits[];
};

struct object_file {
    struct object_file *next; /* that is open in this cache */
    struct object_cache *cache;
    struct objects *store;
    int fd;
    uint64_t size;
    struct map *map;
    size_t map_len;
    char etag[OBJECT_ETAG];
    char key[OBJECT_KEY];
    _Atomic uint64_t shrinks_to;  /* blocks; 0: none may go */
    _Atomic uint64_t last, after; /* blocks that were fetched last */
};

/* ---- the directory ---- */

int object_cache_open(const char *dir, uint64_t max_bytes, struct object_cache **ret,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf boot = BUF_INIT(4096);
    struct object_cache *c = calloc(1, sizeof(*c));

    if (!c)
        return error_set(err, ERR_SYSTEM, "open the cache of objects: out of memory");
    *c = (struct object_cache){.dir_fd = -1, .max = max_bytes};
    (void)pthread_mutex_init(&c->mutex, NULL);
    (void)snprintf(c->dir, sizeof(c->dir), "%s", dir);
    if (fs_read_file(AT_FDCWD, BOOT_ID, &boot, err) < 0 || fs_mkdirs(dir, 0700, err) < 0 ||
        fs_open_dir(AT_FDCWD, dir, &c->dir_fd, err) < 0) {
        object_cache_free(c);
        return error_wrap(err, "open the cache of objects %s", dir);
    }
    (void)snprintf(c->boot, sizeof(c->boot), "%.36s", buf_str(&boot));
    *ret = c;
    return 0;
}

int object_cache_temporary(const struct object_cache *c, int *ret_fd, struct error *err)
{
    int fd = openat(c->dir_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(err, errno, "make a file in %s", c->dir);
    *ret_fd = fd;
    return 0;
}

void object_cache_free(struct object_cache *c)
{
    if (!c)
        return;
    if (c->dir_fd >= 0)
        close(c->dir_fd);
    (void)pthread_mutex_destroy(&c->mutex);
    free(c);
}

static int lock(const struct object_cache *c, int *ret_lock, struct error *err)
{
    CLEANUP_CLOSE int fd = openat(c->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int result;

    if (fd < 0)
        return error_errno(err, errno, "the cache of objects %s", c->dir);
    do
        result = flock(fd, LOCK_EX);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return error_errno(err, errno, "lock the cache of objects %s", c->dir);
    *ret_lock = TAKE_FD(fd);
    return 0;
}

static void name_of(const struct objects *o, const char *key, char ret[SHA256_HEX])
{
    char text[1024 + OBJECT_KEY];
    int n = snprintf(text, sizeof(text), "%s\n%s", objects_where(o), key);

    digest_sha256_hex(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, ret);
}

/* The map first: a map without its file is never there. */
static void remove_both(const struct object_cache *c, const char *name)
{
    char map[SHA256_HEX + sizeof(MAP)];

    (void)snprintf(map, sizeof(map), "%.64s" MAP, name);
    if (unlinkat(c->dir_fd, map, 0) == 0 || errno == ENOENT)
        (void)unlinkat(c->dir_fd, name, 0);
}

void object_cache_remove(struct object_cache *c, const struct objects *o, const char *key)
{
    CLEANUP_CLOSE int held = -1;
    struct error ignored = ERROR_INIT;
    char name[SHA256_HEX];

    name_of(o, key, name);
    if (lock(c, &held, &ignored) == 0)
        remove_both(c, name);
}

/* ---- blocks ---- */

static bool is_there(const struct object_file *f, uint64_t block)
{
    return __atomic_load_n(&f->map->bits[block / 8], __ATOMIC_ACQUIRE) & (1u << block % 8);
}

static void set_there(struct object_file *f, uint64_t block)
{
    (void)__atomic_fetch_or(&f->map->bits[block / 8], (unsigned char)(1u << block % 8),
                            __ATOMIC_RELEASE);
}

void object_file_forget(struct object_file *f, uint64_t offset, uint64_t len)
{
    uint64_t blocks = (f->size + BLOCK - 1) / BLOCK;

    for (uint64_t i = offset / BLOCK; i < blocks && i * BLOCK < offset + len; i++)
        (void)__atomic_fetch_and(&f->map->bits[i / 8], (unsigned char)~(1u << i % 8),
                                 __ATOMIC_RELEASE);
}

/* ---- room ---- */

struct kept {
    char name[NAME_LEN + 1];
    uint64_t bytes;
    struct timespec used;
};

struct kept_list {
    struct kept *v;
    size_t n;
    uint64_t bytes;
};

static void kept_release(struct kept_list *l)
{
    free(l->v);
}

static int compare_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct kept *)a)->used;
    const struct timespec *y = &((const struct kept *)b)->used;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

static int list_kept(const struct object_cache *c, struct kept_list *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct stat st;

    if (fs_list(c->dir_fd, ".", &names, err) < 0)
        return error_wrap(err, "the cache of objects %s", c->dir);
    ret->v = calloc(names.n + 1, sizeof(*ret->v));
    if (!ret->v)
        return error_set(err, ERR_SYSTEM, "list the cache of objects: out of memory");
    for (size_t i = 0; i < names.n; i++) {
        struct kept *k = &ret->v[ret->n];

        if (!digest_is_hex(names.v[i]) ||
            fstatat(c->dir_fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        (void)snprintf(k->name, sizeof(k->name), "%s", names.v[i]);
        k->bytes = (uint64_t)st.st_blocks * 512;
        k->used = st.st_atim;
        ret->bytes += k->bytes;
        ret->n++;
    }
    qsort(ret->v, ret->n, sizeof(*ret->v), compare_use);
    return 0;
}

static bool is_in_use(const struct object_cache *c, const char *name)
{
    CLEANUP_CLOSE int fd = openat(c->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* With the lock: for so many bytes more.  *ret_over: those that are open are too many. */
static int make_room(const struct object_cache *c, uint64_t bytes, bool *ret_over,
                     struct error *err)
{
    CLEANUP(kept_release) struct kept_list kept = {.n = 0};

    if (list_kept(c, &kept, err) < 0)
        return -1;
    for (size_t i = 0; i < kept.n && kept.bytes + bytes > c->max; i++) {
        if (is_in_use(c, kept.v[i].name))
            continue;
        remove_both(c, kept.v[i].name);
        kept.bytes -= kept.v[i].bytes;
    }
    *ret_over = kept.bytes + bytes > c->max;
    return 0;
}

/* With the mutex. */
static void take_blocks_out(struct object_file *f)
{
    const uint64_t end = atomic_load(&f->shrinks_to);
    const uint64_t last = atomic_load(&f->last), after = atomic_load(&f->after);

    for (uint64_t i = 0; i < end; i++)
        if (is_there(f, i) && (i < last || i >= after)) {
            object_file_forget(f, i * BLOCK, BLOCK);
            (void)fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(i * BLOCK),
                            (off_t)BLOCK);
        }
}

/* After so many bytes came. */
static int keep_bounds(struct object_cache *c, uint64_t came, struct error *err)
{
    CLEANUP_CLOSE int held = -1;
    bool over = false;
    int result = 0;

    (void)pthread_mutex_lock(&c->mutex);
    c->fetched += came;
    if (c->fetched > c->max / LOOKS) {
        c->fetched = 0;
        result = lock(c, &held, err) < 0 ? -1 : make_room(c, 0, &over, err);
        for (struct object_file *f = over ? c->open : NULL; f; f = f->next)
            take_blocks_out(f);
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return result;
}

/* ---- a file ---- */

static int open_map(struct object_file *f, const char *name, bool fresh, struct error *err)
{
    char map[SHA256_HEX + sizeof(MAP)];
    CLEANUP_CLOSE int fd = -1;
    void *at;

    (void)snprintf(map, sizeof(map), "%.64s" MAP, name);
    fd = openat(f->cache->dir_fd, map, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    f->map_len = sizeof(struct map) + (size_t)(f->size / BLOCK / 8 + 1);
    if (fd < 0 || (fresh && ftruncate(fd, 0) < 0) || ftruncate(fd, (off_t)f->map_len) < 0 ||
        posix_fallocate(fd, 0, (off_t)f->map_len) != 0)
        return error_errno(err, errno, "the cache of objects %s", f->cache->dir);
    at = mmap(NULL, f->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return error_errno(err, errno, "map the cache of objects %s", f->cache->dir);
    f->map = at;
    return 0;
}

static bool is_of_this_object(const struct object_file *f)
{
    const struct map *m = f->map;

    return memcmp(m->boot, f->cache->boot, sizeof(m->boot)) == 0 &&
           memcmp(m->etag, f->etag, sizeof(m->etag)) == 0 && m->size == f->size;
}

static int open_file(struct object_file *f, const char *name, struct error *err)
{
    const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
    bool fresh = false;

    f->fd = openat(f->cache->dir_fd, name, flags);
    if (f->fd < 0 && errno == ENOENT) {
        fresh = true;
        f->fd = openat(f->cache->dir_fd, name, flags | O_CREAT, 0600);
    }
    if (f->fd < 0 || flock(f->fd, LOCK_SH) < 0 || open_map(f, name, fresh, err) < 0)
        return f->fd < 0 ? error_errno(err, errno, "the cache of objects %s", f->cache->dir) : -1;
    if (is_of_this_object(f))
        return 0;
    memset(f->map, 0, f->map_len);
    memcpy(f->map->boot, f->cache->boot, sizeof(f->map->boot));
    memcpy(f->map->etag, f->etag, sizeof(f->map->etag));
    f->map->size = f->size;
    if (ftruncate(f->fd, 0) < 0 || ftruncate(f->fd, (off_t)f->size) < 0)
        return error_errno(err, errno, "the cache of objects %s", f->cache->dir);
    return 0;
}

int object_file_open(struct object_cache *c, struct objects *o, const char *key, const char *etag,
                     uint64_t size, struct object_file **ret, struct error *err)
{
    CLEANUP_CLOSE int held = -1;
    struct object_file *f = calloc(1, sizeof(*f));
    const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    char name[SHA256_HEX];
    bool over;

    if (!f)
        return error_set(err, ERR_SYSTEM, "open an object: out of memory");
    *f = (struct object_file){.cache = c, .store = o, .fd = -1, .size = size};
    (void)snprintf(f->etag, sizeof(f->etag), "%s", etag);
    (void)snprintf(f->key, sizeof(f->key), "%s", key);
    name_of(o, key, name);
    if (lock(c, &held, err) < 0 || open_file(f, name, err) < 0 ||
        make_room(c, size, &over, err) < 0) {
        object_file_close(f);
        return -1;
    }
    (void)futimens(f->fd, now);
    (void)pthread_mutex_lock(&c->mutex);
    f->next = c->open;
    c->open = f;
    (void)pthread_mutex_unlock(&c->mutex);
    *ret = f;
    return 0;
}

void object_file_close(struct object_file *f)
{
    struct object_file **at;

    if (!f)
        return;
    (void)pthread_mutex_lock(&f->cache->mutex);
    for (at = &f->cache->open; *at && *at != f; at = &(*at)->next)
        ;
    if (*at)
        *at = f->next;
    (void)pthread_mutex_unlock(&f->cache->mutex);
    if (f->map)
        (void)munmap(f->map, f->map_len);
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

void object_file_let_shrink(struct object_file *f, uint64_t end)
{
    atomic_store(&f->shrinks_to, (end < f->size ? end : f->size) / BLOCK);
}

int object_file_fd(const struct object_file *f)
{
    return f->fd;
}

/* Fetches from an absent block up to one that is there, up to `end`. */
static int fetch(struct object_file *f, uint64_t first, uint64_t end, uint64_t *ret_next,
                 struct error *err)
{
    uint64_t next = first;
    uint64_t from = first * BLOCK, to;

    while (next < end && !is_there(f, next))
        next++;
    to = next * BLOCK < f->size ? next * BLOCK : f->size;
    if (objects_get(f->store, f->key, f->etag, from, to - from, f->fd, err) < 0)
        return error_wrap(err, "fetch into the cache of objects %s", f->cache->dir);
    atomic_store(&f->last, first);
    atomic_store(&f->after, next);
    for (uint64_t i = first; i < next; i++)
        set_there(f, i);
    *ret_next = next;
    return keep_bounds(f->cache, to - from, err);
}

int object_file_fill(struct object_file *f, uint64_t offset, uint64_t len, struct error *err)
{
    uint64_t blocks = (f->size + BLOCK - 1) / BLOCK;
    uint64_t block = offset / BLOCK;
    uint64_t end;

    if (len == 0 || offset >= f->size)
        return 0;
    end = (offset + (len < f->size - offset ? len : f->size - offset) + BLOCK - 1) / BLOCK;
    while (block < end) {
        uint64_t ahead = end - block < AHEAD / BLOCK ? block + AHEAD / BLOCK : end;

        if (is_there(f, block))
            block++;
        else if (fetch(f, block, ahead < blocks ? ahead : blocks, &block, err) < 0)
            return -1;
    }
    return 0;
}
