/* templates/source_archive — a tar, read in any order.
 *
 * libarchive reads all headers, in every dialect; where a member's bytes are is then known, and
 * they are read from there.  A compressed tar is first unpacked into the spool, as one file. */
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/archive.h"
#include "base/fs.h"
#include "base/text.h"
#include "templates/acl.h"
#include "templates/source.h"

#define BLOCK     (256u << 10)
#define SCAN_STEP 4096u /* bytes read at a header: contents are not needed then */
#define ACL_MAX   (64u << 10)

struct tar {
    struct source source;
    int fd;
    uint64_t size;
    uint64_t at; /* of reading */
    size_t step; /* bytes that libarchive gets at a time */
    int read_errno;
    locale_t locale;
    struct archive *archive;
    unsigned char *block;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read the archive: out of memory");
}

/* ---- the file, as libarchive reads it ---- */

static la_ssize_t read_block(struct archive *a, void *self, const void **ret)
{
    struct tar *t = self;
    ssize_t n;

    do
        n = pread(t->fd, t->block, t->step, (off_t)t->at);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        t->read_errno = errno;
        archive_set_error(a, errno, "read the archive");
        return ARCHIVE_FATAL;
    }
    t->at += (uint64_t)n;
    *ret = t->block;
    return n;
}

static la_int64_t skip_block(struct archive *a, void *self, la_int64_t request)
{
    struct tar *t = self;
    uint64_t left = t->at < t->size ? t->size - t->at : 0;

    (void)a;
    if (request < 0 || (uint64_t)request > left)
        return 0; /* it reads on, and finds the end by itself */
    t->at += (uint64_t)request;
    return request;
}

static int refuse(const struct tar *t, struct error *err)
{
    const char *text = archive_error_string(t->archive);

    if (t->read_errno)
        return error_errno(err, t->read_errno, "read the archive");
    if (archive_errno(t->archive) == ENOMEM)
        return out_of_memory(err);
    text = text ? text : "it ends too early";
    return error_set(err, ERR_INPUT,
                     "the archive is damaged or was cut off: make it again and upload it whole "
                     "(%.*s)",
                     (int)strcspn(text, "\n"), text);
}

static int open_reader(struct tar *t, bool raw, struct error *err)
{
    struct archive *a = archive_read_new();

    t->archive = a;
    t->at = 0;
    t->step = raw ? BLOCK : SCAN_STEP;
    if (!a)
        return out_of_memory(err);
    if (raw ? archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
                  archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
                  archive_read_support_filter_xz(a) != ARCHIVE_OK ||
                  archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
                  archive_read_support_format_raw(a) != ARCHIVE_OK
            : archive_read_support_format_tar(a) != ARCHIVE_OK)
        return error_set(err, ERR_SYSTEM, "read the archive: %s", archive_error_string(a));
    if (archive_read_set_read_callback(a, read_block) != ARCHIVE_OK ||
        archive_read_set_skip_callback(a, skip_block) != ARCHIVE_OK ||
        archive_read_set_callback_data(a, t) != ARCHIVE_OK)
        return error_set(err, ERR_SYSTEM, "read the archive: %s", archive_error_string(a));
    if (archive_read_open1(a) != ARCHIVE_OK && !t->read_errno && !raw)
        return error_set(err, ERR_INPUT,
                         "not an archive that can be read: upload a ZIP or a tar (plain, gzip, "
                         "zstd, xz or bzip2)");
    return archive_errno(a) ? refuse(t, err) : 0;
}

/* ---- a compressed tar ---- */

static int unpack(struct tar *t, int spool, uint64_t limit, struct error *err)
{
    struct archive_entry *e = NULL;
    uint64_t total = 0;

    if (archive_read_next_header(t->archive, &e) != ARCHIVE_OK)
        return refuse(t, err);
    for (;;) {
        const void *data = NULL;
        size_t len = 0;
        uint64_t offset = 0;

        if (archive_next_block(t->archive, &data, &len, &offset) < 0)
            return refuse(t, err);
        if (!data)
            break;
        total += len;
        if (total > limit)
            return error_set(err, ERR_LIMIT, "the archive unpacks to more than %llu bytes",
                             (unsigned long long)limit);
        if (fs_write_all(spool, data, len, err) < 0)
            return error_wrap(err, "unpack the archive");
    }
    archive_read_free(TAKE(t->archive));
    t->fd = spool;
    t->size = total;
    return 0;
}

static bool is_compressed(const unsigned char *head)
{
    static const struct {
        unsigned len;
        unsigned char bytes[6];
    } magics[] = {{2, {0x1f, 0x8b}},
                  {4, {0x28, 0xb5, 0x2f, 0xfd}},
                  {6, {0xfd, '7', 'z', 'X', 'Z', 0}},
                  {3, {'B', 'Z', 'h'}}};

    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if (memcmp(head, magics[i].bytes, magics[i].len) == 0)
            return true;
    return false;
}

