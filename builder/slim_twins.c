/* builder/slim_twins — see the header. */
#include "builder/slim_twins.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/digest.h"
#include "base/fs.h"
#include "builder/layer_attributes.h"
#include "builder/slim_pins.h"
#include "builder/slim_rules.h"

#define FILES_MAX 200000     /* that are looked at in one layer */
#define BLOCK     (64 << 10) /* bytes read at once */

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
    unsigned char block[BLOCK];
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
    t->diff = diff;
    t->dev = st.st_dev;
    t->epoch = epoch;
    t->volumes = volumes;
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

static int hash_content(struct slim_twins *t, int fd, unsigned char ret[SHA256_SIZE],
                        struct error *err)
{
    CLEANUP(sha256_freep) struct sha256 *hash = NULL;
    ssize_t n;

    if (sha256_new(&hash, err) < 0)
        return -1;
    while ((n = read(fd, t->block, sizeof(t->block))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "read a file of a diff");
        sha256_add(hash, t->block, (size_t)n);
    }
    sha256_end(hash, ret);
    return 0;
}

static int open_file(const struct slim_twins *t, const struct file *f, int *ret_fd,
                     struct error *err)
{
    struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};

    *ret_fd = (int)syscall(SYS_openat2, t->diff, f->path, &how, sizeof(how));
    return *ret_fd < 0 ? error_errno(err, errno, "open %.300s", f->path) : 0;
}

/* A few bytes of its middle tell most files of one size apart. */
static int sample(struct slim_twins *t, struct file *f, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (open_file(t, f, &fd, err) < 0)
        return -1;
    if (fs_pread(fd, f->digest, sizeof(f->digest), (uint64_t)f->size / 2) < 0)
        return error_errno(err, errno, "read %.300s", f->path);
    return 0;
}

static int hash(struct slim_twins *t, struct file *f, struct error *err)
{
    CLEANUP(attributes_release) struct attributes attributes = {.v = NULL};
    CLEANUP_CLOSE int fd = -1;

    if (open_file(t, f, &fd, err) < 0 || attributes_read(fd, &attributes, err) < 0)
        return -1;
    f->is_plain = attributes.n == 0;
    return f->is_plain ? hash_content(t, fd, f->digest, err) : 0;
}

typedef bool (*comparison)(const struct file *a, const struct file *b);

static bool look_alike(const struct file *a, const struct file *b)
{
    return compare_looks(a, b) == 0;
}

static bool read_alike(const struct file *a, const struct file *b)
{
    return a->is_plain == b->is_plain && memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

/* How many of those at the beginning are alike. */
static size_t row_of(const struct file *v, size_t n, comparison alike)
{
    size_t k = 1;

    while (k < n && alike(&v[k], &v[0]))
        k++;
    return k;
}

/* A row of one file has no twins, whatever its names are: the row is sorted by inode. */
static bool is_one_file(const struct file *v, size_t n)
{
    return v[0].ino == v[n - 1].ino;
}

/* Reads each file of a row once, and sorts them by what was read. */
static int read_row(struct slim_twins *t, struct file *v, size_t n,
                    int (*read_file)(struct slim_twins *t, struct file *f, struct error *err),
                    struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (i > 0 && v[i].ino == v[i - 1].ino) {
            v[i].is_plain = v[i - 1].is_plain;
            memcpy(v[i].digest, v[i - 1].digest, sizeof(v[i].digest));
        } else if (read_file(t, &v[i], err) < 0) {
            return -1;
        }
    qsort(v, n, sizeof(*v), by_digest);
    return 0;
}

static void add_twins(struct slim_twins *t, const struct file *v, size_t n, uint64_t *ret_files,
                      uint64_t *ret_bytes)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && v[i].ino == v[i - 1].ino)
            continue;
        t->v[t->n++] = (struct twin){v[i].ino, v[0].ino};
        *ret_files += i > 0;
        *ret_bytes += i > 0 ? (uint64_t)v[i].size : 0;
    }
}

/* Of files of which a sample is the same. */
static int find_in_sampled(struct slim_twins *t, struct file *v, size_t n, uint64_t *ret_files,
                           uint64_t *ret_bytes, struct error *err)
{
    if (is_one_file(v, n))
        return 0;
    if (read_row(t, v, n, hash, err) < 0)
        return -1;
    for (size_t i = 0, k; i < n; i += k) {
        k = row_of(v + i, n - i, read_alike);
        if (v[i].is_plain && !is_one_file(v + i, k))
            add_twins(t, v + i, k, ret_files, ret_bytes);
    }
    return 0;
}

/* Of files that look the same. */
static int find_in_row(struct slim_twins *t, struct file *v, size_t n, uint64_t *ret_files,
                       uint64_t *ret_bytes, struct error *err)
{
    if (is_one_file(v, n))
        return 0;
    if (read_row(t, v, n, sample, err) < 0)
        return -1;
    for (size_t i = 0, k; i < n; i += k) {
        k = row_of(v + i, n - i, read_alike);
        if (find_in_sampled(t, v + i, k, ret_files, ret_bytes, err) < 0)
            return -1;
    }
    return 0;
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
    for (size_t i = 0, k; i < t->n_files; i += k) {
        k = row_of(t->files + i, t->n_files - i, look_alike);
        if (find_in_row(t, t->files + i, k, ret_files, ret_bytes, err) < 0)
            return -1;
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
