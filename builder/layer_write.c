/* builder/layer_write — a diff directory becomes a layer: what each entry is in the tar. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/layer_attributes.h"
#include "builder/layer_blob.h"
#include "builder/layer_walk.h"

/* Go's reader, and so the registry's clients, take no larger one. */
#define HEADER_MAX ((1u << 20) - 4096)

#define WHITEOUT ".wh."
#define OPAQUE   ".wh..wh..opq"

struct writer {
    const struct layer_options *options;
    struct layer_walk *walk;
    struct layer_blob *blob;
    uint64_t entries;
    uint64_t left; /* bytes that the tar may still grow */
    void *inodes;  /* of those with several names: a tree of struct inode */
    struct buf header;
};

/* ---- hard links ---- */

struct inode {
    dev_t dev;
    ino_t ino;
    char path[]; /* of its first name */
};

static int by_number(const void *a, const void *b)
{
    const struct inode *x = a;
    const struct inode *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static bool shares(const struct writer *w, const struct stat *st, ino_t *ret)
{
    const struct layer_filter *f = w->options->filter;

    return f && S_ISREG(st->st_mode) && f->shares(f->self, st, ret);
}

/* *ret: the first name of this inode, borrowed; NULL when this is it. */
static int find_first_name(struct writer *w, const struct stat *st, const char *path,
                           const char **ret, struct error *err)
{
    size_t len = strlen(path) + 1;
    ino_t ino = st->st_ino;
    struct inode *fresh;
    void *node;

    *ret = NULL;
    if (!shares(w, st, &ino) && (S_ISDIR(st->st_mode) || st->st_nlink < 2))
        return 0;
    fresh = malloc(sizeof(*fresh) + len);
    if (!fresh)
        return error_set(err, ERR_SYSTEM, "write a layer: out of memory");
    fresh->dev = st->st_dev;
    fresh->ino = ino;
    memcpy(fresh->path, path, len);
    node = tsearch(fresh, &w->inodes, by_number);
    if (!node || *(struct inode **)node != fresh)
        free(fresh);
    if (!node)
        return error_set(err, ERR_SYSTEM, "write a layer: out of memory");
    if (*(struct inode **)node != fresh)
        *ret = (*(struct inode **)node)->path;
    return 0;
}

/* ---- entries ---- */

static int spend(struct writer *w, uint64_t bytes, struct error *err)
{
    if (bytes > w->left)
        return error_set(err, ERR_LIMIT, "the layer is larger than %" PRIu64 " bytes",
                         w->options->size_max ? w->options->size_max : LAYER_TAR_SIZE_MAX);
    w->left -= bytes;
    return 0;
}

static int add_header(struct writer *w, const struct tar_entry *e, struct error *err)
{
    if (w->entries >= LAYER_ENTRIES_MAX)
        return error_set(err, ERR_LIMIT, "the layer has more than %" PRIu64 " entries",
                         LAYER_ENTRIES_MAX);
    w->entries++;
    buf_clear(&w->header);
    tar_add_header(&w->header, e);
    if (buf_check(&w->header, "its header with all extended attributes", err) < 0 ||
        spend(w, w->header.len, err) < 0 || spend(w, e->size, err) < 0)
        return -1;
    return layer_blob_add(w->blob, w->header.data, w->header.len, err);
}

static struct tar_entry describe(const struct writer *w, const struct stat *st)
{
    int64_t epoch = w->options->epoch;
    int64_t mtime = st->st_mtim.tv_sec;

    return (struct tar_entry){
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mtime = epoch >= 0 && mtime > epoch ? epoch : mtime,
    };
}

/* An empty file that says what is not there any more. */
static int add_mark(struct writer *w, const struct stat *st, const char *dir, size_t dir_len,
                    const char *mark, const char *name, struct error *err)
{
    char path[PATH_MAX + 16];
    struct tar_entry e = describe(w, st);

    (void)snprintf(path, sizeof(path), "%.*s%s%s", (int)dir_len, dir, mark, name);
    e.type = TAR_FILE;
    e.path = path;
    e.mode = 0;
    return add_header(w, &e, err);
}

/* Exactly size bytes of fd; the rest of a block is zeros. */
static int add_content(struct writer *w, int fd, uint64_t size, struct error *err)
{
    static const char zeros[TAR_BLOCK];

    for (uint64_t left = size; left > 0;) {
        unsigned char *room = NULL;
        size_t n = 0;
        ssize_t got;

        if (layer_blob_room(w->blob, &room, &n, err) < 0)
            return -1;
        got = read(fd, room, n < left ? n : (size_t)left);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, errno, "read it");
        if (got == 0)
            return error_set(err, ERR_SYSTEM, "it became shorter while it was read");
        layer_blob_filled(w->blob, (size_t)got);
        left -= (uint64_t)got;
    }
    if (spend(w, tar_padding(size), err) < 0)
        return -1;
    return layer_blob_add(w->blob, zeros, tar_padding(size), err);
}

