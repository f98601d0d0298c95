/* templates/disk_tar_inode — one file, directory, link or device becomes an entry of the tar. */
#include <string.h>
#include <sys/sysmacros.h>

#include "templates/acl.h"
#include "templates/disk_tar.h"

#define TARGET_MAX 4096                /* bytes of a symlink's target */
#define FILE_MAX   (UINT64_C(1) << 44) /* bytes: 2^32 blocks of 4096 */

static int check_archive(struct tar_writer *w, la_ssize_t result, struct error *err)
{
    char what[300];

    (void)snprintf(what, sizeof(what), "write \"%s\" to the tar", buf_str(&w->path));
    return tar_check(w, result, what, err);
}

/* ---- second names ---- */

static size_t slot_of(const struct tar_writer *w, ext2_ino_t inode)
{
    size_t i = (size_t)(inode * UINT32_C(0x9e3779b1)) & (w->cap_links - 1);

    while (w->links[i].path && w->links[i].inode != inode)
        i = (i + 1) & (w->cap_links - 1);
    return i;
}

static bool grow_links(struct tar_writer *w)
{
    struct tar_writer bigger = {.cap_links = w->cap_links ? w->cap_links * 2 : 256};

    if (w->n_links < w->cap_links / 2)
        return true;
    bigger.links = calloc(bigger.cap_links, sizeof(*bigger.links));
    if (!bigger.links)
        return false;
    for (size_t i = 0; i < w->cap_links; i++)
        if (w->links[i].path)
            bigger.links[slot_of(&bigger, w->links[i].inode)] = w->links[i];
    free(w->links);
    w->links = bigger.links;
    w->cap_links = bigger.cap_links;
    return true;
}

/* *ret_first: the name that was there before, or NULL. */
static int remember(struct tar_writer *w, ext2_ino_t inode, const char **ret_first,
                    struct error *err)
{
    struct tar_link *link;

    if (!grow_links(w))
        return error_set(err, ERR_SYSTEM, "export the volume: out of memory");
    link = &w->links[slot_of(w, inode)];
    *ret_first = link->path;
    if (link->path)
        return 0;
    *link = (struct tar_link){inode, strdup(buf_str(&w->path))};
    w->n_links += link->path != NULL;
    return link->path ? 0 : error_set(err, ERR_SYSTEM, "export the volume: out of memory");
}

/* ---- what an inode says ---- */

/* The extra field has 30 bits of nanoseconds above two that lengthen the seconds. */
static void set_time(struct archive_entry *e, const struct ext2_inode_large *i)
{
    bool extra = i->i_extra_isize >= 8 + sizeof(i->i_mtime_extra);
    int64_t seconds = (int32_t)i->i_mtime;

    if (extra)
        seconds += (int64_t)(i->i_mtime_extra & 3) << 32;
    archive_entry_set_mtime(e, seconds, extra ? (long)(i->i_mtime_extra >> 2) : 0);
}

static void set_device(struct archive_entry *e, const struct ext2_inode_large *i)
{
    const uint32_t old = i->i_block[0], new = i->i_block[1];

    if (!LINUX_S_ISCHR(i->i_mode) && !LINUX_S_ISBLK(i->i_mode))
        return;
    if (old)
        archive_entry_set_rdev(e, makedev((old >> 8) & 0xff, old & 0xff));
    else
        archive_entry_set_rdev(e,
                               makedev((new >> 8) & 0xfff, (new & 0xff) | ((new >> 12) & 0xfff00)));
}

static int add_attribute(char *name, char *value, size_t len, void *self)
{
    /* Not content that lies in the inode, nor what set_acl gives. */
    if (strcmp(name, "system.data") != 0 && strcmp(name, ACL_ACCESS) != 0 &&
        strcmp(name, ACL_DEFAULT) != 0)
        archive_entry_xattr_add_entry(self, name, value, len);
    return 0;
}

static int set_acl(struct tar_writer *w, struct ext2_xattr_handle *handle, int type,
                   const char *attribute, struct archive_entry *e, struct error *err)
{
    void *value = NULL;
    size_t len = 0;
    errcode_t code = ext2fs_xattr_get(handle, attribute, &value, &len);
    bool good = code || acl_to_entry(e, type, value, len);

    if (value)
        ext2fs_free_mem(&value);
    if (code && code != EXT2_ET_EA_KEY_NOT_FOUND)
        return tar_failed(w, code, "read the ACL of a file of the volume", err);
    return good ? 0
                : error_set(err, ERR_INPUT, "the ACL of \"%s\" is none; run e2fsck",
                            buf_str(&w->path));
}

static int set_attributes(struct tar_writer *w, ext2_ino_t number, struct archive_entry *e,
                          struct error *err)
{
    struct ext2_xattr_handle *handle = NULL;
    errcode_t code = ext2fs_xattrs_open(w->fs, number, &handle);
    int result = 0;

