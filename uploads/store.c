/* uploads/store — received archives; nothing is there before it is whole and durable.
 *
 *   DIR/<key>             a whole archive
 *   DIR/.incoming/<key>   one that is being received; its name is no key, so get never opens it
 *
 * A crash leaves at most a file in .incoming, which the next sweep removes once it is so old that
 * no connection can still be feeding it.  In an object store (uploads/remote) only .incoming is
 * here. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "uploads/object_name.h"
#include "uploads/remote.h"

#define INCOMING        ".incoming"
#define STALE_SECONDS   3600
#define RANDOM_DIGITS   8
#define FLUSH_BYTES     (UINT64_C(16) << 20) /* write-back is started this often while receiving */
#define OBJECT_NAME_MAX (UPLOAD_KEY_TEXT - 1 - RANDOM_DIGITS - 1)

struct upload_store {
    int dir_fd;
    int incoming_fd;
    uint64_t max_bytes;
    struct remote remote; /* all NULL: the archives are in the directory */
};

struct upload_sink {
    struct upload_store *store;
    int fd;
    char key[UPLOAD_KEY_TEXT];
    uint64_t size;
    uint64_t flushed;
    bool failed;
    bool committed;
};

int upload_store_open(const char *dir, uint64_t max_bytes, struct upload_store **ret,
                      struct error *err)
{
    struct upload_store *s = malloc(sizeof(*s));

    if (!s)
        return error_set(err, ERR_SYSTEM, "open upload store %s: out of memory", dir);
    *s = (struct upload_store){.dir_fd = -1, .incoming_fd = -1, .max_bytes = max_bytes};
    if (fs_mkdirs(dir, 0700, err) < 0 || fs_open_dir(AT_FDCWD, dir, &s->dir_fd, err) < 0 ||
        (mkdirat(s->dir_fd, INCOMING, 0700) < 0 && errno != EEXIST &&
         error_errno(err, errno, "make directory " INCOMING) < 0) ||
        fs_open_dir(s->dir_fd, INCOMING, &s->incoming_fd, err) < 0) {
        upload_store_free(s);
        return error_wrap(err, "open upload store %s", dir);
    }
    *ret = s;
    return 0;
}

int upload_store_open_remote(const char *dir, uint64_t max_bytes, struct objects *objects,
                             struct object_cache *cache, struct upload_store **ret,
                             struct error *err)
{
    if (upload_store_open(dir, max_bytes, ret, err) < 0)
        return -1;
    (*ret)->remote = (struct remote){objects, cache};
    return 0;
}

const struct remote *upload_store_remote(const struct upload_store *s)
{
    return s->remote.objects ? &s->remote : NULL;
}

void upload_store_free(struct upload_store *s)
{
    if (!s)
        return;
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    if (s->incoming_fd >= 0)
        close(s->incoming_fd);
    free(s);
}

static void draw_key(const char *object, char ret[UPLOAD_KEY_TEXT])
{
    char digits[RANDOM_DIGITS + 1];

    digest_random_name(digits, RANDOM_DIGITS);
    (void)snprintf(ret, UPLOAD_KEY_TEXT, "%.*s-%s", OBJECT_NAME_MAX, object, digits);
}

static bool is_object(const char *object)
{
    return object_name_is_valid(object) && strlen(object) <= OBJECT_NAME_MAX;
}

int upload_store_begin(struct upload_store *s, const char *object, struct upload_sink **ret,
                       struct error *err)
{
    struct upload_sink *k;

