/* templates/zip_directory — see the header. */
#include "templates/zip_directory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "templates/bytes.h"

#define CENTRAL_SIZE  46u
#define LOCAL_SIZE    30u
#define END_SIZE      22u
#define END64_SIZE    56u
#define LOCATOR_SIZE  20u
#define TAIL_SIZE     (END_SIZE + 65535u + LOCATOR_SIZE)
#define DIRECTORY_MAX (UINT64_C(4) << 30)

#define MADE_BY_DOS    0
#define MADE_BY_UNIX   3
#define MADE_BY_DARWIN 19

struct directory {
    uint64_t start, len, entries;
    uint64_t shift; /* bytes before the archive that its offsets do not count */
};

static uint16_t get16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static int damaged(struct error *err, const char *what)
{
    return error_set(err, ERR_INPUT,
                     "the ZIP is damaged or was cut off (%s): make it again and upload it whole",
                     what);
}

static int read_at(int fd, uint64_t at, void *data, size_t len, struct error *err)
{
    const ssize_t got = fs_pread(fd, data, len, at);

    if (got < 0)
        return error_errno(err, errno, "read the archive");
    if ((size_t)got < len)
        return damaged(err, "it ends too early");
    return 0;
}

/* ---- the end records ---- */

static int read_end64(int fd, const unsigned char *locator, uint64_t locator_at,
                      struct directory *ret, struct error *err)
{
    unsigned char p[END64_SIZE];
    uint64_t at = bytes_get64(locator + 8);

    if (locator_at < END64_SIZE || at > locator_at - END64_SIZE)
        return damaged(err, "its ZIP64 locator points outside");
    if (read_at(fd, at, p, sizeof(p), err) < 0)
        return -1;
    if (memcmp(p, "PK\6\6", 4) != 0)
        return damaged(err, "its ZIP64 end record is none");
    *ret = (struct directory){
        .entries = bytes_get64(p + 32), .len = bytes_get64(p + 40), .start = bytes_get64(p + 48)};
    if (ret->len > at || ret->start != at - ret->len)
        return damaged(err, "its ZIP64 end record and its length disagree");
    return 0;
}

static int read_end(const unsigned char *p, uint64_t at, struct directory *ret, struct error *err)
{
    uint64_t len = bytes_get32(p + 12), start = bytes_get32(p + 16);

    if (get16(p + 4) != 0 || get16(p + 6) != 0)
        return error_set(err, ERR_INPUT,
                         "the ZIP is a part of one split into several: upload it as one file");
    if (len > at || start > at - len)
        return damaged(err, "its end record and its length disagree");
    *ret = (struct directory){
        .entries = get16(p + 10), .len = len, .start = at - len, .shift = at - len - start};
    return 0;
}

static int find_directory(int fd, uint64_t size, struct directory *ret, struct error *err)
{
    size_t len = size < TAIL_SIZE ? (size_t)size : TAIL_SIZE;
    CLEANUP_FREE unsigned char *tail = malloc(TAIL_SIZE);

    if (!tail)
        return error_set(err, ERR_SYSTEM, "read the ZIP: out of memory");
    if (read_at(fd, size - len, tail, len, err) < 0)
        return -1;
    for (size_t i = len < END_SIZE ? 0 : len - END_SIZE + 1; i-- > 0;) {
        uint64_t at = size - len + i;

        if (memcmp(tail + i, "PK\5\6", 4) != 0)
            continue;
        if (i >= LOCATOR_SIZE && memcmp(tail + i - LOCATOR_SIZE, "PK\6\7", 4) == 0)
            return read_end64(fd, tail + i - LOCATOR_SIZE, at - LOCATOR_SIZE, ret, err);
        return read_end(tail + i, at, ret, err);
    }
    return damaged(err, "its end record is not there");
}

/* ---- members ---- */

static int64_t dos_time(uint32_t stamp)
{
    struct tm tm = {.tm_year = (int)(stamp >> 25) + 80,
                    .tm_mon = (int)(stamp >> 21 & 15) - 1,
                    .tm_mday = (int)(stamp >> 16 & 31),
                    .tm_hour = (int)(stamp >> 11 & 31),
                    .tm_min = (int)(stamp >> 5 & 63),
                    .tm_sec = (int)(stamp & 31) * 2};

    return stamp >> 16 ? (int64_t)timegm(&tm) : 0;
}

static mode_t mode_of(const unsigned char *p, const char *name, size_t name_len)
{
    mode_t mode = get16(p + 40);
    bool slash = name_len > 0 && name[name_len - 1] == '/';
    bool unix_made = p[5] == MADE_BY_UNIX || p[5] == MADE_BY_DARWIN || S_ISREG(mode) ||
                     S_ISDIR(mode) || S_ISLNK(mode);

    if (!unix_made || mode == 0)
        mode = slash || (p[38] & 0x10) ? S_IFDIR | 0755 : S_IFREG | 0644;
    if ((mode & S_IFMT) == 0)
        mode |= slash ? S_IFDIR : S_IFREG;
    if (slash && !S_ISDIR(mode))
        mode = S_IFDIR | (mode & 07777u) | 0111;
    return mode;
}

/* Sizes and offset where 32 bits do not do: each is there only if its field says so. */
static bool take_zip64(struct bytes field, const unsigned char *p, struct zip_member *m)
{
    if (bytes_get32(p + 24) == UINT32_MAX)
        m->size = bytes_take64(&field);
    if (bytes_get32(p + 20) == UINT32_MAX)
        m->packed = bytes_take64(&field);
    if (bytes_get32(p + 42) == UINT32_MAX)
        m->local = bytes_take64(&field);
    return !field.bad;
}

