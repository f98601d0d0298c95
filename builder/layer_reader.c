/* builder/layer_reader — see the header.  In this folder, the one user of libarchive.
 *
 * Two of libarchive's readers in a row: one takes the compression off and knows nothing of tar, and
 * the other reads the tar from it.  So the bytes can be hashed on both sides of the compression.
 */
#include "builder/layer_reader.h"

#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/archive.h"
#include "base/clock.h"

#define BLOCK_SIZE (256u << 10)

#define ATTRIBUTES_MAX 1000

struct layer_reader {
    int fd;
    struct archive *packed; /* the blob, as one member of raw bytes */
    struct archive *tar;
    locale_t locale;
    struct sha256 *blob_hash, *tar_hash;
    uint64_t size, tar_size, tar_max;
    int read_errno; /* of the last read that failed */
    bool too_large;
    bool unpacked; /* packed has no more bytes */
    unsigned char *block;
    struct tar_attribute *attributes; /* of the current member; what they point to is the tar's */
};

/* ---- bytes ---- */

static la_ssize_t read_blob(struct archive *a, void *self, const void **ret_block)
{
    struct layer_reader *r = self;
    ssize_t n;

    do
        n = read(r->fd, r->block, BLOCK_SIZE);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        r->read_errno = errno;
        archive_set_error(a, errno, "read the blob");
        return ARCHIVE_FATAL;
    }
    sha256_add(r->blob_hash, r->block, (size_t)n);
    r->size += (uint64_t)n;
    *ret_block = r->block;
    return n;
}

static la_ssize_t read_tar(struct archive *a, void *self, const void **ret_block)
{
    struct layer_reader *r = self;
    la_int64_t offset = 0;
    size_t len = 0;
    int result;

    *ret_block = NULL;
    if (r->unpacked)
        return 0;
    result = archive_read_data_block(r->packed, ret_block, &len, &offset);
    if (result == ARCHIVE_EOF) {
        r->unpacked = true;
        return 0;
    }
    if (result != ARCHIVE_OK) {
        archive_set_error(a, EINVAL, "%s", archive_error_string(r->packed));
        return ARCHIVE_FATAL;
    }
    if (len > r->tar_max - r->tar_size) {
        r->too_large = true;
        archive_set_error(a, EFBIG, "it is too large");
        return ARCHIVE_FATAL;
    }
    sha256_add(r->tar_hash, *ret_block, len);
    r->tar_size += len;
    return (la_ssize_t)len;
}

/* ---- errors ---- */

static int refuse(const struct layer_reader *r, struct archive *a, struct error *err)
{
    const char *text = archive_error_string(a);

    if (r->read_errno)
        return error_errno(err, r->read_errno, "read the layer's blob");
    if (r->too_large)
        return error_set(err, ERR_LIMIT, "the layer has more than %" PRIu64 " bytes", r->tar_max);
    if (archive_errno(a) == ENOMEM)
        return error_set(err, ERR_SYSTEM, "read the layer's blob: out of memory");
    text = text ? text : "it ends too early";
    return error_set(err, ERR_INPUT, "the layer is damaged (%.*s)", (int)strcspn(text, "\n"), text);
}

/* ---- beginning and end ---- */

static int open_packed(struct layer_reader *r, struct error *err)
{
    struct archive_entry *e = NULL;
    int result;

    /* Filters answer WARN when they would need another program; these two are built in. */
    if (archive_read_support_filter_gzip(r->packed) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(r->packed) != ARCHIVE_OK ||
        archive_read_support_format_raw(r->packed) != ARCHIVE_OK)
        return error_set(err, ERR_SYSTEM, "read a layer: %s", archive_error_string(r->packed));
    if (archive_read_open(r->packed, r, NULL, read_blob, NULL) != ARCHIVE_OK)
        return refuse(r, r->packed, err);
    result = archive_read_next_header(r->packed, &e);
    if (result == ARCHIVE_EOF)
        r->unpacked = true;
    else if (result != ARCHIVE_OK)
        return refuse(r, r->packed, err);
    return 0;
}

static int open_both(struct layer_reader *r, struct error *err)
{
    r->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    r->packed = archive_read_new();
    r->tar = archive_read_new();
    r->block = malloc(BLOCK_SIZE);
    r->attributes = calloc(ATTRIBUTES_MAX, sizeof(*r->attributes));
    if (!r->locale || !r->packed || !r->tar || !r->block || !r->attributes)
        return error_set(err, ERR_SYSTEM, "read a layer: out of memory");
    if (sha256_new(&r->blob_hash, err) < 0 || sha256_new(&r->tar_hash, err) < 0)
        return -1;
    ARCHIVE_IN_LOCALE(r->locale);
    if (open_packed(r, err) < 0)
        return -1;
    if (archive_read_support_format_tar(r->tar) != ARCHIVE_OK)
        return error_set(err, ERR_SYSTEM, "read a layer: %s", archive_error_string(r->tar));
    if (archive_read_open(r->tar, r, NULL, read_tar, NULL) != ARCHIVE_OK)
        return refuse(r, r->tar, err);
    return 0;
}

