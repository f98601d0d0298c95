/* builder/layer_tar — see the header. */
#include "builder/layer_tar.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

#define ID_MAX     UINT64_C(07777777)
#define NUMBER_MAX UINT64_C(077777777777)

struct ustar {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char target[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char rest[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK, "a header is one block");

/* ---- the block ---- */

/* Octal digits and a NUL; 0 for what does not fit and has a record. */
static void put_number(char *field, size_t size, uint64_t max, uint64_t n)
{
    (void)snprintf(field, size, "%0*" PRIo64, (int)size - 1, n <= max ? n : 0);
}

static void put_text(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size));
}

/* Where a path of more than 100 bytes is cut into prefix and name: at this slash; 0: nowhere. */
static size_t find_cut(const char *path)
{
    const size_t prefix_max = sizeof(((struct ustar *)NULL)->prefix);
    const size_t name_max = sizeof(((struct ustar *)NULL)->name);
    size_t len = strlen(path);

    for (size_t cut = len < prefix_max ? len : prefix_max; cut > 0; cut--)
        if (path[cut] == '/' && cut + 1 < len)
            return len - cut - 1 <= name_max ? cut : 0;
    return 0;
}

static bool path_fits(const char *path)
{
    return strlen(path) <= sizeof(((struct ustar *)NULL)->name) || find_cut(path) > 0;
}

static void put_path(struct ustar *h, const char *path)
{
    size_t cut = strlen(path) > sizeof(h->name) ? find_cut(path) : 0;

    memcpy(h->prefix, path, cut);
    put_text(h->name, sizeof(h->name), path + cut + (cut > 0));
}

static void put_checksum(struct ustar *h)
{
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;

    memset(h->checksum, ' ', sizeof(h->checksum));
    for (size_t i = 0; i < sizeof(*h); i++)
        sum += p[i];
    (void)snprintf(h->checksum, sizeof(h->checksum), "%06o", sum);
}

static void add_block(struct buf *out, const struct tar_entry *e, char type)
{
    struct ustar h = {.type = type, .magic = "ustar", .version = {'0', '0'}};

    put_path(&h, e->path);
    put_text(h.target, sizeof(h.target), e->target ? e->target : "");
    put_number(h.mode, sizeof(h.mode), ID_MAX, e->mode);
    put_number(h.uid, sizeof(h.uid), ID_MAX, e->uid);
    put_number(h.gid, sizeof(h.gid), ID_MAX, e->gid);
    put_number(h.size, sizeof(h.size), NUMBER_MAX, e->size);
    put_number(h.mtime, sizeof(h.mtime), NUMBER_MAX, e->mtime < 0 ? 0 : (uint64_t)e->mtime);
    put_number(h.major, sizeof(h.major), ID_MAX, e->major);
    put_number(h.minor, sizeof(h.minor), ID_MAX, e->minor);
    put_checksum(&h);
    buf_add(out, &h, sizeof(h));
}

/* ---- records ---- */

/* "<length of all this> key=value\n" */
static void add_record(struct buf *out, const char *prefix, const char *key, const void *value,
                       size_t len)
{
    size_t rest = strlen(prefix) + strlen(key) + len + 3;
    size_t whole = rest + 1;

    /* The length counts its own digits. */
    while (whole != rest + (size_t)snprintf(NULL, 0, "%zu", whole))
        whole = rest + (size_t)snprintf(NULL, 0, "%zu", whole);
    buf_addf(out, "%zu %s%s=", whole, prefix, key);
    buf_add(out, value, len);
    buf_addc(out, '\n');
}

static void add_number_record(struct buf *out, const char *key, int64_t n)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, n);
    add_record(out, "", key, text, strlen(text));
}

static bool is_utf8(const char *text)
{
    return text_is_utf8(text, strlen(text));
}

/* Records are UTF-8 unless they say otherwise. */
static void add_name_records(struct buf *out, const struct tar_entry *e)
{
    bool path = !path_fits(e->path);
    bool target = e->target && strlen(e->target) > sizeof(((struct ustar *)NULL)->target);

    if ((path && !is_utf8(e->path)) || (target && !is_utf8(e->target)))
        add_record(out, "", "hdrcharset", "BINARY", 6);
    if (path)
        add_record(out, "", "path", e->path, strlen(e->path));
    if (target)
        add_record(out, "", "linkpath", e->target, strlen(e->target));
}

static void add_records(struct buf *out, const struct tar_entry *e)
{
    add_name_records(out, e);
    if (e->size > NUMBER_MAX)
        add_number_record(out, "size", (int64_t)e->size);
    if (e->uid > ID_MAX)
        add_number_record(out, "uid", e->uid);
    if (e->gid > ID_MAX)
        add_number_record(out, "gid", e->gid);
    if (e->mtime < 0 || (uint64_t)e->mtime > NUMBER_MAX)
        add_number_record(out, "mtime", e->mtime);
    for (size_t i = 0; i < e->n_attributes; i++)
        add_record(out, "SCHILY.xattr.", e->attributes[i].name, e->attributes[i].value,
                   e->attributes[i].len);
}

void tar_add_header(struct buf *out, const struct tar_entry *e)
{
    static const char zeros[TAR_BLOCK];
    CLEANUP(buf_release) struct buf records = BUF_INIT(out->max);

    add_records(&records, e);
    if (records.full)
        out->full = true;
    if (records.len > 0) {
        const struct tar_entry x = {.path = "PaxHeader", .mode = 0644, .size = records.len};

        add_block(out, &x, 'x');
        buf_add(out, records.data, records.len);
        buf_add(out, zeros, tar_padding(records.len));
    }
    add_block(out, e, (char)e->type);
}
