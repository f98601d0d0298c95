/* uploads/member_reader — see the header.  This file and pack.c are the ones that know libarchive.
 *
 * libarchive converts names to the locale.  Under C.UTF-8 a pax name is composed (NFC) on the way,
 * under C it cannot be converted, and libarchive then hands over the bytes as they are, with a
 * warning.  So a tar is read under C and exactly that warning is expected; a ZIP needs no
 * conversion (zip_view), but for Info-ZIP's Unicode path field, which needs C.UTF-8.
 *
 * Every other warning means that something of the archive was dropped or guessed, and is an error.
 */
#include "uploads/member_reader.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/archive.h"
#include "uploads/zip_view.h"

#define BLOCK_SIZE (256u << 10)

/* ZIP's calendar begins in 1980; a date field of zeros reads as November 1979.  A day of slack is
 * for the zone that nobody recorded. */
#define ZIP_TIME_MIN INT64_C(315446400)
#define TIME_MAX     INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

struct member_reader {
    int fd;
    uint64_t size;
    uint64_t offset;
    int read_errno; /* of the last pread that failed */
    bool is_tar;
    struct zip_view *view; /* NULL for a tar */
    struct archive *archive;
    locale_t locale;
    unsigned char *block;
    uint64_t declared; /* size of the current member as its header says */
};

/* ---- the file, as libarchive reads it ---- */

static la_ssize_t read_block(struct archive *a, void *self, const void **ret_block)
{
    struct member_reader *r = self;
    ssize_t n;

    do
        n = pread(r->fd, r->block, BLOCK_SIZE, (off_t)r->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        r->read_errno = errno;
        archive_set_error(a, errno, "read the archive");
        return ARCHIVE_FATAL;
    }
    if (r->view)
        zip_view_apply(r->view, r->offset, r->block, (size_t)n);
    r->offset += (uint64_t)n;
    *ret_block = r->block;
    return n;
}

static la_int64_t seek_block(struct archive *a, void *self, la_int64_t offset, int whence)
{
    struct member_reader *r = self;
    la_int64_t base = whence == SEEK_SET   ? 0
                      : whence == SEEK_CUR ? (la_int64_t)r->offset
                                           : (la_int64_t)r->size;
    la_int64_t to;

    (void)a;
    if (__builtin_add_overflow(base, offset, &to) || to < 0)
        return ARCHIVE_FATAL;
    r->offset = (uint64_t)to;
    return to;
}

static la_int64_t skip_block(struct archive *a, void *self, la_int64_t request)
{
    struct member_reader *r = self;
    uint64_t left = r->offset < r->size ? r->size - r->offset : 0;

    (void)a;
    if (request < 0 || (uint64_t)request > left)
        return 0; /* it reads on, and finds the end by itself */
    r->offset += (uint64_t)request;
    return request;
}

/* ---- errors ---- */

static int refuse(const struct member_reader *r, struct error *err)
{
    const char *text = archive_error_string(r->archive);

    if (r->read_errno)
        return error_errno(err, r->read_errno, "read the archive");
    if (archive_errno(r->archive) == ENOMEM)
        return error_set(err, ERR_SYSTEM, "read the archive: out of memory");
    text = text ? text : "it ends too early";
    if (strstr(text, "nsupported ZIP compression"))
        return error_set(err, ERR_INPUT,
                         "it is compressed by a method that is not supported; make the archive "
                         "again with deflate, the usual one");
    /* Some of libarchive's messages end with a line end. */
    return error_set(err, ERR_INPUT,
                     "the archive is damaged or was cut off: make it again and upload it whole "
                     "(%.*s)",
                     (int)strcspn(text, "\n"), text);
}

/* ---- opening ---- */

static bool is_compressed(const unsigned char head[4])
{
    static const unsigned char gzip[] = {0x1f, 0x8b};
    static const unsigned char zstd[] = {0x28, 0xb5, 0x2f, 0xfd};

    return memcmp(head, gzip, sizeof(gzip)) == 0 || memcmp(head, zstd, sizeof(zstd)) == 0;
}