/* ---- members ---- */

static int add_extras(struct tree *t, uint32_t node, struct archive_entry *e, struct error *err)
{
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    la_int64_t offset, count;

    if (archive_entry_sparse_reset(e) > 0) {
        if (nodes_set_sparse(t, node, err) < 0)
            return -1;
        while (archive_entry_sparse_next(e, &offset, &count) == ARCHIVE_OK)
            if (offset < 0 || count < 0 ||
                nodes_add_segment(t, node, (uint64_t)offset, (uint64_t)count, err) < 0)
                return -1;
    }
    (void)archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK)
        if (nodes_add_xattr(t, node, name, value, len, err) < 0)
            return -1;
    return 0;
}

static int add_acl(struct tree *t, uint32_t node, struct archive_entry *e, int type,
                   const char *attribute, const char *name, struct error *err)
{
    CLEANUP(buf_release) struct buf value = BUF_INIT(ACL_MAX);

    if (acl_from_entry(e, type, name, &value, err) < 0)
        return -1;
    return value.len ? nodes_add_xattr(t, node, attribute, value.data, value.len, err) : 0;
}

/* A default ACL has a meaning on directories alone. */
static int add_acls(struct tree *t, uint32_t node, struct archive_entry *e, const char *name,
                    struct error *err)
{
    if (archive_entry_acl_types(e) == 0)
        return 0;
    if (add_acl(t, node, e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ACL_ACCESS, name, err) < 0)
        return -1;
    return t->nodes[node].type == NODE_DIRECTORY
               ? add_acl(t, node, e, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, ACL_DEFAULT, name, err)
               : 0;
}

/* False for what a template cannot hold. */
static bool type_of(struct archive_entry *e, enum node_type *ret)
{
    if (archive_entry_hardlink(e)) {
        *ret = NODE_HARDLINK;
        return true;
    }
    switch (archive_entry_filetype(e)) {
    case AE_IFREG:
        *ret = NODE_FILE;
        return true;
    case AE_IFDIR:
        *ret = NODE_DIRECTORY;
        return true;
    case AE_IFLNK:
        *ret = NODE_SYMLINK;
        return true;
    default:
        return false;
    }
}

static int hardlink_path(struct tar *s, const char *name, const char *target,
                         const struct template_limits *limits, char path[PATH_MAX],
                         struct error *err)
{
    bool wanted;

    if (source_path(&s->source, target, limits, path, &wanted, err) < 0)
        return error_wrap(err, "entry %s, a hard link", text_show(name).text);
    if (!wanted)
        return entry_refuse(err, ERR_INPUT, name,
                            "it is a hard link to %s, outside of the template; put a copy of the "
                            "file in its place",
                            text_show(target).text);
    return 0;
}

static int check_place(const struct tar *s, const struct tree *t, uint32_t node, const char *name,
                       struct error *err)
{
    const struct node *n = &t->nodes[node];
    const struct extra *x = &t->extras[n->extra];
    uint64_t stored = n->size;

    if (n->type != NODE_FILE)
        return 0;
    if (n->extra && x->sparse) {
        stored = 0;
        for (uint32_t i = 0; i < x->n_segments; i++)
            stored += t->segments[x->segments + i].len;
    }
    if (n->data > s->size || stored > s->size - n->data)
        return entry_refuse(err, ERR_INPUT, name,
                            "the archive ends within it: make it again and upload it whole");
    return 0;
}

static int add_member(struct tar *s, struct tree *t, struct archive_entry *e, struct error *err)
{
    char path[PATH_MAX], target[PATH_MAX];
    const char *name = archive_entry_pathname(e);
    struct tree_entry entry = {.name = name ? name : "", .path = path};
    uint32_t node;
    bool wanted;

    if (source_path(&s->source, entry.name, t->limits, path, &wanted, err) < 0)
        return -1;
    if (!wanted)
        return 0;
    if (!type_of(e, &entry.type))
        return entry_refuse(err, ERR_INPUT, entry.name,
                            "it is a device, FIFO or socket, which a template cannot hold; leave "
                            "it out");
    entry.mode = (uint16_t)acl_mode(e);
    entry.uid = (uint32_t)archive_entry_uid(e);
    entry.gid = (uint32_t)archive_entry_gid(e);
    entry.mtime = archive_entry_mtime(e);
    entry.nsec = (uint32_t)archive_entry_mtime_nsec(e) % 1000000000u;
    entry.size = archive_entry_size(e) > 0 ? (uint64_t)archive_entry_size(e) : 0;
    entry.data = (uint64_t)archive_filter_bytes(s->archive, 0);
    if (entry.type == NODE_SYMLINK)
        entry.target = archive_entry_symlink(e) ? archive_entry_symlink(e) : "";
    if (entry.type == NODE_HARDLINK) {
        entry.target = target;
        if (hardlink_path(s, entry.name, archive_entry_hardlink(e), t->limits, target, err) < 0)
            return -1;
    }
    if (nodes_add(t, &entry, &node, err) < 0)
        return -1;
    if (entry.type != NODE_HARDLINK &&
        (add_extras(t, node, e, err) < 0 || add_acls(t, node, e, entry.name, err) < 0))
        return -1;
    return check_place(s, t, node, entry.name, err);
}

