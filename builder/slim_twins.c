/* builder/slim_twins — see the header. */
#include "builder/slim_twins.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/digest.h"
#include "builder/layer_attributes.h"
#include "builder/slim_pins.h"
#include "builder/slim_rules.h"

#define FILES_MAX 200000 /* that are looked at in one layer */
#define BLOCK     (256 << 10)

struct file {
    char *path;
    ino_t ino;
    off_t size;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    int64_t time;
    bool is_plain; /* hashed, and without attributes */
    unsigned char digest[SHA256_SIZE];
};

struct twin {
    ino_t ino, first;
};

struct slim_twins {
    int diff;
    dev_t dev;
    int64_t epoch;
    const struct argv *volumes;
    struct file *files;
    size_t n_files, cap_files;
    struct twin *v; /* by ino */
    size_t n;
};

int slim_twins_new(int diff, int64_t epoch, const struct argv *volumes, struct slim_twins **ret,
                   struct error *err)
{
    struct slim_twins *t;
    struct stat st;

    if (fstat(diff, &st) < 0)
        return error_errno(err, errno, "look at a diff");
    t = calloc(1, sizeof(*t));
    if (!t)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    *t = (struct slim_twins){.diff = diff, .dev = st.st_dev, .epoch = epoch, .volumes = volumes};
    *ret = t;
    return 0;
}

static void forget_files(struct slim_twins *t)
{
    for (size_t i = 0; i < t->n_files; i++)
        free(t->files[i].path);
    free(t->files);
    t->files = NULL;
    t->n_files = t->cap_files = 0;
}

void slim_twins_free(struct slim_twins *t)
{
    if (!t)
        return;
    forget_files(t);
    free(t->v);
    free(t);
}

/* ---- which files ---- */

static bool is_written_to(const struct slim_twins *t, const char *path, const struct stat *st)
{
    static const char *const directories[] = {"etc", "var", "tmp",   "run",
                                              "srv", "mnt", "media", "data"};
    static const char names[] = "*.db *.db-* *.sqlite *.sqlite3 *.mdb *.rdb *.aof *.wal *.log "
                                "*.lock *.pid";
    const char *slash = strrchr(path, '/');

    if (st->st_mode & (S_ISUID | S_ISGID | S_ISVTX | S_IWGRP | S_IWOTH))
        return true;
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        if (slim_is_below(path, directories[i]))
            return true;
    for (size_t i = 0; i < t->volumes->n; i++)
        if (slim_is_below(path, t->volumes->v[i]))
            return true;
    return slim_is_among(names, slash ? slash + 1 : path);
}

static int64_t time_of(const struct slim_twins *t, const struct stat *st)
{
    int64_t seconds = st->st_mtim.tv_sec;

    return t->epoch >= 0 && seconds > t->epoch ? t->epoch : seconds;
}

int slim_twins_offer(struct slim_twins *t, const char *path, const struct stat *st,
                     struct error *err)
{
    struct file *f;

    if (st->st_size < SLIM_TWIN_MIN || st->st_dev != t->dev || t->n_files == FILES_MAX ||
        is_written_to(t, path, st))
        return 0;
    if (t->n_files == t->cap_files) {
        size_t cap = 2 * t->cap_files + 64;

        f = reallocarray(t->files, cap, sizeof(*f));
        if (!f)
            return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
        t->files = f;
        t->cap_files = cap;
    }
    f = &t->files[t->n_files];
    *f = (struct file){.path = strdup(path),
                       .ino = st->st_ino,
                       .size = st->st_size,
                       .mode = st->st_mode,
                       .uid = st->st_uid,
                       .gid = st->st_gid,
                       .time = time_of(t, st)};
    if (!f->path)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    t->n_files++;
    return 0;
}

/* ---- which are the same ---- */

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_looks(const struct file *x, const struct file *y)
{
    int r = compare((uint64_t)x->size, (uint64_t)y->size);

    r = r ? r : compare(x->mode, y->mode);
    r = r ? r : compare(x->uid, y->uid);
    r = r ? r : compare(x->gid, y->gid);
    return r ? r : compare((uint64_t)x->time, (uint64_t)y->time);
}

static int by_looks(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    int r = compare_looks(x, y);

    return r ? r : compare(x->ino, y->ino);
}