    if (!code)
        code = ext2fs_xattrs_read(handle);
    if (!code)
        code = ext2fs_xattrs_iterate(handle, add_attribute, e);
    if (code)
        result = tar_failed(w, code, "read attributes of a file of the volume", err);
    else if (set_acl(w, handle, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ACL_ACCESS, e, err) < 0 ||
             set_acl(w, handle, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, ACL_DEFAULT, e, err) < 0)
        result = -1;
    if (handle)
        (void)ext2fs_xattrs_close(&handle);
    return result;
}

/* Up to len bytes from where the file stands. */
static int read_content(struct tar_writer *w, ext2_file_t file, void *data, size_t len,
                        struct error *err)
{
    size_t got = 0;

    while (got < len) {
        unsigned n = 0;
        errcode_t code = ext2fs_file_read(file, (char *)data + got, (unsigned)(len - got), &n);

        if (code || n == 0)
            return tar_failed(w, code ? code : EXT2_ET_SHORT_READ, buf_str(&w->path), err);
        got += n;
    }
    return 0;
}

static int read_target(struct tar_writer *w, ext2_ino_t number, struct ext2_inode_large *inode,
                       struct archive_entry *e, struct error *err)
{
    const uint64_t len = EXT2_I_SIZE(inode);
    char target[TARGET_MAX + 1] = "";
    ext2_file_t file = NULL;
    errcode_t code;
    int result = 0;

    if (len > TARGET_MAX)
        return error_set(err, ERR_INPUT, "the link \"%s\" is too long", buf_str(&w->path));
    if (ext2fs_is_fast_symlink((struct ext2_inode *)inode) && len < sizeof(inode->i_block)) {
        memcpy(target, inode->i_block, (size_t)len);
    } else {
        code = ext2fs_file_open2(w->fs, number, (struct ext2_inode *)inode, 0, &file);
        if (code)
            return tar_failed(w, code, buf_str(&w->path), err);
        result = read_content(w, file, target, (size_t)len, err);
        (void)ext2fs_file_close(file);
    }
    archive_entry_set_symlink(e, target);
    return result;
}

/* ---- content ---- */

struct runs {
    uint64_t block_size, size; /* bytes */
    struct {
        uint64_t from, to; /* bytes */
    } * v;
    size_t n, cap;
    bool failed;
};

static int each_block(ext2_filsys fs, blk64_t *number, e2_blkcnt_t index, blk64_t ref, int offset,
                      void *self)
{
    struct runs *r = self;
    uint64_t from = (uint64_t)index * r->block_size;
    uint64_t to = from + r->block_size < r->size ? from + r->block_size : r->size;

    (void)fs, (void)number, (void)ref, (void)offset;
    if (index < 0 || from >= r->size)
        return 0;
    if (r->n && r->v[r->n - 1].to == from) {
        r->v[r->n - 1].to = to;
        return 0;
    }
    if (r->n == r->cap) {
        void *v = reallocarray(r->v, r->cap ? r->cap * 2 : 16, sizeof(*r->v));

        r->failed = v == NULL || (r->n && r->v[r->n - 1].to > from);
        if (v) {
            r->v = v;
            r->cap = r->cap ? r->cap * 2 : 16;
        }
        if (r->failed)
            return BLOCK_ABORT;
    }
    r->v[r->n].from = from;
    r->v[r->n++].to = to;
    return 0;
}

/* Which bytes of the file are not holes. */
static int find_runs(struct tar_writer *w, ext2_ino_t number, struct ext2_inode_large *inode,
                     struct runs *r, struct error *err)
{
    errcode_t code = 0;

    r->block_size = w->fs->blocksize;
    r->size = EXT2_I_SIZE(inode);
    if (r->size > FILE_MAX)
        return error_set(err, ERR_INPUT, "the file \"%s\" is longer than ext4 allows; run e2fsck",
                         buf_str(&w->path));
    if (inode->i_flags & EXT4_INLINE_DATA_FL) {
        r->v = calloc(1, sizeof(*r->v));
        r->failed = r->v == NULL;
        r->n = r->v ? 1 : 0;
        if (r->v)
            r->v[0].to = r->size;
    } else if (r->size) {
        code = ext2fs_block_iterate3(w->fs, number, BLOCK_FLAG_DATA_ONLY | BLOCK_FLAG_READ_ONLY,
                                     NULL, each_block, r);
    }
    if (code)
        return tar_failed(w, code, buf_str(&w->path), err);
    return r->failed ? error_set(err, ERR_SYSTEM, "export the volume: out of memory") : 0;
}

static bool has_holes(const struct runs *r)
{
    return r->size > 0 && (r->n != 1 || r->v[0].from != 0 || r->v[0].to != r->size);
}