static void take_owner(const unsigned char *f, size_t len, struct zip_member *m)
{
    if (len < 11 || f[0] != 1 || f[1] != 4 || f[6] != 4)
        return;
    m->uid = bytes_get32(f + 2);
    m->gid = bytes_get32(f + 7);
}

static int read_extra(const unsigned char *extra, size_t len, const unsigned char *p,
                      struct zip_member *m, struct error *err)
{
    bool wants64 = bytes_get32(p + 24) == UINT32_MAX || bytes_get32(p + 20) == UINT32_MAX ||
                   bytes_get32(p + 42) == UINT32_MAX;

    while (len >= 4) {
        size_t n = get16(extra + 2);
        unsigned id = get16(extra);

        if (n > len - 4)
            break;
        if (id == 0x0001 && wants64)
            wants64 = !take_zip64((struct bytes){.p = extra + 4, .left = n}, p, m);
        if (id == 0x5455 && n >= 5 && (extra[4] & 1))
            m->mtime = (int32_t)bytes_get32(extra + 5);
        if (id == 0x7875)
            take_owner(extra + 4, n, m);
        extra += 4 + n;
        len -= 4 + n;
    }
    return wants64 ? damaged(err, "a ZIP64 field is missing") : 0;
}

/* Names made by DOS may have backslashes for slashes. */
static int copy_name(const unsigned char *p, char *name, size_t len, struct error *err)
{
    memcpy(name, p + CENTRAL_SIZE, len);
    name[len] = '\0';
    if (memchr(name, '\0', len))
        return error_set(err, ERR_INPUT,
                         "the ZIP holds a name with a NUL byte: make the archive again");
    if (p[5] == MADE_BY_DOS && !strchr(name, '/'))
        for (char *c = name; *c; c++)
            *c = *c == '\\' ? '/' : *c;
    return 0;
}

/* p: a central header, with left bytes up to the end of the directory; *ret_len: its length. */
static int read_central(const unsigned char *p, size_t left, const struct directory *d, char *name,
                        struct zip_member *ret, size_t *ret_len, struct error *err)
{
    size_t name_len, extra_len;

    if (left < CENTRAL_SIZE || memcmp(p, "PK\1\2", 4) != 0)
        return damaged(err, "its directory is incomplete");
    name_len = get16(p + 28);
    extra_len = get16(p + 30);
    *ret_len = CENTRAL_SIZE + name_len + extra_len + get16(p + 32);
    if (*ret_len > left)
        return damaged(err, "its directory is incomplete");
    if (copy_name(p, name, name_len, err) < 0)
        return -1;
    *ret = (struct zip_member){.name = name,
                               .mode = mode_of(p, name, strlen(name)),
                               .mtime = dos_time(bytes_get32(p + 12)),
                               .encrypted = p[8] & 1,
                               .method = get16(p + 10),
                               .crc = bytes_get32(p + 16),
                               .packed = bytes_get32(p + 20),
                               .size = bytes_get32(p + 24),
                               .local = bytes_get32(p + 42)};
    if (read_extra(p + CENTRAL_SIZE + name_len, extra_len, p, ret, err) < 0)
        return -1;
    if (ret->local > d->start || ret->local > UINT64_MAX - d->shift)
        return damaged(err, "a member lies outside");
    ret->local += d->shift;
    return 0;
}

int zip_directory_read(int fd, uint64_t file_size,
                       int (*each)(void *self, const struct zip_member *m, struct error *err),
                       void *self, struct error *err)
{
    struct directory d = {.start = 0};
    CLEANUP_FREE unsigned char *all = NULL;
    CLEANUP_FREE char *name = malloc(65536);
    size_t at = 0;

    if (find_directory(fd, file_size, &d, err) < 0)
        return -1;
    /* So many headers need so many bytes: the count alone must not make us work. */
    if (d.len > DIRECTORY_MAX || d.entries > d.len / CENTRAL_SIZE)
        return damaged(err, "its directory is incomplete");
    all = malloc(d.len + 1);
    if (!all || !name)
        return error_set(err, ERR_SYSTEM, "read the ZIP: out of memory");
    if (read_at(fd, d.start, all, d.len, err) < 0)
        return -1;
    for (uint64_t i = 0; i < d.entries; i++) {
        struct zip_member m;
        size_t len = 0;

        if (read_central(all + at, d.len - at, &d, name, &m, &len, err) < 0 ||
            each(self, &m, err) < 0)
            return -1;
        at += len;
    }
    return at == d.len ? 0 : damaged(err, "its directory is longer than it says");
}

int zip_directory_data(int fd, uint64_t file_size, uint64_t local, uint64_t packed, uint64_t *ret,
                       struct error *err)
{
    unsigned char p[LOCAL_SIZE];
    uint64_t data;

    if (local > file_size || file_size - local < LOCAL_SIZE)
        return damaged(err, "a member lies outside");
    if (read_at(fd, local, p, sizeof(p), err) < 0)
        return -1;
    data = local + LOCAL_SIZE + get16(p + 26) + get16(p + 28);
    if (memcmp(p, "PK\3\4", 4) != 0 || data > file_size || packed > file_size - data)
        return damaged(err, "a member is not where it should be");
    *ret = data;
    return 0;
}
