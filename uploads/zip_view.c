/* uploads/zip_view — see the header.  The numbers are of PKWARE's APPNOTE.TXT 6.3.10: 4.3.7 the
 * local header, 4.3.12 the central directory, 4.3.14 to 4.3.16 its end, 4.5.3 ZIP64. */
#include "uploads/zip_view.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

#define END_SIZE     22
#define LOCATOR_SIZE 20
#define END64_SIZE   56
#define CENTRAL_SIZE 46
/* libarchive looks for the end in as many bytes, so a comment longer than this hides it. */
#define TAIL_SIZE   16384
#define WINDOW_SIZE (CENTRAL_SIZE + 3 * 65536)

#define MADE_BY_DOS    0
#define MADE_BY_UNIX   3
#define MADE_BY_DARWIN 19

#define DAMAGED "the ZIP is damaged or was cut off: make the archive again and upload it whole"

/* A central header to be shown with another mode. */
struct mode_patch {
    uint64_t offset; /* first: first_from looks for it here */
    uint16_t mode;
};

struct zip_view {
    uint64_t *locals; /* where the local headers are, ascending */
    size_t n_locals;
    struct mode_patch *modes; /* ascending */
    size_t n_modes;
    size_t cap_modes;
};

/* Where the central directory is. */
struct directory {
    uint64_t start;
    uint64_t end;
    uint64_t entries;
    uint64_t correction; /* added to every offset that the ZIP names: bytes put before it */
};

/* A piece of the file, so that a record is read without a system call for each field. */
struct window {
    int fd;
    uint64_t offset;
    size_t len;
    unsigned char bytes[WINDOW_SIZE];
};