static int not_an_archive(struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "not an archive that can be read: upload a ZIP or a tar (plain, gzip or "
                     "zstd)");
}

static int set_up(struct member_reader *r)
{
    struct archive *a = r->archive;

    if (r->is_tar) {
        /* Filters answer WARN when they would need another program; these two are built in. */
        if (archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
            archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
            archive_read_support_format_tar(a) != ARCHIVE_OK)
            return -1;
    } else if (archive_read_support_format_zip_seekable(a) != ARCHIVE_OK ||
               archive_read_set_seek_callback(a, seek_block) != ARCHIVE_OK) {
        /* Only the seeking reader: the streaming one takes a ZIP that lost its directory for a
         * whole one, and knows no modes. */
        return -1;
    }
    if (archive_read_set_read_callback(a, read_block) != ARCHIVE_OK ||
        archive_read_set_skip_callback(a, skip_block) != ARCHIVE_OK ||
        archive_read_set_callback_data(a, r) != ARCHIVE_OK)
        return -1;
    return 0;
}

static int open_archive(struct member_reader *r, uint64_t entries_max, struct error *err)
{
    unsigned char head[4] = {0};

    if (r->size == 0)
        return error_set(err, ERR_INPUT,
                         "the archive is empty, not even an end record is there: upload it again");
    if (pread(r->fd, head, sizeof(head), 0) < 0)
        return error_errno(err, errno, "read the archive");
    r->is_tar = memcmp(head, "PK", 2) != 0;
    if (!r->is_tar && zip_view_open(r->fd, r->size, entries_max, &r->view, err) < 0)
        return -1;
    r->locale = newlocale(LC_ALL_MASK, r->is_tar ? "C" : "C.UTF-8", (locale_t)0);
    r->archive = archive_read_new();
    r->block = malloc(BLOCK_SIZE);
    if (!r->locale || !r->archive || !r->block)
        return error_set(err, ERR_SYSTEM, "read the archive: out of memory, or no C.UTF-8 locale");
    ARCHIVE_IN_LOCALE(r->locale);
    if (set_up(r) < 0)
        return error_set(err, ERR_SYSTEM, "read the archive: %s", archive_error_string(r->archive));
    if (r->view && zip_view_entries(r->view) == 0)
        return 0; /* libarchive does not find the end of an empty ZIP */
    if (archive_read_open1(r->archive) == ARCHIVE_OK)
        return 0;
    if (r->read_errno || !r->is_tar)
        return refuse(r, err);
    if (!is_compressed(head))
        return not_an_archive(err);
    return error_set(
        err, ERR_INPUT,
        "the compressed archive is damaged, was cut off or holds no tar: make it again "
        "and upload it whole");
}

int member_reader_open(int fd, uint64_t size, uint64_t entries_max, struct member_reader **ret,
                       struct error *err)
{
    struct member_reader *r = calloc(1, sizeof(*r));

    if (!r)
        return error_set(err, ERR_SYSTEM, "read the archive: out of memory");
    r->fd = fd;
    r->size = size;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (open_archive(r, entries_max, err) < 0) {
        member_reader_free(r);
        return -1;
    }
    *ret = r;
    return 0;
}

void member_reader_free(struct member_reader *r)
{
    if (!r)
        return;
    if (r->archive)
        archive_read_free(r->archive);
    if (r->locale)
        freelocale(r->locale);
    zip_view_free(r->view);
    free(r->block);
    free(r);
}

/* ---- members ---- */

static enum member_type type_of(const struct member_reader *r, struct archive_entry *e)
{
    mode_t mode = archive_entry_mode(e);

