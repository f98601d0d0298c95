/* builder/cache — see the header. */
#include "builder/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"

#define RECORD_MAX 4096

/* ---- opening ---- */

static int open_part(int dir, const char *name, int *ret_fd, struct error *err)
{
    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make the cache's %s", name);
    return fs_open_dir(dir, name, ret_fd, err);
}

int cache_open(const char *path, const char *job, struct cache *ret, struct error *err)
{
    CLEANUP_CLOSE int dir = -1;
    const struct {
        const char *name;
        int *fd;
    } parts[] = {{"records", &ret->records}, {"inputs", &ret->inputs}, {"builds", &ret->builds},
                 {"diffs", &ret->diffs},     {"blobs", &ret->blobs},   {"packages", &ret->packages},
                 {"mounts", &ret->mounts},   {"tmp", &ret->tmp}};

    *ret = (struct cache)CACHE_INIT;
    (void)snprintf(ret->path, sizeof(ret->path), "%s", path);
    (void)snprintf(ret->job, sizeof(ret->job), "%s", job);
    if (fs_open_dir(AT_FDCWD, path, &dir, err) < 0)
        return error_wrap(err, "open the cache");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (open_part(dir, parts[i].name, parts[i].fd, err) < 0)
            return -1;
    if (mkdirat(ret->tmp, job, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make the cache's tmp/%s", job);
    return 0;
}

void cache_close(struct cache *c)
{
    const int fds[] = {c->records, c->inputs,   c->builds, c->diffs,
                       c->blobs,   c->packages, c->mounts, c->tmp};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *c = (struct cache)CACHE_INIT;
}

/* Through a descriptor of its own: a lock belongs to one, and threads hold theirs at the same time.
 */
int cache_hold(const struct cache *c, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (fs_open_dir(c->records, ".", &fd, err) < 0)
        return -1;
    while (flock(fd, LOCK_SH) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "hold the cache");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* ---- records ---- */

static bool read_hex(const json_t *o, const char *key, char ret[SHA256_HEX])
{
    const char *s = json_string_value(json_object_get(o, key));

    if (!s || (*s && !digest_is_hex(s)))
        return false;
    memcpy(ret, s, strlen(s) + 1);
    return true;
}

static bool read_digest(const json_t *o, const char *key, char ret[LAYER_DIGEST])
{
    const char *s = json_string_value(json_object_get(o, key));

    if (!digest_is_sha256(s))
        return false;
    memcpy(ret, s, 72);
    return true;
}

bool cache_layer_read(const json_t *o, struct layer *ret)
{
    ret->size = (uint64_t)json_integer_value(json_object_get(o, "size"));
    ret->tar_size = (uint64_t)json_integer_value(json_object_get(o, "tar_size"));
    ret->entries = (uint64_t)json_integer_value(json_object_get(o, "entries"));
    if (!json_is_object(o))
        return false;
    return ret->entries == 0 ||
           (read_digest(o, "diff_id", ret->diff_id) && read_digest(o, "digest", ret->digest));
}

bool cache_record_read(const json_t *o, struct cache_record *ret)
{
    const json_t *layer = json_object_get(o, "layer");

    *ret = (struct cache_record){.has_layer = layer != NULL};
    ret->bytes = (uint64_t)json_integer_value(json_object_get(o, "bytes"));
    ret->disk = (uint64_t)json_integer_value(json_object_get(o, "disk"));
    return read_hex(o, "key", ret->key) && ret->key[0] && read_hex(o, "diff", ret->diff) &&
           (!layer || cache_layer_read(layer, &ret->layer));
}

static bool is_complete(const struct cache *c, struct cache_record *r)
{
    struct stat st;

    if (r->has_layer && r->layer.entries &&
        fstatat(c->blobs, r->layer.digest + 7, &st, AT_SYMLINK_NOFOLLOW) < 0)
        r->has_layer = false; /* made anew */
    return !r->diff[0] || fstatat(c->diffs, r->diff, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* *ret_sound false: it is no record. */
static int read_file(int records, const char *key, bool *ret_sound, struct cache_record *ret,
                     struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(RECORD_MAX);
    json_auto_t *o = NULL;

    if (fs_read_file(records, key, &text, err) < 0)
        return error_wrap(err, "read the cache");
    o = json_loadb(buf_str(&text), text.len, 0, NULL);
    *ret_sound = cache_record_read(o, ret);
    return 0;
}

int cache_find(const struct cache *c, const char *key, bool *ret_found, struct cache_record *ret,
               struct error *err)
{
    CLEANUP_CLOSE int hold = -1;

    *ret_found = false;
    if (cache_hold(c, &hold, err) < 0)
        return -1;
    if (faccessat(c->records, key, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (read_file(c->records, key, ret_found, ret, err) < 0)
        return -1;
    *ret_found = *ret_found && is_complete(c, ret);
    if (*ret_found)
        (void)utimensat(c->records, key, NULL, 0);
    return 0;
}

bool cache_read(int records, const char *key, struct cache_record *ret)
{
    struct error ignored = ERROR_INIT;
    bool sound;

    return read_file(records, key, &sound, ret, &ignored) == 0 && sound;
}

json_t *cache_layer_json(const struct layer *layer)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I}", "diff_id", layer->diff_id, "digest",
                     layer->digest, "size", (json_int_t)layer->size, "tar_size",
                     (json_int_t)layer->tar_size, "entries", (json_int_t)layer->entries);
}

json_t *cache_record_json(const struct cache_record *r)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "key", r->key, "diff", r->diff, "bytes",
                          (json_int_t)r->bytes, "disk", (json_int_t)r->disk);

    if (r->has_layer)
        json_object_set_new(o, "layer", cache_layer_json(&r->layer));
    return o;
}

int cache_store(const struct cache *c, const char *key, const struct cache_record *r,
                struct error *err)
{
    json_auto_t *o = cache_record_json(r);
    CLEANUP_FREE char *text = json_dumps(o, JSON_COMPACT);

    if (!text)
        return error_set(err, ERR_SYSTEM, "write to the cache: out of memory");
    return cache_write(c, c->records, key, text, strlen(text), err);
}

int cache_write(const struct cache *c, int dir, const char *name, const void *data, size_t len,
                struct error *err)
{
    CLEANUP(buf_release) struct buf from = BUF_INIT(CACHE_PATH);
    CLEANUP_CLOSE int fd = -1;
    char own[13]; /* stages of one build may come to the same step at once */

    digest_random_name(own, sizeof(own) - 1);
    buf_addf(&from, "%s/new-%s", c->job, own);
    fd = openat(c->tmp, buf_str(&from), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "write to the cache");
    if (fs_write_all(fd, data, len, err) < 0)
        return error_wrap(err, "write to the cache");
    if (renameat(c->tmp, buf_str(&from), dir, name) < 0)
        return error_errno(err, errno, "write to the cache");
    return 0;
}

/* ---- diffs ---- */

int cache_begin(struct cache *c, unsigned n, char path[CACHE_PATH], struct error *err)
{
    static const char *const names[] = {"", "/diff", "/work"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, CACHE_PATH, "%s/tmp/%s/%u%s", c->path, c->job, n, names[i]);
        /* A diff's root is the root of a tree for whoever it is the lowest layer of. */
        if (mkdir(path, i == 1 ? 0755 : 0700) < 0)
            return error_errno(err, errno, "make %s", path);
    }
    (void)snprintf(path, CACHE_PATH, "%s/tmp/%s/%u", c->path, c->job, n);
    return 0;
}

int cache_keep(const struct cache *c, const char *path, const char *key, struct error *err)
{
    char from[CACHE_PATH + 8];

    (void)snprintf(from, sizeof(from), "%s/diff", path);
    if (renameat(AT_FDCWD, from, c->diffs, key) == 0)
        return 0;
    if (errno == EEXIST || errno == ENOTEMPTY)
        return 0; /* another build was faster */
    return error_errno(err, errno, "keep the result of a step");
}

void cache_diff_path(const struct cache *c, const char *key, char path[CACHE_PATH])
{
    (void)snprintf(path, CACHE_PATH, "%s/diffs/%s", c->path, key);
}

int cache_open_diff(const struct cache *c, const char *key, int *ret_fd, struct error *err)
{
    return fs_open_dir(c->diffs, key, ret_fd, err);
}

int cache_make_layer(const struct cache *c, struct cache_record *r,
                     const struct layer_options *options, struct error *err)
{
    CLEANUP_CLOSE int diff = -1;

    if (cache_open_diff(c, r->diff, &diff, err) < 0 ||
        layer_write(diff, c->blobs, options, &r->layer, err) < 0 ||
        cache_store_layer(c, r, err) < 0)
        return error_wrap(err, "make a layer");
    return 0;
}

int cache_store_layer(const struct cache *c, struct cache_record *r, struct error *err)
{
    CLEANUP_CLOSE int hold = -1;

    if (cache_hold(c, &hold, err) < 0)
        return -1;
    /* One that was there already may have been removed since. */
    if (r->layer.entries && utimensat(c->blobs, r->layer.digest + 7, NULL, 0) < 0)
        return error_errno(err, errno, "keep the blob %s", r->layer.digest);
    r->has_layer = true;
    return cache_store(c, r->key, r, err);
}