static unsigned get16(const unsigned char *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t get32(const unsigned char *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const unsigned char *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static int damaged(struct error *err, const char *what)
{
    return error_set(err, ERR_INPUT, "%s (%s)", DAMAGED, what);
}

/* Reads len bytes at offset, or those up to the end of the file. */
static int read_at(int fd, uint64_t offset, unsigned char *data, size_t len, size_t *ret_len,
                   struct error *err)
{
    const ssize_t got = fs_pread(fd, data, len, offset);

    if (got < 0)
        return error_errno(err, errno, "read the archive");
    *ret_len = (size_t)got;
    return 0;
}

/* Points *ret at len bytes (at most WINDOW_SIZE) of the file at offset, until the next call. */
static int window_at(struct window *w, uint64_t offset, size_t len, const unsigned char **ret,
                     struct error *err)
{
    if (offset < w->offset || offset - w->offset > w->len ||
        len > w->len - (size_t)(offset - w->offset)) {
        w->len = 0;
        w->offset = offset;
        if (read_at(w->fd, offset, w->bytes, sizeof(w->bytes), &w->len, err) < 0)
            return -1;
        if (w->len < len)
            return damaged(err, "its directory is incomplete");
    }
    *ret = w->bytes + (offset - w->offset);
    return 0;
}

/* ---- the end record ---- */

/* p: the end record at offset end. */
static int read_end(const unsigned char *p, uint64_t end, struct directory *ret, struct error *err)
{
    uint32_t size = get32(p + 12);
    uint32_t offset = get32(p + 16);

    if (get16(p + 4) != 0 || get16(p + 6) != 0 || get16(p + 8) != get16(p + 10))
        return error_set(err, ERR_INPUT,
                         "the ZIP is a part of one split into several: upload it as one file");
    if (size > end || offset > end - size)
        return damaged(err, "its end record and its length disagree");
    *ret = (struct directory){.start = end - size,
                              .end = end,
                              .entries = get16(p + 8),
                              .correction = end - size - offset};
    return 0;
}

/* locator: the ZIP64 locator at offset locator_at. */
static int read_end64(struct window *w, const unsigned char *locator, uint64_t locator_at,
                      struct directory *ret, struct error *err)
{
    uint64_t at = get64(locator + 8);
    const unsigned char *p = NULL;
    uint64_t size, offset;

    if (locator_at < END64_SIZE || at > locator_at - END64_SIZE)
        return damaged(err, "its ZIP64 locator points outside");
    if (window_at(w, at, END64_SIZE, &p, err) < 0)
        return -1;
    size = get64(p + 40);
    offset = get64(p + 48);
    if (memcmp(p, "PK\6\6", 4) != 0 || get32(p + 16) != 0 || get32(p + 20) != 0 ||
        get64(p + 24) != get64(p + 32))
        return damaged(err, "its ZIP64 end record is no such record");
    if (size > at || offset != at - size)
        return damaged(err, "its ZIP64 end record and its length disagree");
    *ret = (struct directory){.start = offset, .end = at, .entries = get64(p + 32)};
    return 0;
}

static int find_directory(struct window *w, uint64_t size, struct directory *ret, struct error *err)
{
    size_t len = size < TAIL_SIZE ? (size_t)size : TAIL_SIZE;
    CLEANUP_FREE unsigned char *tail = malloc(TAIL_SIZE);

    if (!tail)
        return error_set(err, ERR_SYSTEM, "read the ZIP: out of memory");
    if (read_at(w->fd, size - len, tail, len, &len, err) < 0)
        return -1;
    for (size_t i = len < END_SIZE ? 0 : len - END_SIZE + 1; i-- > 0;) {
        if (memcmp(tail + i, "PK\5\6", 4) != 0)
            continue;
        if (i >= LOCATOR_SIZE && memcmp(tail + i - LOCATOR_SIZE, "PK\6\7", 4) == 0)
            return read_end64(w, tail + i - LOCATOR_SIZE, size - len + i - LOCATOR_SIZE, ret, err);
        return read_end(tail + i, size - len + i, ret, err);
    }
    return damaged(err, "its end record is not there");
}

/* ---- the central directory ---- */

/* The mode that p, a central header, gives; -1 where it gives none. */
static int stated_mode(const unsigned char *p)
{
    unsigned made_by = p[5];
    unsigned mode = get16(p + 40);

    if (made_by == MADE_BY_UNIX || made_by == MADE_BY_DARWIN)
        return (int)mode;
    /* Python's zipfile says DOS on Windows and gives a Unix mode all the same. */
    if (made_by == MADE_BY_DOS && (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode)))
        return (int)mode;
    return -1;
}

static unsigned shown_mode(const unsigned char *p, const unsigned char *name, size_t name_len)
{
    bool slash = name_len > 0 && name[name_len - 1] == '/';
    int mode = stated_mode(p);
    bool no_type = mode < 0 || (mode & S_IFMT) == 0;
    unsigned permissions = mode < 0 ? 0 : (unsigned)mode & 0777;

    if (slash || (no_type && (get32(p + 38) & 0x10)) || (mode >= 0 && S_ISDIR(mode)))
        return S_IFDIR | permissions | (mode < 0 ? 0 : (unsigned)mode & S_ISVTX);
    if (no_type || S_ISREG(mode))
        return S_IFREG | permissions;
    if (S_ISLNK(mode))
        return S_IFREG | ZIP_VIEW_LINK | permissions;
    return S_ISFIFO(mode) ? S_IFSOCK | permissions : (unsigned)mode;
}

static int add_mode_patch(struct zip_view *v, uint64_t offset, unsigned mode, struct error *err)
{
    if (v->n_modes == v->cap_modes) {
        size_t cap = v->cap_modes ? v->cap_modes * 2 : 64;
        struct mode_patch *modes = reallocarray(v->modes, cap, sizeof(*modes));

        if (!modes)
            return error_set(err, ERR_SYSTEM, "read the ZIP: out of memory");
        v->modes = modes;
        v->cap_modes = cap;
    }
    v->modes[v->n_modes++] = (struct mode_patch){.offset = offset, .mode = (uint16_t)mode};
    return 0;
}

/* The local header's offset as a ZIP64 extra field gives it: after the sizes that are there too. */
static bool offset_from_extra(const unsigned char *p, const unsigned char *extra, size_t len,
                              uint64_t *ret)
{
    size_t skip = (get32(p + 24) == UINT32_MAX ? 8u : 0u) + (get32(p + 20) == UINT32_MAX ? 8u : 0u);

    while (len >= 4) {
        size_t field = get16(extra + 2);

        if (field > len - 4)
            return false;
        if (get16(extra) == 1 && field >= skip + 8) {
            *ret = get64(extra + 4 + skip);
            return true;
        }
        extra += 4 + field;
        len -= 4 + field;
    }
    return false;
}

/* Takes in the central header at offset; *ret_next: where the next one begins. */
static int read_central(struct zip_view *v, struct window *w, const struct directory *dir,
                        uint64_t offset, uint64_t *ret_next, struct error *err)
{
    const unsigned char *p = NULL, *name;
    size_t name_len, extra_len;
    uint64_t local;
    unsigned mode;

    if (dir->end - offset < CENTRAL_SIZE)
        return damaged(err, "its directory is incomplete");
    if (window_at(w, offset, CENTRAL_SIZE, &p, err) < 0)
        return -1;
    if (memcmp(p, "PK\1\2", 4) != 0)
        return damaged(err, "its directory holds something else");
    name_len = get16(p + 28);
    extra_len = get16(p + 30);
    *ret_next = offset + CENTRAL_SIZE + name_len + extra_len + get16(p + 32);
    if (*ret_next > dir->end)
        return damaged(err, "its directory is incomplete");
    if (window_at(w, offset, CENTRAL_SIZE + name_len + extra_len, &p, err) < 0)
        return -1;
    name = p + CENTRAL_SIZE;
    if (memchr(name, '\0', name_len))
        return error_set(err, ERR_INPUT,
                         "the ZIP holds a name with a NUL byte: make the archive again");
    local = get32(p + 42);
    if (local == UINT32_MAX && !offset_from_extra(p, name + name_len, extra_len, &local))
        return damaged(err, "a ZIP64 field is missing");
    if (local > dir->start - dir->correction)
        return damaged(err, "an entry lies outside");
    v->locals[v->n_locals++] = local + dir->correction;
    mode = shown_mode(p, name, name_len);
    if (p[5] == MADE_BY_UNIX && get16(p + 40) == mode)
        return 0;
    return add_mode_patch(v, offset, mode, err);
}

static int compare_offsets(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return (*x > *y) - (*x < *y);
}

static int read_directory(struct zip_view *v, struct window *w, const struct directory *dir,
                          struct error *err)
{
    uint64_t offset = dir->start;

    /* So many headers need so many bytes: the count alone must not make us allocate. */
    if (dir->entries > (dir->end - dir->start) / CENTRAL_SIZE)
        return damaged(err, "its directory is incomplete");
    v->locals = calloc(dir->entries + 1, sizeof(*v->locals));
    if (!v->locals)
        return error_set(err, ERR_SYSTEM, "read the ZIP: out of memory");
    for (uint64_t i = 0; i < dir->entries; i++)
        if (read_central(v, w, dir, offset, &offset, err) < 0)
            return -1;
    if (offset != dir->end)
        return damaged(err, "its directory is longer than it says");
    qsort(v->locals, v->n_locals, sizeof(*v->locals), compare_offsets);
    return 0;
}

int zip_view_open(int fd, uint64_t size, uint64_t entries_max, struct zip_view **ret,
                  struct error *err)
{
    CLEANUP_FREE struct window *w = malloc(sizeof(*w));
    struct zip_view *v = calloc(1, sizeof(*v));
    struct directory dir = {.start = 0};

    if (!w || !v) {
        free(v);
        return error_set(err, ERR_SYSTEM, "read the ZIP: out of memory");
    }
    w->fd = fd;
    w->offset = 0;
    w->len = 0;
    if (find_directory(w, size, &dir, err) < 0) {
        zip_view_free(v);
        return -1;
    }
    if (dir.entries > entries_max) {
        zip_view_free(v);
        return error_set(err, ERR_LIMIT,
                         "the ZIP has %llu entries, the limit is %llu: leave out what the image "
                         "does not need and upload again",
                         (unsigned long long)dir.entries, (unsigned long long)entries_max);
    }
    if (read_directory(v, w, &dir, err) < 0) {
        zip_view_free(v);
        return -1;
    }
    *ret = v;
    return 0;
}

void zip_view_free(struct zip_view *v)
{
    if (!v)
        return;
    free(v->locals);
    free(v->modes);
    free(v);
}

uint64_t zip_view_entries(const struct zip_view *v)
{
    return v->n_locals;
}

/* ---- showing ---- */

/* A byte of the file at an offset, as it lies in the piece that was read; NULL when outside. */
static unsigned char *byte_at(uint64_t at, uint64_t offset, unsigned char *data, size_t len)
{
    return at >= offset && at - offset < len ? data + (at - offset) : NULL;
}

static void apply_local(uint64_t local, uint64_t offset, unsigned char *data, size_t len)
{
    unsigned char *needs_system = byte_at(local + 5, offset, data, len);
    unsigned char *flags_high = byte_at(local + 7, offset, data, len);

    if (needs_system)
        *needs_system = MADE_BY_UNIX;
    if (flags_high)
        *flags_high &= (unsigned char)~0x08; /* bit 11: the name is UTF-8 */
}

static void apply_mode(const struct mode_patch *patch, uint64_t offset, unsigned char *data,
                       size_t len)
{
    unsigned char *made_by = byte_at(patch->offset + 5, offset, data, len);
    unsigned char *low = byte_at(patch->offset + 40, offset, data, len);
    unsigned char *high = byte_at(patch->offset + 41, offset, data, len);

    if (made_by)
        *made_by = MADE_BY_UNIX;
    if (low)
        *low = (unsigned char)(patch->mode & 0xff);
    if (high)
        *high = (unsigned char)(patch->mode >> 8);
}

/* The index of the first of n offsets, ascending and stride bytes apart, that is not before from.
 */
static size_t first_from(const void *offsets, size_t n, size_t stride, uint64_t from)
{
    size_t low = 0;

    while (low < n) {
        size_t middle = low + (n - low) / 2;
        uint64_t offset;

        memcpy(&offset, (const char *)offsets + middle * stride, sizeof(offset));
        if (offset < from)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

void zip_view_apply(const struct zip_view *v, uint64_t offset, unsigned char *data, size_t len)
{
    /* A header that begins this much earlier may still reach into the piece. */
    uint64_t from = offset > CENTRAL_SIZE ? offset - CENTRAL_SIZE : 0;
    size_t i;

    for (i = first_from(v->locals, v->n_locals, sizeof(*v->locals), from);
         i < v->n_locals && v->locals[i] < offset + len; i++)
        apply_local(v->locals[i], offset, data, len);
    for (i = first_from(v->modes, v->n_modes, sizeof(*v->modes), from);
         i < v->n_modes && v->modes[i].offset < offset + len; i++)
        apply_mode(&v->modes[i], offset, data, len);
}