int layer_reader_open(int fd, uint64_t tar_max, struct layer_reader **ret, struct error *err)
{
    CLEANUP(layer_reader_freep) struct layer_reader *r = calloc(1, sizeof(*r));

    if (!r)
        return error_set(err, ERR_SYSTEM, "read a layer: out of memory");
    r->fd = fd;
    r->tar_max = tar_max;
    if (open_both(r, err) < 0)
        return -1;
    *ret = TAKE(r);
    return 0;
}

void layer_reader_free(struct layer_reader *r)
{
    if (!r)
        return;
    if (r->tar)
        archive_read_free(r->tar);
    if (r->packed)
        archive_read_free(r->packed);
    if (r->locale)
        freelocale(r->locale);
    sha256_free(r->blob_hash);
    sha256_free(r->tar_hash);
    free(r->attributes);
    free(r->block);
    free(r);
}

static void name_digest(struct sha256 *hash, char ret[LAYER_DIGEST])
{
    unsigned char raw[SHA256_SIZE];

    sha256_end(hash, raw);
    memcpy(ret, "sha256:", 8);
    digest_hex(raw, sizeof(raw), ret + 7);
}

int layer_reader_end(struct layer_reader *r, struct layer *ret, struct error *err)
{
    const void *block = NULL;
    la_ssize_t n;

    ARCHIVE_IN_LOCALE(r->locale);
    do
        n = read_tar(r->tar, r, &block);
    while (n > 0);
    if (n < 0)
        return refuse(r, r->tar, err);
    do
        n = read_blob(r->packed, r, &block);
    while (n > 0);
    if (n < 0)
        return refuse(r, r->packed, err);
    *ret = (struct layer){.size = r->size, .tar_size = r->tar_size};
    name_digest(r->blob_hash, ret->digest);
    name_digest(r->tar_hash, ret->diff_id);
    return 0;
}

/* ---- members ---- */

static enum tar_type type_of(struct archive_entry *e, bool *ret_known)
{
    *ret_known = true;
    if (archive_entry_hardlink(e))
        return TAR_HARDLINK;
    switch (archive_entry_filetype(e)) {
    case AE_IFREG:
        return TAR_FILE;
    case AE_IFDIR:
        return TAR_DIRECTORY;
    case AE_IFLNK:
        return TAR_SYMLINK;
    case AE_IFCHR:
        return TAR_CHARACTER;
    case AE_IFBLK:
        return TAR_DEVICE;
    case AE_IFIFO:
        return TAR_FIFO;
    default:
        *ret_known = false;
        return TAR_FILE;
    }
}

static size_t read_attributes(struct layer_reader *r, struct archive_entry *e)
{
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    size_t n = 0;

    (void)archive_entry_xattr_reset(e);
    while (n < ATTRIBUTES_MAX && archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK)
        if (name)
            r->attributes[n++] =
                (struct tar_attribute){.name = (char *)name, .value = (char *)value, .len = len};
    return n;
}

static struct layer_member read_member(struct layer_reader *r, struct archive_entry *e)
{
    struct layer_member m = {
        .name = archive_entry_pathname(e),
        .mode = archive_entry_perm(e) & 07777u,
        .uid = archive_entry_uid(e),
        .gid = archive_entry_gid(e),
        .device = archive_entry_rdev(e),
        .mtime = {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)},
        .attributes = r->attributes,
        .n_attributes = read_attributes(r, e),
    };

    if (m.mtime.tv_nsec < 0 || m.mtime.tv_nsec >= NS_PER_SEC)
        m.mtime.tv_nsec = 0;
    m.type = type_of(e, &m.is_known);
    m.target = m.type == TAR_HARDLINK ? archive_entry_hardlink(e) : archive_entry_symlink(e);
    m.name = m.name ? m.name : "";
    m.target = m.target ? m.target : "";
    return m;
}

int layer_reader_next(struct layer_reader *r, struct layer_member *ret, bool *ret_end,
                      struct error *err)
{
    struct archive_entry *e = NULL;
    int result;

    ARCHIVE_IN_LOCALE(r->locale);
    result = archive_read_next_header(r->tar, &e);
    *ret_end = result == ARCHIVE_EOF;
    if (*ret_end)
        return 0;
    if (!archive_header_is_good(r->tar, result))
        return refuse(r, r->tar, err);
    *ret = read_member(r, e);
    return 0;
}

int layer_reader_data(struct layer_reader *r, const void **ret_data, size_t *ret_len,
                      uint64_t *ret_offset, struct error *err)
{
    ARCHIVE_IN_LOCALE(r->locale);
    return archive_next_block(r->tar, ret_data, ret_len, ret_offset) < 0 ? refuse(r, r->tar, err)
                                                                         : 0;
}
