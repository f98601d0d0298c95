/* builder/copy_digest — see copy.h.
 *
 * Every text goes in with its length before it, every number as eight bytes, and directories open
 * and close: two different trees never make the same row of bytes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "builder/copy_excluded.h"
#include "builder/copy_file.h"
#include "builder/copy_mode.h"
#include "builder/copy_source.h"
#include "builder/copy_walk.h"

#define VERSION "kiln copy 1"
#define BLOCK   (256U << 10)

struct digesting {
    const struct copy_request *req;
    struct sha256 *hash;
    struct copy_sources sources;
    void *excluded;
    unsigned char *block;
    uint64_t entries;
    uint64_t mark; /* of what is told of next */
};

static void digesting_release(struct digesting *d)
{
    copy_excluded_release(d->req, &d->excluded);
    copy_sources_release(&d->sources);
    sha256_free(d->hash);
    free(d->block);
}

/* A mark only has to differ where a file does, by all odds: nothing is found by it. */
static uint64_t mix(uint64_t mark, const unsigned char *p, size_t len)
{
    uint64_t word;

    for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        mark = (mark ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        mark ^= mark >> 29;
    }
    word = len;
    memcpy(&word, p, len);
    mark = (mark ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return mark ^ (mark >> 32);
}

static void feed(struct digesting *d, const void *data, size_t len)
{
    sha256_add(d->hash, data, len);
    if (d->req->told)
        d->mark = mix(d->mark, data, len);
}

/* All that went in since the last time was this one's. */
static void tell(struct digesting *d, const char *source, const char *path)
{
    CLEANUP(buf_release) struct buf name = BUF_INIT(2 * COPY_WALK_PATH_MAX);

    if (d->req->told) {
        buf_addf(&name, "%s%s%s", source, *source && *path ? "/" : "", path);
        d->req->told->file(d->req->told->self, buf_str(&name), d->mark);
    }
    d->mark = 0;
}

static void add_number(struct digesting *d, uint64_t n)
{
    unsigned char bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> (8 * i));
    feed(d, bytes, sizeof(bytes));
}

static void add_bytes(struct digesting *d, const void *data, size_t len)
{
    add_number(d, len);
    feed(d, data, len);
}

static void add_text(struct digesting *d, const char *text)
{
    add_bytes(d, text, strlen(text));
}

/* ---- files ---- */

static void add_head(struct digesting *d, const char *name, const struct stat *st)
{
    add_text(d, name);
    add_number(d, st->st_mode);
    add_number(d, d->req->keep_owner ? st->st_uid : d->req->uid);
    add_number(d, d->req->keep_owner ? st->st_gid : d->req->gid);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_xattr(struct digesting *d, int fd, const char *name, const char *path,
                     struct error *err)
{
    ssize_t n = fgetxattr(fd, name, d->block, BLOCK);

    if (n < 0)
        return error_errno(err, errno, "read the attribute %.100s of /%.200s", name, path);
    add_text(d, name);
    add_bytes(d, d->block, (size_t)n);
    return 0;
}

/* Sorted: filesystems list them as they like. */
static int add_xattrs(struct digesting *d, int fd, const char *path, struct error *err)
{
    CLEANUP(argv_release) struct argv kept = ARGV_INIT;
    ssize_t n = flistxattr(fd, (char *)d->block, BLOCK);

    if (n < 0 && errno != ENOTSUP)
        return error_errno(err, errno, "list the attributes of /%.200s", path);
    for (const char *p = (const char *)d->block; n > 0 && p < (const char *)d->block + n;
         p += strlen(p) + 1)
        if (copy_file_keeps_xattr(p))
            argv_push1(&kept, p);
    if (kept.failed)
        return error_set(err, ERR_SYSTEM, "read attributes: out of memory");
    if (kept.n > 1)
        qsort(kept.v, kept.n, sizeof(*kept.v), compare_texts);
    add_number(d, kept.n);
    for (size_t i = 0; i < kept.n; i++)
        if (add_xattr(d, fd, kept.v[i], path, err) < 0)
            return -1;
    return 0;
}

static int add_content(struct digesting *d, int fd, uint64_t size, const char *path,
                       struct error *err)
{
    add_number(d, size);
    while (size > 0) {
        ssize_t n = read(fd, d->block, size < BLOCK ? size : BLOCK);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "read /%.200s", path);
        if (n == 0)
            return error_set(err, ERR_SYSTEM, "read /%.200s: it became shorter meanwhile", path);
        feed(d, d->block, (size_t)n);
        size -= (uint64_t)n;
    }
    return 0;
}

static int add_opened(struct digesting *d, int fd, const struct stat *st, const char *path,
                      struct error *err)
{
    if (add_content(d, fd, (uint64_t)st->st_size, path, err) < 0)
        return -1;
    return add_xattrs(d, fd, path, err);
}

/* ---- directories ---- */

struct tree {
    struct digesting *d;
    const char *source;
    struct copy_walk walk;
};

static int enter(void *self, struct copy_walk_dir *dir, struct error *err)
{
    struct tree *t = self;
    struct stat st = dir->st;

    if (!dir->parent) /* its name, mode and owner are not copied */
        return 0;
    st.st_size = 0;
    sha256_add(t->d->hash, "(", 1);
    add_head(t->d, dir->name, &st);
    if (add_xattrs(t->d, dir->fd, buf_str(&t->walk.path), err) < 0)
        return -1;
    tell(t->d, t->source, buf_str(&t->walk.path));
    return 0;
}