/* Opens a file or directory, which is what it was when it was looked at. */
static int open_entry(const struct layer_walk_entry *at, const struct stat *st, int *ret_fd,
                      struct error *err)
{
    CLEANUP_CLOSE int fd =
        openat(at->dir, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat now;

    if (fd < 0 || fstat(fd, &now) < 0)
        return error_errno(err, errno, "open it");
    if (now.st_ino != st->st_ino || now.st_dev != st->st_dev ||
        (now.st_mode & S_IFMT) != (st->st_mode & S_IFMT))
        return error_set(err, ERR_SYSTEM, "it was replaced while it was read");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int add_file(struct writer *w, const struct layer_walk_entry *at, const struct stat *st,
                    struct error *err)
{
    CLEANUP(attributes_release) struct attributes a = {.v = NULL};
    struct tar_entry e = describe(w, st);
    CLEANUP_CLOSE int fd = -1;

    if (open_entry(at, st, &fd, err) < 0 || attributes_read(fd, &a, err) < 0)
        return -1;
    e.type = TAR_FILE;
    e.path = at->path;
    e.size = (uint64_t)st->st_size;
    e.attributes = a.v;
    e.n_attributes = a.n;
    if (add_header(w, &e, err) < 0)
        return -1;
    return add_content(w, fd, e.size, err);
}

static int add_directory(struct writer *w, const struct layer_walk_entry *at, const struct stat *st,
                         struct error *err)
{
    CLEANUP(attributes_release) struct attributes a = {.v = NULL};
    char path[PATH_MAX + 1];
    struct tar_entry e = describe(w, st);
    CLEANUP_CLOSE int fd = -1;
    int len = snprintf(path, sizeof(path), "%s/", at->path);

    if (open_entry(at, st, &fd, err) < 0 || attributes_read(fd, &a, err) < 0)
        return -1;
    e.type = TAR_DIRECTORY;
    e.path = path;
    e.attributes = a.v;
    e.n_attributes = a.n;
    if (add_header(w, &e, err) < 0 ||
        (a.opaque && add_mark(w, st, path, (size_t)len, OPAQUE, "", err) < 0))
        return -1;
    return layer_walk_enter(w->walk, fd, err);
}

static int add_symlink(struct writer *w, const struct layer_walk_entry *at, const struct stat *st,
                       struct error *err)
{
    struct tar_entry e = describe(w, st);
    char target[PATH_MAX];
    ssize_t len = readlinkat(at->dir, at->name, target, sizeof(target) - 1);

    if (len < 0)
        return error_errno(err, errno, "read the link");
    target[len] = '\0';
    e.type = TAR_SYMLINK;
    e.path = at->path;
    e.target = target;
    return add_header(w, &e, err);
}

static int add_special(struct writer *w, const struct layer_walk_entry *at, const struct stat *st,
                       struct error *err)
{
    struct tar_entry e = describe(w, st);

    e.type = S_ISFIFO(st->st_mode) ? TAR_FIFO : S_ISCHR(st->st_mode) ? TAR_CHARACTER : TAR_DEVICE;
    e.path = at->path;
    if (!S_ISFIFO(st->st_mode)) {
        e.major = major(st->st_rdev);
        e.minor = minor(st->st_rdev);
    }
    return add_header(w, &e, err);
}

static int add_link(struct writer *w, const struct layer_walk_entry *at, const struct stat *st,
                    const char *first, struct error *err)
{
    struct tar_entry e = describe(w, st);

    e.type = TAR_HARDLINK;
    e.path = at->path;
    e.target = first;
    return add_header(w, &e, err);
}

static bool is_left_out(const struct writer *w, const char *path, const struct stat *st)
{
    const struct layer_filter *f = w->options->filter;

    return f && !f->keeps(f->self, path, st);
}

static int add_entry(struct writer *w, const struct layer_walk_entry *at, struct error *err)
{
    const char *first;
    struct stat st;

    if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at it");
    if (is_left_out(w, at->path, &st))
        return 0;
    /* Before hard links: the kernel gives many whiteouts one inode. */
    if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
        return add_mark(w, &st, at->path, strlen(at->path) - strlen(at->name), WHITEOUT, at->name,
                        err);
    if (S_ISSOCK(st.st_mode))
        return 0;
    if (text_starts(at->name, WHITEOUT))
        return error_set(err, ERR_INPUT,
                         "in an image's layer a name that begins with \"" WHITEOUT
                         "\" means that another file was removed: give it another name");
    if (find_first_name(w, &st, at->path, &first, err) < 0)
        return -1;
    if (first)
        return add_link(w, at, &st, first, err);
    if (S_ISREG(st.st_mode))
        return add_file(w, at, &st, err);
    if (S_ISDIR(st.st_mode))
        return add_directory(w, at, &st, err);
    if (S_ISLNK(st.st_mode))
        return add_symlink(w, at, &st, err);
    return add_special(w, at, &st, err);
}

/* ---- the whole ---- */

static int add_root(struct writer *w, int diff, struct error *err)
{
    CLEANUP(attributes_release) struct attributes a = {.v = NULL};
    struct stat st;

    if (fstat(diff, &st) < 0)
        return error_errno(err, errno, "look at the diff");
    if (attributes_read(diff, &a, err) < 0)
        return -1;
    return a.opaque ? add_mark(w, &st, "", 0, OPAQUE, "", err) : 0;
}

static int add_all(struct writer *w, int diff, struct error *err)
{
    static const char end[2 * TAR_BLOCK];

    if (add_root(w, diff, err) < 0 || layer_walk_new(diff, &w->walk, err) < 0)
        return -1;
    for (;;) {
        struct layer_walk_entry at;
        bool is_end = false;

        if (layer_walk_next(w->walk, &at, &is_end, err) < 0)
            return -1;
        if (is_end)
            return layer_blob_add(w->blob, end, sizeof(end), err);
        if (add_entry(w, &at, err) < 0)
            return error_wrap(err, "%.500s", at.path);
    }
}

static int write_to(int fd, int diff, const struct layer_options *options, struct layer *ret,
                    struct error *err)
{
    struct writer w = {
        .options = options,
        .left = options->size_max ? options->size_max : LAYER_TAR_SIZE_MAX,
        .header = BUF_INIT(HEADER_MAX),
    };
    int result = layer_blob_new(fd, options->threads, &w.blob, err);

    if (result == 0)
        result = add_all(&w, diff, err);
    if (result == 0)
        result = layer_blob_end(w.blob, ret, err);
    if (result == 0)
        ret->entries = w.entries;
    layer_blob_free(w.blob);
    layer_walk_free(w.walk);
    tdestroy(w.inodes, free);
    buf_release(&w.header);
    return result;
}

static int seal(int fd, int blobs, const char *temporary, const struct layer *layer,
                struct error *err)
{
    const char *name = strchr(layer->digest, ':') + 1;

    if (faccessat(blobs, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        (void)unlinkat(blobs, temporary, 0);
        return 0;
    }
    if (fsync(fd) < 0)
        return error_errno(err, errno, "sync a layer's blob");
    if (renameat(blobs, temporary, blobs, name) < 0)
        return error_errno(err, errno, "rename a layer's blob to %s", name);
    return fs_sync_parent(blobs, name, err);
}

int layer_write(int diff, int blobs, const struct layer_options *options, struct layer *ret,
                struct error *err)
{
    char temporary[32] = ".layer-";
    struct layer layer = {.entries = 0};
    CLEANUP_CLOSE int fd = -1;
    int result;

    digest_random_name(temporary + strlen(temporary), 12);
    fd = openat(blobs, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, errno, "create a layer's blob");
    result = write_to(fd, diff, options, &layer, err);
    if (result == 0 && layer.entries > 0)
        result = seal(fd, blobs, temporary, &layer, err);
    if (result < 0 || layer.entries == 0)
        (void)unlinkat(blobs, temporary, 0);
    if (result < 0)
        return error_wrap(err, "write a layer");
    *ret = layer.entries > 0 ? layer : (struct layer){.entries = 0};
    return 0;
}