static void set_holes(struct archive_entry *e, const struct runs *r)
{
    if (!has_holes(r))
        return;
    for (size_t i = 0; i < r->n; i++)
        archive_entry_sparse_add_entry(e, (la_int64_t)r->v[i].from,
                                       (la_int64_t)(r->v[i].to - r->v[i].from));
    if (r->n == 0)
        archive_entry_sparse_add_entry(e, (la_int64_t)r->size, 0);
}

/* From the file, or zeros where that is NULL: libarchive is told of holes, and wants their bytes.
 */
static int write_bytes(struct tar_writer *w, ext2_file_t file, uint64_t len, struct error *err)
{
    while (len > 0) {
        const size_t most = file ? TAR_PIECE : TAR_ZEROS;
        size_t n = len < most ? (size_t)len : most;

        if (file && read_content(w, file, w->piece, n, err) < 0)
            return -1;
        if (check_archive(w, archive_write_data(w->archive, file ? w->piece : w->zeros, n), err) <
            0)
            return -1;
        len -= n;
        w->done += file ? n : 0;
        if (w->progress)
            w->progress->report(w->progress->self, TEMPLATE_WRITING, w->done,
                                w->disk->info.image_size);
    }
    return 0;
}

static int write_runs(struct tar_writer *w, ext2_file_t file, const struct runs *r,
                      struct error *err)
{
    uint64_t at = 0;

    for (size_t i = 0; i < r->n; at = r->v[i++].to) {
        errcode_t code = ext2fs_file_llseek(file, r->v[i].from, EXT2_SEEK_SET, NULL);

        if (code)
            return tar_failed(w, code, buf_str(&w->path), err);
        if (write_bytes(w, NULL, r->v[i].from - at, err) < 0 ||
            write_bytes(w, file, r->v[i].to - r->v[i].from, err) < 0)
            return -1;
    }
    return write_bytes(w, NULL, r->size - at, err);
}

static int write_content(struct tar_writer *w, ext2_ino_t number, struct ext2_inode_large *inode,
                         const struct runs *r, struct error *err)
{
    ext2_file_t file = NULL;
    errcode_t code = ext2fs_file_open2(w->fs, number, (struct ext2_inode *)inode, 0, &file);
    int result;

    if (code)
        return tar_failed(w, code, buf_str(&w->path), err);
    result = write_runs(w, file, r, err);
    (void)ext2fs_file_close(file);
    return result;
}

/* ---- the entry ---- */

static int describe(struct tar_writer *w, ext2_ino_t number, struct ext2_inode_large *inode,
                    struct archive_entry *e, struct error *err)
{
    archive_entry_set_pathname(e, buf_str(&w->path));
    archive_entry_set_mode(e, inode->i_mode);
    archive_entry_set_uid(e, (la_int64_t)inode_uid(*inode));
    archive_entry_set_gid(e, (la_int64_t)inode_gid(*inode));
    archive_entry_set_size(e, 0);
    set_time(e, inode);
    set_device(e, inode);
    if (LINUX_S_ISLNK(inode->i_mode) && read_target(w, number, inode, e, err) < 0)
        return -1;
    return set_attributes(w, number, e, err);
}

static int write_described(struct tar_writer *w, ext2_ino_t number, struct ext2_inode_large *inode,
                           struct archive_entry *e, struct error *err)
{
    const char *first = NULL;
    struct runs runs = {.n = 0};
    int result;

    if (!LINUX_S_ISDIR(inode->i_mode) && inode->i_links_count > 1 &&
        remember(w, number, &first, err) < 0)
        return -1;
    if (first) {
        archive_entry_set_hardlink(e, first);
        return check_archive(w, archive_write_header(w->archive, e), err);
    }
    if (!LINUX_S_ISREG(inode->i_mode))
        return check_archive(w, archive_write_header(w->archive, e), err);
    result = find_runs(w, number, inode, &runs, err);
    if (result == 0) {
        archive_entry_set_size(e, (la_int64_t)runs.size);
        set_holes(e, &runs);
        result = check_archive(w, archive_write_header(w->archive, e), err);
    }
    if (result == 0 && runs.size > 0)
        result = write_content(w, number, inode, &runs, err);
    free(runs.v);
    return result;
}

int tar_write_inode(struct tar_writer *w, ext2_ino_t number, struct ext2_inode_large *inode,
                    struct error *err)
{
    struct archive_entry *e = archive_entry_new();
    int result;

    if (!e)
        return error_set(err, ERR_SYSTEM, "export the volume: out of memory");
    result = describe(w, number, inode, e, err);
    if (result == 0)
        result = write_described(w, number, inode, e, err);
    archive_entry_free(e);
    return result;
}