static int leave(void *self, struct copy_walk_dir *dir, struct error *err)
{
    struct tree *t = self;

    (void)dir;
    (void)err;
    sha256_add(t->d->hash, ")", 1);
    return 0;
}

static int add_link(struct digesting *d, int dir, const char *name, const char *path,
                    struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir, name, target, sizeof(target));

    if (n < 0)
        return error_errno(err, errno, "read the link /%.200s", path);
    add_bytes(d, target, (size_t)n);
    return 0;
}

static int add_entry(struct tree *t, const struct copy_walk_dir *dir, const char *name,
                     const struct stat *st, struct error *err)
{
    const char *path = buf_str(&t->walk.path);
    CLEANUP_CLOSE int fd = -1;

    add_head(t->d, name, st);
    if (S_ISLNK(st->st_mode))
        return add_link(t->d, dir->fd, name, path, err);
    if (!S_ISREG(st->st_mode)) {
        add_number(t->d, st->st_rdev);
        return 0;
    }
    fd = openat(dir->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open /%.200s", path);
    return add_opened(t->d, fd, st, path, err);
}

static int entry(void *self, struct copy_walk_dir *dir, const char *name, const struct stat *st,
                 struct error *err)
{
    struct tree *t = self;

    sha256_add(t->d->hash, "-", 1);
    if (add_entry(t, dir, name, st, err) < 0)
        return -1;
    tell(t->d, t->source, buf_str(&t->walk.path));
    return 0;
}

static int add_directory(struct digesting *d, const struct copy_source *source, struct error *err)
{
    static const struct copy_walk_ops ops = {.enter = enter, .leave = leave, .entry = entry};
    struct tree t = {.d = d,
                     .source = source->path,
                     .walk = {.ops = &ops,
                              .only = source->only,
                              .patterns = d->req->patterns,
                              .excluded = d->excluded,
                              .entries = d->entries,
                              .path = BUF_INIT(COPY_WALK_PATH_MAX)}};
    CLEANUP_CLOSE int fd = -1;
    struct stat st;
    int result;

    if (copy_source_open(d->req->from, source->path, O_RDONLY | O_DIRECTORY, &fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at /%.200s", source->path);
    t.walk.self = &t;
    result = copy_walk(&t.walk, fd, &st, err);
    d->entries = t.walk.entries;
    buf_release(&t.walk.path);
    return result;
}

/* ---- all of it ---- */

static int add_source(struct digesting *d, const struct copy_source *source, struct error *err)
{
    const char *name = copy_source_name(source->path);
    CLEANUP_CLOSE int at = -1;
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (copy_source_open(d->req->from, source->path, O_PATH, &at, err) < 0)
        return -1;
    if (fstat(at, &st) < 0)
        return error_errno(err, errno, "look at /%.200s", source->path);
    sha256_add(d->hash, S_ISDIR(st.st_mode) ? "d" : "f", 1);
    d->mark = 0;
    if (S_ISDIR(st.st_mode))
        return add_directory(d, source, err);
    if (copy_excluded_has(d->req, d->excluded, name))
        return 0;
    add_head(d, name, &st);
    if (!S_ISREG(st.st_mode)) {
        add_number(d, st.st_rdev);
        tell(d, source->path, "");
        return 0;
    }
    if (copy_source_open(d->req->from, source->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err) <
            0 ||
        add_opened(d, fd, &st, source->path, err) < 0)
        return -1;
    tell(d, source->path, "");
    return 0;
}

static void add_options(struct digesting *d)
{
    const struct copy_request *req = d->req;
    size_t n = req->exclude ? req->exclude->n : 0;

    add_text(d, VERSION);
    add_number(d, req->uid);
    add_number(d, req->gid);
    add_number(d, req->keep_owner);
    add_number(d, req->chowned);
    add_text(d, req->chmod ? req->chmod : "");
    add_number(d, n);
    for (size_t i = 0; i < n; i++)
        add_text(d, req->exclude->v[i]);
    add_number(d, req->parents);
    add_number(d, req->add);
    add_number(d, (uint64_t)req->epoch);
}

static int add_all(struct digesting *d, struct argv *ret_matched, struct error *err)
{
    const struct copy_request *req = d->req;

    add_options(d);
    add_number(d, d->sources.n);
    for (size_t i = 0; i < d->sources.n; i++) {
        if (ret_matched)
            argv_push1(ret_matched, d->sources.v[i].shown);
        if (add_source(d, &d->sources.v[i], err) < 0)
            return -1;
    }
    add_number(d, req->n_files);
    for (size_t i = 0; i < req->n_files; i++) {
        add_text(d, req->files[i].name);
        add_bytes(d, req->files[i].content, req->files[i].len);
    }
    return 0;
}

int copy_digest(const struct copy_request *req, unsigned char ret[SHA256_SIZE],
                struct argv *ret_matched, struct error *err)
{
    CLEANUP(digesting_release) struct digesting d = {.req = req, .block = malloc(BLOCK)};

    if (!d.block)
        return error_set(err, ERR_SYSTEM, "read sources: out of memory");
    if (sha256_new(&d.hash, err) < 0 || copy_mode_check(req->chmod ? req->chmod : "", err) < 0 ||
        copy_excluded_compile(req, &d.excluded, err) < 0 ||
        copy_sources_find(req, &d.sources, err) < 0 || add_all(&d, ret_matched, err) < 0)
        return -1;
    sha256_end(d.hash, ret);
    return 0;
}