    if (!is_object(object))
        return error_set(err, ERR_INPUT, "receive upload: not the name of an upload");
    k = calloc(1, sizeof(*k));
    if (!k)
        return error_set(err, ERR_SYSTEM, "receive upload %s: out of memory", object);
    draw_key(object, k->key);
    k->store = s;
    k->fd = openat(s->incoming_fd, k->key, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (k->fd < 0) {
        free(k);
        return error_errno(err, errno, "receive upload %s", object);
    }
    *ret = k;
    return 0;
}

/* Lets the kernel write while the network is still sending, so that commit's fsync finds little
 * left to do.  A file system that cannot do it is fine. */
static void start_write_back(struct upload_sink *k)
{
    if (k->size - k->flushed < FLUSH_BYTES)
        return;
    (void)sync_file_range(k->fd, (off_t)k->flushed, (off_t)(k->size - k->flushed),
                          SYNC_FILE_RANGE_WRITE);
    k->flushed = k->size;
}

int upload_sink_write(struct upload_sink *k, const void *data, size_t len, struct error *err)
{
    if (k->failed)
        return error_set(err, ERR_SYSTEM, "receive upload: a part of it was lost");
    if (len > k->store->max_bytes || k->size > k->store->max_bytes - len) {
        k->failed = true;
        return error_set(err, ERR_LIMIT,
                         "the archive is larger than allowed: at least %" PRIu64
                         " bytes were sent, the limit is %" PRIu64 " bytes",
                         k->size + len, k->store->max_bytes);
    }
    if (fs_write_all(k->fd, data, len, err) < 0) {
        k->failed = true;
        return error_wrap(err, "receive upload");
    }
    k->size += len;
    start_write_back(k);
    return 0;
}

/* In the directory: synced, and under its key. */
static int keep_here(const struct upload_sink *k, struct error *err)
{
    const struct upload_store *s = k->store;

    if (fsync(k->fd) < 0)
        return error_errno(err, errno, "keep upload: sync %s", k->key);
    if (renameat(s->incoming_fd, k->key, s->dir_fd, k->key) < 0)
        return error_errno(err, errno, "keep upload: rename %s", k->key);
    if (fsync(s->dir_fd) < 0) {
        int errnum = errno;

        (void)unlinkat(s->dir_fd, k->key, 0);
        return error_errno(err, errnum, "keep upload: sync the store");
    }
    return 0;
}

/* In the object store; the file here has done its work. */
static int send_away(const struct upload_sink *k, struct error *err)
{
    if (remote_put(&k->store->remote, k->key, k->fd, err) < 0)
        return error_wrap(err, "keep upload");
    (void)unlinkat(k->store->incoming_fd, k->key, 0);
    return 0;
}

int upload_sink_commit(struct upload_sink *k, char ret_key[UPLOAD_KEY_TEXT], uint64_t *ret_size,
                       struct error *err)
{
    if (k->failed || k->committed)
        return error_set(err, ERR_SYSTEM, "keep upload: a part of it was lost");
    if ((upload_store_remote(k->store) ? send_away : keep_here)(k, err) < 0)
        return -1;
    k->committed = true;
    memcpy(ret_key, k->key, sizeof(k->key));
    *ret_size = k->size;
    return 0;
}

void upload_sink_free(struct upload_sink *k)
{
    if (!k)
        return;
    close(k->fd);
    if (!k->committed)
        (void)unlinkat(k->store->incoming_fd, k->key, 0);
    free(k);
}

int upload_store_get(struct upload_store *s, const char *key, int *ret_fd, struct error *err)
{
    int fd;

    if (!object_name_is_valid(key))
        return error_set(err, ERR_SYSTEM, "open upload: not a key of the store");
    if (upload_store_remote(s))
        return remote_get(&s->remote, key, ret_fd, err);
    fd = openat(s->dir_fd, key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open upload %s", key);
    *ret_fd = fd;
    return 0;
}

int upload_store_remove(struct upload_store *s, const char *key, struct error *err)
{
    if (!object_name_is_valid(key))
        return error_set(err, ERR_SYSTEM, "remove upload: not a key of the store");
    if (upload_store_remote(s))
        return remote_remove(&s->remote, key, err);
    if (unlinkat(s->dir_fd, key, 0) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove upload %s", key);
    return 0;
}

struct sweeper {
    bool (*keep)(void *self, const char *key);
    void *self;
};

static bool is_young(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_mtim.tv_sec > time(NULL) - STALE_SECONDS;
}

/* sweeper: NULL in the directory of temporaries, where age alone decides. */
static int sweep(int dirfd, const struct sweeper *sweeper, struct error *err)
{
    int result = 0;
    int fd = -1;
    DIR *dir;

    if (fs_open_dir(dirfd, ".", &fd, err) < 0)
        return error_wrap(err, "sweep uploads");
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return error_errno(err, errno, "sweep uploads");
    }
    for (struct dirent *e = readdir(dir); e && result == 0; e = readdir(dir)) {
        if (!object_name_is_valid(e->d_name))
            continue;
        if (sweeper ? sweeper->keep(sweeper->self, e->d_name) : is_young(dirfd, e->d_name))
            continue;
        if (unlinkat(dirfd, e->d_name, 0) < 0 && errno != ENOENT)
            result = error_errno(err, errno, "sweep upload %s", e->d_name);
    }
    closedir(dir);
    return result;
}

int upload_store_sweep(struct upload_store *s, bool (*keep)(void *self, const char *key),
                       void *self, struct error *err)
{
    struct sweeper sweeper = {.keep = keep, .self = self};

    if (sweep(s->incoming_fd, NULL, err) < 0)
        return -1;
    if (upload_store_remote(s))
        return remote_sweep(&s->remote, keep, self, STALE_SECONDS, err);
    return sweep(s->dir_fd, &sweeper, err);
}

int upload_store_collect(struct upload_store *s, const char *object, struct upload_arrival *ret,
                         struct error *err)
{
    char key[UPLOAD_KEY_TEXT];

    if (!upload_store_remote(s) || !is_object(object))
        return error_set(err, ERR_SYSTEM, "collect upload: not the name of an upload");
    draw_key(object, key);
    return remote_collect(&s->remote, object, key, s->max_bytes, ret, err);
}
