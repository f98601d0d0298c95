/* templates/disk_tar — the files of a volume become a tar.
 *
 * libext2fs reads the file system through the disk, so nothing is mounted.  What a guest wrote is
 * hostile: a directory is entered once, names are what names may be, depth and number have limits.
 */
#include "templates/disk_tar.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "templates/ext2_channel.h"

#define DEPTH_MAX   1024
#define PATH_BYTES  (64u << 10)
#define ENTRIES_MAX (1u << 25) /* of one directory */

int tar_failed(struct tar_writer *w, long code, const char *what, struct error *err)
{
    if (w->why.kind != ERR_NONE) {
        *err = w->why;
        return error_wrap(err, "%s", what);
    }
    return error_set(err, ERR_INPUT,
                     "%s: %s; is it an ext4 file system, and does e2fsck find it "
                     "whole?",
                     what, ext2_text(code));
}

int tar_check(struct tar_writer *w, la_ssize_t result, const char *what, struct error *err)
{
    if (w->lost.kind != ERR_NONE) {
        *err = w->lost;
        return error_wrap(err, "%s", what);
    }
    return result < ARCHIVE_WARN
               ? error_set(err, ERR_SYSTEM, "%s: %s", what, archive_error_string(w->archive))
               : 0;
}

/* ---- where libext2fs reads ---- */

static struct tar_writer *writer_of(io_channel channel)
{
    return channel->private_data;
}

static const struct struct_io_manager manager;

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
    (void)flags;
    return ext2_channel_open(name, &manager, ret);
}

static errcode_t io_read64(io_channel channel, unsigned long long block, int count, void *data)
{
    struct tar_writer *w = writer_of(channel);
    size_t len = ext2_channel_length(channel, count);
    uint64_t at = 0;

    if (w->why.kind != ERR_NONE)
        return EIO;
    if (__builtin_mul_overflow((uint64_t)block, (uint64_t)channel->block_size, &at) ||
        at > w->disk->info.size || len > w->disk->info.size - at)
        return EXT2_ET_SHORT_READ;
    return template_disk_read(w->disk, at, data, len, &w->why) < 0 ? EIO : 0;
}

static const struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "kiln-volume",
    .open = io_open,
    .close = ext2_channel_close,
    .set_blksize = ext2_channel_set_blksize,
    .read_blk = ext2_channel_read,
    .read_blk64 = io_read64,
    .flush = ext2_channel_flush,
};

/* ---- directories ---- */

struct listing {
    struct name {
        char *text;
        ext2_ino_t inode;
    } * v;
    size_t n, cap;
    bool failed, bad;
};

static void listing_release(struct listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].text);
    free(l->v);
}

static void add_name(struct listing *l, const char *text, size_t len, ext2_ino_t inode)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct name *v = cap <= ENTRIES_MAX ? reallocarray(l->v, cap, sizeof(*v)) : NULL;

        l->failed = v == NULL;
        if (!v)
            return;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n] = (struct name){strndup(text, len), inode};
    l->failed = l->v[l->n].text == NULL;
    l->n += !l->failed;
}

