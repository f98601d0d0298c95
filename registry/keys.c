/* registry/keys — see the header. */
#include "registry/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"

enum { CURRENT, NEXT, OLD, FILES };

struct file {
    char path[PATH_MAX];
    struct stat seen;
    const struct es256_key *key; /* that was in it */
};

struct registry_keys {
    struct file files[FILES];
    int64_t overlap;
    pthread_mutex_t lock;
    /* All that were ever read: somebody may still be using one. */
    struct es256_key **all;
    size_t n;
};

/* ---- reading ---- */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The one of these keys that is read already, or this. */
static const struct es256_key *keep(struct registry_keys *k, struct es256_key *key)
{
    struct es256_key **all;

    for (size_t i = 0; i < k->n; i++)
        if (strcmp(es256_id(k->all[i]), es256_id(key)) == 0) {
            es256_free(key);
            return k->all[i];
        }
    all = reallocarray(k->all, k->n + 1, sizeof(struct es256_key *));
    if (!all) {
        es256_free(key);
        return NULL;
    }
    k->all = all;
    return k->all[k->n++] = key;
}

/* With the lock. */
static const struct es256_key *look(struct registry_keys *k, int which)
{
    struct file *f = &k->files[which];
    struct error ignored = ERROR_INIT;
    struct es256_key *key = NULL;
    const struct es256_key *kept;
    struct stat st;

    if (stat(f->path, &st) < 0) {
        if (which != CURRENT)
            f->key = NULL;
        return f->key;
    }
    if (f->key && is_same(&st, &f->seen))
        return f->key;
    if (es256_open(f->path, &key, &ignored) == 0 && (kept = keep(k, key))) {
        f->key = kept;
        f->seen = st;
    }
    return f->key;
}

static const struct es256_key *get(struct registry_keys *k, int which)
{
    const struct es256_key *key;

    pthread_mutex_lock(&k->lock);
    key = look(k, which);
    pthread_mutex_unlock(&k->lock);
    return key;
}

const struct es256_key *registry_keys_current(struct registry_keys *k)
{
    return get(k, CURRENT);
}

const struct es256_key *registry_keys_next(struct registry_keys *k)
{
    return get(k, NEXT);
}

int64_t registry_keys_old_until(const struct registry_keys *k)
{
    struct stat st;

    if (stat(k->files[OLD].path, &st) < 0)
        return 0;
    return st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec + k->overlap;
}

const struct es256_key *registry_keys_old(struct registry_keys *k)
{
    return registry_keys_old_until(k) > clock_now(&clock_system) ? get(k, OLD) : NULL;
}

/* ---- opening ---- */

int registry_keys_open(const char *path, int64_t overlap, struct registry_keys **ret,
                       struct error *err)
{
    static const char *const ends[FILES] = {"", ".next", ".old"};
    struct registry_keys *k = calloc(1, sizeof(*k));
    struct es256_key *first;

    if (!k)
        return error_set(err, ERR_SYSTEM, "read %s: out of memory", path);
    pthread_mutex_init(&k->lock, NULL);
    k->overlap = overlap;
    for (int i = 0; i < FILES; i++)
        if (snprintf(k->files[i].path, PATH_MAX, "%s%s", path, ends[i]) >= PATH_MAX) {
            registry_keys_free(k);
            return error_set(err, ERR_INPUT, "%s: path too long", path);
        }
    if (es256_open(path, &first, err) < 0) {
        registry_keys_free(k);
        return -1;
    }
    es256_free(first);
    if (!registry_keys_current(k)) {
        registry_keys_free(k);
        return error_set(err, ERR_SYSTEM, "read %s: it changes", path);
    }
    *ret = k;
    return 0;
}

void registry_keys_free(struct registry_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        es256_free(k->all[i]);
    free(k->all);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* ---- changing ---- */

static int make_next(struct registry_keys *k, struct error *err)
{
    struct es256_key *next;

    if (registry_keys_next(k))
        return 0;
    if (es256_open(k->files[NEXT].path, &next, err) < 0)
        return -1;
    es256_free(next);
    return 0;
}

static int forget_old(struct registry_keys *k, struct error *err)
{
    if (unlink(k->files[OLD].path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "remove %s", k->files[OLD].path);
    return 0;
}

int registry_keys_tend(struct registry_keys *k, struct error *err)
{
    const int64_t until = registry_keys_old_until(k);

    if (until && until <= clock_now(&clock_system) && forget_old(k, err) < 0)
        return -1;
    return make_next(k, err);
}

/* From a kill between this and the next step there are two names of the current key, and the same
 * is done again. */
static int keep_old(struct registry_keys *k, struct error *err)
{
    if (forget_old(k, err) < 0)
        return -1;
    if (link(k->files[CURRENT].path, k->files[OLD].path) < 0 ||
        utimensat(AT_FDCWD, k->files[OLD].path, NULL, 0) < 0)
        return error_errno(err, errno, "make %s", k->files[OLD].path);
    return fs_sync_parent(AT_FDCWD, k->files[OLD].path, err);
}

static int rotate(struct registry_keys *k, bool at_once, struct error *err)
{
    const struct es256_key *old = registry_keys_old(k);

    if (!at_once && old && old != registry_keys_current(k))
        return error_set(
            err, ERR_INPUT,
            "the key before this one is accepted for %lld s more: wait, or end that with --now",
            (long long)((registry_keys_old_until(k) - clock_now(&clock_system)) / NS_PER_SEC + 1));
    if (make_next(k, err) < 0 || (at_once ? forget_old(k, err) : keep_old(k, err)) < 0)
        return -1;
    if (rename(k->files[NEXT].path, k->files[CURRENT].path) < 0)
        return error_errno(err, errno, "rename %s", k->files[NEXT].path);
    if (fs_sync_parent(AT_FDCWD, k->files[CURRENT].path, err) < 0)
        return -1;
    return make_next(k, err);
}

int registry_keys_rotate(struct registry_keys *k, bool at_once, struct error *err)
{
    CLEANUP_CLOSE int lock = -1;
    char dir[PATH_MAX];
    char *slash;

    (void)snprintf(dir, sizeof(dir), "%s", k->files[CURRENT].path);
    slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    if (fs_open_dir(AT_FDCWD, !slash ? "." : *dir ? dir : "/", &lock, err) < 0)
        return -1;
    if (flock(lock, LOCK_EX) < 0)
        return error_errno(err, errno, "lock %s", dir);
    return rotate(k, at_once, err);
}

int registry_keys_certificates(struct registry_keys *k, const char *common_name, struct buf *out,
                               struct error *err)
{
    const struct es256_key *keys[] = {registry_keys_current(k), registry_keys_next(k),
                                      registry_keys_old(k)};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (keys[i] && es256_certificate(keys[i], common_name, out, err) < 0)
            return -1;
    return 0;
}