static int scan_members(struct tar *s, struct tree *t, struct error *err)
{
    for (;;) {
        struct archive_entry *e = NULL;
        int result = archive_read_next_header(s->archive, &e);

        if (result == ARCHIVE_EOF)
            break;
        if (!archive_header_is_good(s->archive, result))
            return refuse(s, err);
        if (add_member(s, t, e, err) < 0)
            return -1;
        source_tick(&s->source);
    }
    /* Without its end marker a tar that was cut off between two members would look whole. */
    if (archive_filter_bytes(s->archive, 0) <= archive_read_header_position(s->archive))
        return error_set(err, ERR_INPUT,
                         "the archive was cut off: the two zero blocks that end a tar are not "
                         "there; upload it whole");
    return 0;
}

static int tar_scan(struct source *source, struct tree *t, struct error *err)
{
    struct tar *s = (struct tar *)source;

    ARCHIVE_IN_LOCALE(s->locale);
    return open_reader(s, false, err) < 0 ? -1 : scan_members(s, t, err);
}

static int tar_open(struct source *source, const struct tree *t, uint32_t node, struct error *err)
{
    (void)err;
    ((struct tar *)source)->at = t->nodes[node].data;
    return 0;
}

static int read_at(const struct tar *s, uint64_t at, void *data, size_t len, struct error *err)
{
    const ssize_t got = fs_pread(s->fd, data, len, at);

    if (got < 0)
        return error_errno(err, errno, "read the archive");
    if ((size_t)got < len)
        return error_set(err, ERR_INPUT, "the archive became shorter while it was read");
    return 0;
}

static int tar_read(struct source *source, uint64_t offset, void *data, size_t len,
                    struct error *err)
{
    struct tar *s = (struct tar *)source;

    (void)offset; /* segments lie one after the other */
    if (read_at(s, s->at, data, len, err) < 0)
        return -1;
    s->at += len;
    return 0;
}

static int tar_fetch(const struct source *source, void *hand, const struct tree *t, uint32_t node,
                     unsigned char *data, struct error *err)
{
    (void)hand;
    return read_at((const struct tar *)source, t->nodes[node].data, data,
                   (size_t)t->nodes[node].size, err);
}

static void tar_release(struct source *source)
{
    struct tar *s = (struct tar *)source;

    if (s->archive)
        archive_read_free(s->archive);
    if (s->locale)
        freelocale(s->locale);
    free(s->block);
    free(s);
}

static const struct source_kind tar_kind = {.scan = tar_scan,
                                            .open = tar_open,
                                            .read = tar_read,
                                            .release = tar_release,
                                            .fetch = tar_fetch};

/* ---- opening ---- */

static int look(struct tar *s, unsigned char head[512], struct error *err)
{
    struct stat st;

    if (fstat(s->fd, &st) < 0)
        return error_errno(err, errno, "read the archive");
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_INPUT, "the archive is not a file");
    if (st.st_size == 0)
        return error_set(err, ERR_INPUT, "the archive is empty: upload it again");
    s->size = (uint64_t)st.st_size;
    memset(head, 0, 512);
    return pread(s->fd, head, 512, 0) < 0 ? error_errno(err, errno, "read the archive") : 0;
}

static int set_up(struct tar *s, int spool, const unsigned char *head, struct error *err)
{
    s->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    s->block = malloc(BLOCK);
    if (!s->locale || !s->block)
        return out_of_memory(err);
    if (!is_compressed(head))
        return 0;
    if (open_reader(s, true, err) < 0)
        return -1;
    return unpack(s, spool, template_limits_default.bytes_max, err);
}

int source_open_archive(int fd, int spool, struct source **ret, struct error *err)
{
    struct tar *s = calloc(1, sizeof(*s));
    unsigned char head[512];

    if (!s)
        return out_of_memory(err);
    s->source.kind = &tar_kind;
    s->source.sub = "";
    s->fd = fd;
    if (look(s, head, err) < 0) {
        tar_release(&s->source);
        return -1;
    }
    if (memcmp(head, "PK", 2) == 0) {
        uint64_t size = s->size;

        tar_release(&s->source);
        return source_open_zip(fd, size, ret, err);
    }
    if (set_up(s, spool, head, err) < 0) {
        tar_release(&s->source);
        return -1;
    }
    s->source.plain_fd = s->fd;
    *ret = &s->source;
    return 0;
}