static int each_name(ext2_ino_t dir, int entry, struct ext2_dir_entry *e, int offset, int size,
                     char *buffer, void *self)
{
    struct listing *l = self;
    const size_t len = (size_t)ext2fs_dirent_name_len(e);

    (void)dir, (void)entry, (void)offset, (void)size, (void)buffer;
    if ((len == 1 && e->name[0] == '.') || (len == 2 && memcmp(e->name, "..", 2) == 0))
        return 0;
    l->bad = len == 0 || memchr(e->name, '/', len) || memchr(e->name, '\0', len);
    if (!l->bad)
        add_name(l, e->name, len, e->inode);
    return l->bad || l->failed ? DIRENT_ABORT : 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static int list(struct tar_writer *w, ext2_ino_t dir, struct listing *ret, struct error *err)
{
    errcode_t code = ext2fs_dir_iterate2(w->fs, dir, 0, NULL, each_name, ret);

    if (code)
        return tar_failed(w, code, "read a directory of the volume", err);
    if (ret->bad)
        return error_set(err, ERR_INPUT, "the directory \"%s\" has a name that none may have",
                         buf_str(&w->path));
    if (ret->failed)
        return error_set(err, ERR_SYSTEM, "export the volume: out of memory, or too many entries");
    if (ret->n)
        qsort(ret->v, ret->n, sizeof(*ret->v), compare_names);
    return 0;
}

static int walk(struct tar_writer *w, ext2_ino_t dir, unsigned depth, struct error *err);

/* *ret_directory: it is one, to be entered. */
static int write_inode(struct tar_writer *w, ext2_ino_t number, bool *ret_directory,
                       struct error *err)
{
    struct ext2_inode_large inode;
    errcode_t code =
        number < 1 || number > w->fs->super->s_inodes_count
            ? EXT2_ET_BAD_INODE_NUM
            : ext2fs_read_inode_full(w->fs, number, (struct ext2_inode *)&inode, sizeof(inode));

    if (code)
        return tar_failed(w, code, "read an inode of the volume", err);
    if (buf_check(&w->path, "a path of the volume", err) < 0)
        return -1;
    *ret_directory = LINUX_S_ISDIR(inode.i_mode);
    return LINUX_S_ISSOCK(inode.i_mode) ? 0 : tar_write_inode(w, number, &inode, err);
}

static int write_entry(struct tar_writer *w, ext2_ino_t number, unsigned depth, struct error *err)
{
    bool directory = false;

    if (write_inode(w, number, &directory, err) < 0)
        return -1;
    return directory ? walk(w, number, depth + 1, err) : 0;
}

/* What mke2fs made, and not the archive. */
static bool is_lost_and_found(struct tar_writer *w, const struct name *n, unsigned depth)
{
    struct listing l = {.n = 0};
    struct error ignored = ERROR_INIT;
    bool empty;

    if (depth > 0 || strcmp(n->text, "lost+found") != 0)
        return false;
    empty = list(w, n->inode, &l, &ignored) == 0 && l.n == 0;
    listing_release(&l);
    return empty;
}

static int walk(struct tar_writer *w, ext2_ino_t dir, unsigned depth, struct error *err)
{
    CLEANUP(listing_release) struct listing l = {.n = 0};
    const size_t len = w->path.len;
    int result;

    if (depth > DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "the volume's directories are deeper than %d", DEPTH_MAX);
    if (ext2fs_test_inode_bitmap2(w->entered, dir))
        return error_set(err, ERR_INPUT, "the directory \"%s\" is in the volume twice; run e2fsck",
                         buf_str(&w->path));
    ext2fs_mark_inode_bitmap2(w->entered, dir);
    result = list(w, dir, &l, err);
    for (size_t i = 0; i < l.n && result == 0; i++) {
        if (is_lost_and_found(w, &l.v[i], depth))
            continue;
        buf_addf(&w->path, "%s%s", len ? "/" : "", l.v[i].text);
        result = write_entry(w, l.v[i].inode, depth, err);
        if (w->path.data) { /* back to the directory's own */
            w->path.len = len;
            w->path.data[len] = '\0';
        }
    }
    return result;
}

/* ---- the whole ---- */

static int open_filesystem(struct tar_writer *w, struct error *err)
{
    char name[EXT2_CHANNEL_NAME];
    errcode_t code;

    ext2_channel_name(w, name);
    code = ext2fs_open(name, EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES, 0, 0,
                       (io_manager)(uintptr_t)&manager, &w->fs);
    if (code)
        return tar_failed(w, code, "open the volume's file system", err);
    if (ext2fs_has_feature_journal_needs_recovery(w->fs->super))
        return error_set(err, ERR_INPUT,
                         "the volume's file system was not unmounted, and its journal is not in "
                         "its place: serve it, run e2fsck -fy on the device, and export again");
    code = ext2fs_allocate_inode_bitmap(w->fs, "entered", &w->entered);
    return code ? tar_failed(w, code, "open the volume's file system", err) : 0;
}

/* After a failure libarchive would leak what it has; so it is told of none, and tar_check knows. */
static la_ssize_t put_block(struct archive *a, void *self, const void *data, size_t len)
{
    struct tar_writer *w = self;

    (void)a;
    if (w->lost.kind == ERR_NONE)
        (void)!fs_write_all(w->fd, data, len, &w->lost);
    return (la_ssize_t)len;
}

static int open_archive(struct tar_writer *w, struct error *err)
{
    w->archive = archive_write_new();
    if (!w->archive || archive_write_set_format_pax(w->archive) != ARCHIVE_OK ||
        archive_write_open(w->archive, w, NULL, put_block, NULL) != ARCHIVE_OK)
        return error_set(err, ERR_SYSTEM, "begin the tar: %s",
                         w->archive ? archive_error_string(w->archive) : "out of memory");
    w->piece = malloc(TAR_PIECE);
    w->zeros = mmap(NULL, TAR_ZEROS, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return w->piece && w->zeros != MAP_FAILED
               ? 0
               : error_set(err, ERR_SYSTEM, "begin the tar: out of memory");
}

static int write_root(struct tar_writer *w, struct error *err)
{
    bool directory;
    int result;

    buf_addc(&w->path, '.');
    result = write_inode(w, EXT2_ROOT_INO, &directory, err);
    buf_clear(&w->path);
    return result < 0 ? -1 : walk(w, EXT2_ROOT_INO, 0, err);
}

static int write_tar(struct tar_writer *w, struct error *err)
{
    if (open_filesystem(w, err) < 0 || open_archive(w, err) < 0 || write_root(w, err) < 0)
        return -1;
    return tar_check(w, archive_write_close(w->archive), "end the tar", err);
}

static void release(struct tar_writer *w)
{
    w->lost.kind = ERR_SYSTEM; /* nothing more is written */
    if (w->archive)
        archive_write_free(w->archive);
    if (w->entered)
        ext2fs_free_inode_bitmap(w->entered);
    if (w->fs)
        ext2fs_free(w->fs);
    for (size_t i = 0; i < w->cap_links; i++)
        free(w->links[i].path);
    free(w->links);
    free(w->piece);
    if (w->zeros != MAP_FAILED)
        (void)munmap(w->zeros, TAR_ZEROS);
    buf_release(&w->path);
}

int template_disk_export_tar(struct template_disk *d, int fd,
                             const struct template_progress *progress, struct error *err)
{
    struct tar_writer w = {.disk = d,
                           .fd = fd,
                           .zeros = MAP_FAILED,
                           .progress = progress,
                           .path = BUF_INIT(PATH_BYTES)};
    int result = write_tar(&w, err);

    release(&w);
    return result;
}