    if (archive_entry_hardlink(e))
        return MEMBER_HARDLINK;
    switch (mode & AE_IFMT) {
    case AE_IFREG:
        return r->view && (mode & ZIP_VIEW_LINK) ? MEMBER_LINK_OR_FILE : MEMBER_FILE;
    case AE_IFDIR:
        return MEMBER_DIRECTORY;
    case AE_IFLNK:
        return MEMBER_SYMLINK;
    default:
        return MEMBER_SPECIAL;
    }
}

static void read_mtime(const struct member_reader *r, struct archive_entry *e, struct member *ret)
{
    int64_t seconds = archive_entry_mtime(e);

    ret->has_mtime = archive_entry_mtime_is_set(e) && seconds >= (r->is_tar ? 0 : ZIP_TIME_MIN) &&
                     seconds <= TIME_MAX;
    ret->mtime = (struct timespec){.tv_sec = (time_t)seconds,
                                   .tv_nsec = ret->has_mtime ? archive_entry_mtime_nsec(e) : 0};
}

static struct member read_member(const struct member_reader *r, struct archive_entry *e)
{
    struct member m = {.type = type_of(r, e), .name = archive_entry_pathname(e)};

    m.name = m.name ? m.name : "";
    if (m.type == MEMBER_HARDLINK)
        m.target = archive_entry_hardlink(e);
    if (m.type == MEMBER_SYMLINK) {
        m.target = archive_entry_symlink(e);
        m.target = m.target ? m.target : "";
    }
    m.mode = archive_entry_perm(e) & 07777u;
    if (m.type == MEMBER_LINK_OR_FILE)
        m.mode &= 0777u;
    m.encrypted = archive_entry_is_data_encrypted(e) || archive_entry_is_metadata_encrypted(e);
    m.size = archive_entry_size_is_set(e) && archive_entry_size(e) > 0
                 ? (uint64_t)archive_entry_size(e)
                 : 0;
    read_mtime(r, e, &m);
    return m;
}

/* Some writers leave out a tar's end marker, but then one that was cut off between two members
 * looks whole. */
static int check_end(const struct member_reader *r, struct error *err)
{
    if (!r->is_tar ||
        archive_filter_bytes(r->archive, 0) > archive_read_header_position(r->archive))
        return 0;
    return error_set(err, ERR_INPUT,
                     "the archive was cut off: the two zero blocks that end a tar are not there; "
                     "upload it whole");
}

int member_reader_next(struct member_reader *r, struct member *ret, bool *ret_end,
                       struct error *err)
{
    struct archive_entry *e = NULL;
    int result;

    if (r->view && zip_view_entries(r->view) == 0) {
        *ret_end = true;
        return 0;
    }
    ARCHIVE_IN_LOCALE(r->locale);
    result = archive_read_next_header(r->archive, &e);
    if (result == ARCHIVE_EOF) {
        if (check_end(r, err) < 0)
            return -1;
        *ret_end = true;
        return 0;
    }
    if (!archive_header_is_good(r->archive, result))
        return refuse(r, err);
    *ret = read_member(r, e);
    r->declared = ret->size;
    *ret_end = false;
    return 0;
}

int member_reader_data(struct member_reader *r, const void **ret_data, size_t *ret_len,
                       uint64_t *ret_offset, struct error *err)
{
    ARCHIVE_IN_LOCALE(r->locale);
    if (archive_next_block(r->archive, ret_data, ret_len, ret_offset) < 0)
        return refuse(r, err);
    /* libarchive compares sizes only where there are compressed bytes at all. */
    if (!*ret_data && r->view && *ret_offset != r->declared)
        return error_set(err, ERR_INPUT,
                         "the archive is damaged: an entry should have %" PRIu64
                         " bytes and has %" PRIu64 "; make it again and upload it whole",
                         r->declared, *ret_offset);
    return 0;
}

uint64_t member_reader_unpacked(const struct member_reader *r)
{
    return r->is_tar ? (uint64_t)archive_filter_bytes(r->archive, 0) : 0;
}