static int by_digest(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    int r = x->is_plain - y->is_plain;

    r = r ? r : memcmp(x->digest, y->digest, sizeof(x->digest));
    return r ? r : compare(x->ino, y->ino);
}

static int by_ino(const void *a, const void *b)
{
    return compare(((const struct twin *)a)->ino, ((const struct twin *)b)->ino);
}

static int hash_content(int fd, unsigned char ret[SHA256_SIZE], struct error *err)
{
    CLEANUP(sha256_freep) struct sha256 *hash = NULL;
    CLEANUP_FREE char *block = malloc(BLOCK);
    ssize_t n;

    if (!block)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    if (sha256_new(&hash, err) < 0)
        return -1;
    while ((n = read(fd, block, BLOCK)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "read a file of a diff");
        sha256_add(hash, block, (size_t)n);
    }
    sha256_end(hash, ret);
    return 0;
}

static int hash_file(const struct slim_twins *t, struct file *f, struct error *err)
{
    struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    CLEANUP(attributes_release) struct attributes attributes = {.v = NULL};
    CLEANUP_CLOSE int fd = (int)syscall(SYS_openat2, t->diff, f->path, &how, sizeof(how));

    if (fd < 0)
        return error_errno(err, errno, "open %.300s", f->path);
    if (attributes_read(fd, &attributes, err) < 0)
        return -1;
    f->is_plain = attributes.n == 0;
    return f->is_plain ? hash_content(fd, f->digest, err) : 0;
}

/* Files that look the same, of which at least two are. */
static int hash_group(const struct slim_twins *t, struct file *v, size_t n, struct error *err)
{
    if (v[0].ino == v[n - 1].ino)
        return 0; /* one file by several names */
    for (size_t i = 0; i < n; i++)
        if (i > 0 && v[i].ino == v[i - 1].ino) {
            v[i].is_plain = v[i - 1].is_plain;
            memcpy(v[i].digest, v[i - 1].digest, sizeof(v[i].digest));
        } else if (hash_file(t, &v[i], err) < 0) {
            return -1;
        }
    qsort(v, n, sizeof(*v), by_digest);
    return 0;
}

/* The same ones of a group, sorted by inode. */
static void add_twins(struct slim_twins *t, const struct file *v, size_t n, uint64_t *ret_files,
                      uint64_t *ret_bytes)
{
    if (v[0].ino == v[n - 1].ino)
        return;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && v[i].ino == v[i - 1].ino)
            continue;
        t->v[t->n++] = (struct twin){v[i].ino, v[0].ino};
        *ret_files += i > 0;
        *ret_bytes += i > 0 ? (uint64_t)v[i].size : 0;
    }
}

static void split_group(struct slim_twins *t, const struct file *v, size_t n, uint64_t *ret_files,
                        uint64_t *ret_bytes)
{
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && memcmp(v[k].digest, v[i].digest, sizeof(v[i].digest)) == 0; k++)
            ;
        if (v[i].is_plain)
            add_twins(t, v + i, k - i, ret_files, ret_bytes);
    }
}

int slim_twins_find(struct slim_twins *t, uint64_t *ret_files, uint64_t *ret_bytes,
                    struct error *err)
{
    *ret_files = *ret_bytes = 0;
    t->v = calloc(t->n_files + 1, sizeof(*t->v));
    if (!t->v)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    if (t->n_files)
        qsort(t->files, t->n_files, sizeof(*t->files), by_looks);
    for (size_t i = 0, k; i < t->n_files; i = k) {
        for (k = i + 1; k < t->n_files && compare_looks(&t->files[k], &t->files[i]) == 0; k++)
            ;
        if (hash_group(t, t->files + i, k - i, err) < 0)
            return -1;
        split_group(t, t->files + i, k - i, ret_files, ret_bytes);
    }
    forget_files(t);
    qsort(t->v, t->n, sizeof(*t->v), by_ino);
    return 0;
}

bool slim_twins_has(const struct slim_twins *t, const struct stat *st, ino_t *ret)
{
    const struct twin key = {.ino = st->st_ino};
    const struct twin *found = NULL;

    if (st->st_dev == t->dev)
        found = bsearch(&key, t->v, t->n, sizeof(*t->v), by_ino);
    if (found)
        *ret = found->first;
    return found != NULL;
}
