/* builder/packages_rpm — see the header.
 *
 * A blob is a header of rpm's file format, version 4 (rpm.org, "RPM V4 Package Format", without the
 * eight bytes before it): how many entries and how many bytes of data; the entries, each with tag,
 * type, offset and count; the data.  Numbers are big-endian. */
#include "builder/packages_rpm.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"

#define ENTRIES_MAX 65535 /* as rpm has it */
#define ENTRY       16
#define PREFIX      8

#define TYPE_INT32  4
#define TYPE_STRING 6

enum { NAME, VERSION, RELEASE, VENDOR, LICENSE, ARCH, N_TEXTS };

static const uint32_t tags[N_TEXTS] = {1000, 1001, 1002, 1011, 1014, 1022};
#define TAG_EPOCH 1003

struct header {
    const char *texts[N_TEXTS]; /* in the blob; NULL: not said */
    uint32_t epoch;             /* 0: none is said, which means the same */
};

static uint32_t get32(const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

/* ---- a blob ---- */

static const char *text_at(const unsigned char *data, uint32_t len, uint32_t offset)
{
    if (offset >= len || !memchr(data + offset, '\0', len - offset))
        return NULL;
    return (const char *)data + offset;
}

static bool take_entry(struct header *h, const unsigned char *entry, const unsigned char *data,
                       uint32_t len)
{
    const uint32_t tag = get32(entry), type = get32(entry + 4), offset = get32(entry + 8);

    if (tag == TAG_EPOCH) {
        if (type != TYPE_INT32 || len < sizeof(uint32_t) || offset > len - sizeof(uint32_t))
            return false;
        h->epoch = get32(data + offset);
        return true;
    }
    for (size_t i = 0; i < N_TEXTS; i++) {
        if (tag != tags[i])
            continue;
        h->texts[i] = type == TYPE_STRING ? text_at(data, len, offset) : NULL;
        return h->texts[i] != NULL;
    }
    return true;
}

static bool read_header(const unsigned char *blob, size_t len, struct header *ret)
{
    uint32_t entries, data;

    *ret = (struct header){.epoch = 0};
    if (len < PREFIX)
        return false;
    entries = get32(blob);
    data = get32(blob + sizeof(uint32_t));
    if (entries == 0 || entries > ENTRIES_MAX || data > len - PREFIX ||
        (size_t)entries * ENTRY > len - PREFIX - data)
        return false;
    for (size_t i = 0; i < entries; i++)
        if (!take_entry(ret, blob + PREFIX + i * ENTRY, blob + PREFIX + (size_t)entries * ENTRY,
                        data))
            return false;
    return ret->texts[NAME] && ret->texts[VERSION] && ret->texts[RELEASE];
}

/* "EPOCH:VERSION-RELEASE", the epoch where there is one. */
static void add_version(const struct header *h, struct buf *out)
{
    if (h->epoch)
        buf_addf(out, "%u:", h->epoch);
    buf_addf(out, "%s-%s", h->texts[VERSION], h->texts[RELEASE]);
}

void packages_rpm_add(const struct packages_rpm *r, const void *blob, size_t len)
{
    CLEANUP(buf_release) struct buf version = BUF_INIT(PACKAGES_WORD_MAX + 1);
    struct header h;

    if (!read_header(blob, len, &h)) {
        r->out->cut = true;
        return;
    }
    if (strcmp(h.texts[NAME], "gpg-pubkey") == 0) /* a key that rpm trusts, kept among packages */
        return;
    add_version(&h, &version);
    packages_add(r->out, &(struct package){.type = "rpm",
                                           .name = h.texts[NAME],
                                           .version = version.full ? "" : buf_str(&version),
                                           .architecture = h.texts[ARCH],
                                           .license = h.texts[LICENSE],
                                           .vendor = h.texts[VENDOR]});
}

/* ---- a file ---- */

bool packages_rpm_take(struct packages_rpm *r, uint64_t len)
{
    if (len > PACKAGES_RPM_BLOB_MAX || len > r->left)
        return false;
    r->left -= len;
    return true;
}

bool packages_rpm_read(const struct packages_rpm *r, void *data, size_t len, uint64_t offset)
{
    return fs_pread(r->fd, data, len, offset) == (ssize_t)len;
}

static bool is_bdb(const unsigned char start[16])
{
    static const unsigned char little[] = {0x61, 0x15, 0x06, 0}, big[] = {0, 0x06, 0x15, 0x61};

    return memcmp(start + 12, little, 4) == 0 || memcmp(start + 12, big, 4) == 0;
}

static bool read_database(struct packages_rpm *r)
{
    unsigned char start[16];

    if (r->size > PACKAGES_RPM_FILE_MAX || !packages_rpm_read(r, start, sizeof(start), 0))
        return false;
    if (memcmp(start, "SQLite format 3", 16) == 0)
        return packages_rpm_read_sqlite(r);
    if (memcmp(start, "RpmP", 4) == 0)
        return packages_rpm_read_ndb(r);
    return is_bdb(start) && packages_rpm_read_bdb(r);
}

void packages_read_rpm(int fd, struct packages *out)
{
    struct packages_rpm r = {.fd = fd, .out = out};
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size < 0) {
        out->cut = true;
        return;
    }
    r.size = r.left = (uint64_t)st.st_size;
    if (r.size > 0 && !read_database(&r))
        out->cut = true;
}
