/* templates/pack_file — see the header. */
#include "templates/pack_file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/fs.h"
#include "templates/bytes.h"

static const unsigned char header[PACK_HEADER_SIZE] = "KilnPack\1\0\0\0\0\0\0";
static const unsigned char end_magic[8] = {'K', 'i', 'l', 'n', 'E', 'n', 'd', '\1'};

#define FIELD_BITS 20
#define FIELD_MASK ((1u << FIELD_BITS) - 1)

/* What is kept here of a pack that is elsewhere may be damaged, or gone: so often it is fetched
 * again. */
#define TURNS 3

static int damaged(const struct pack *p, struct error *err, const char *what)
{
    return error_set(err, ERR_SYSTEM,
                     "pack %s is damaged: %s; restore the file from a copy, or delete the "
                     "revisions that kiln template verify names and pack them again",
                     p->name, what);
}

/* ---- reading ---- */

static int fill(const struct pack *p, uint64_t offset, uint64_t len, struct error *err)
{
    if (p->origin.fill && p->origin.fill(p->origin.self, offset, len, err) < 0)
        return error_wrap(err, "read pack %s", p->name);
    return 0;
}

static int read_at(const struct pack *p, uint64_t offset, void *data, size_t len, struct error *err)
{
    ssize_t got;

    if (fill(p, offset, len, err) < 0)
        return -1;
    got = fs_pread(p->fd, data, len, offset);

    if (got < 0)
        return error_errno(err, errno, "read pack %s", p->name);
    if ((size_t)got < len)
        return damaged(p, err, "it was cut off");
    return 0;
}

static int read_trailer(const struct hasher *h, struct pack *p, uint64_t *ret_tables,
                        struct error *err)
{
    unsigned char t[PACK_TRAILER_SIZE];
    unsigned char head[PACK_HEADER_SIZE];
    uint64_t tables, len;

    if (p->size < PACK_HEADER_SIZE + PACK_TRAILER_SIZE)
        return damaged(p, err, "it is too short");
    if (read_at(p, p->size - sizeof(t), t, sizeof(t), err) < 0)
        return -1;
    for (int turn = 0;; turn++) {
        if (read_at(p, 0, head, sizeof(head), err) < 0)
            return -1;
        if (memcmp(head, header, sizeof(header)) == 0)
            break;
        if (!p->origin.forget || turn == TURNS)
            return damaged(p, err, "its header is not one of version 1");
        p->origin.forget(p->origin.self, 0, sizeof(head));
    }
    if (memcmp(t + 56, end_magic, 8) != 0 || bytes_get64(t + 48) != hasher_checksum(h, t, 48))
        return damaged(p, err, "its trailer is wrong");
    tables = bytes_get64(t);
    p->n_frames = bytes_get32(t + 8);
    p->n_chunks = bytes_get32(t + 12);
    memcpy(p->tables_sum, t + 16, 16);
    len = (uint64_t)p->n_frames * PACK_FRAME_SIZE + (uint64_t)p->n_chunks * PACK_CHUNK_SIZE;
    if (p->n_frames > FRAMES_MAX || p->n_chunks > CHUNKS_MAX || tables < PACK_HEADER_SIZE ||
        tables > p->size || p->size - tables != len + PACK_TRAILER_SIZE)
        return damaged(p, err, "its trailer and its length disagree");
    *ret_tables = tables;
    return 0;
}

static int map_tables(struct pack *p, uint64_t tables, struct error *err)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t from = tables / page * page;
    void *map;

    p->map_len = (size_t)(p->size - from);
    if (fill(p, from, p->map_len, err) < 0)
        return -1;
    map = mmap(NULL, p->map_len, PROT_READ, MAP_SHARED, p->fd, (off_t)from);
    if (map == MAP_FAILED)
        return error_errno(err, errno, "map pack %s", p->name);
    p->map = map;
    p->frames = (unsigned char *)map + (tables - from);
    p->chunks = p->frames + (size_t)p->n_frames * PACK_FRAME_SIZE;
    return 0;
}

int pack_open(const struct hasher *h, const char *name, int fd, struct pack_origin origin,
              struct pack *ret, struct error *err)
{
    struct stat st;
    uint64_t tables = 0;

    *ret = (struct pack){.fd = fd, .origin = origin};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    if (fstat(fd, &st) < 0) {
        pack_close(ret);
        return error_errno(err, errno, "read pack %s", name);
    }
    ret->size = (uint64_t)st.st_size;
    if (read_trailer(h, ret, &tables, err) < 0 || map_tables(ret, tables, err) < 0) {
        pack_close(ret);
        return -1;
    }
    return 0;
}

void pack_close(struct pack *p)
{
    if (p->map)
        (void)munmap(p->map, p->map_len);
    p->map = NULL;
    if (p->fd >= 0)
        close(TAKE_FD(p->fd));
    if (p->origin.close)
        p->origin.close(p->origin.self);
    p->origin = (struct pack_origin){.self = NULL};
}

struct pack_frame pack_frame(const struct pack *p, uint32_t i)
{
    const unsigned char *row = p->frames + (size_t)i * PACK_FRAME_SIZE;

    return (struct pack_frame){.offset = bytes_get64(row),
                               .stored = bytes_get32(row + 8),
                               .raw = bytes_get32(row + 12),
                               .checksum = bytes_get64(row + 16)};
}

struct pack_chunk pack_chunk(const struct pack *p, uint32_t i)
{
    const unsigned char *row = p->chunks + (size_t)i * PACK_CHUNK_SIZE;
    uint64_t place = bytes_get64(row + 16);

    return (struct pack_chunk){.address = address_get(row),
                               .frame = (uint32_t)(place >> (2 * FIELD_BITS)),
                               .offset = (uint32_t)(place >> FIELD_BITS) & FIELD_MASK,
                               .len = ((uint32_t)place & FIELD_MASK)};
}

bool pack_find(const struct pack *p, struct address a, uint32_t *ret)
{
    uint32_t low = 0, high = p->n_chunks;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = address_compare(address_get(p->chunks + (size_t)middle * PACK_CHUNK_SIZE), a);

        if (order == 0) {
            *ret = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- frames ---- */

static int frame_damaged(const struct pack *p, uint32_t i, struct error *err, const char *what)
{
    char text[160];

    (void)snprintf(text, sizeof(text), "frame %u at offset %llu: %s", i,
                   (unsigned long long)pack_frame(p, i).offset, what);
    return damaged(p, err, text);
}

static bool frame_is_possible(const struct pack *p, const struct pack_frame *f)
{
    uint64_t tables = p->size - PACK_TRAILER_SIZE - (uint64_t)p->n_frames * PACK_FRAME_SIZE -
                      (uint64_t)p->n_chunks * PACK_CHUNK_SIZE;

    return f->raw >= 1 && f->raw <= FRAME_MAX && f->stored >= 1 && f->stored <= f->raw &&
           f->offset >= PACK_HEADER_SIZE && f->offset <= tables && f->stored <= tables - f->offset;
}

static int read_stored(const struct hasher *h, const struct pack *p, const struct pack_frame *f,
                       unsigned char *data, bool *ret_right, struct error *err)
{
    for (int turn = 0;; turn++) {
        if (read_at(p, f->offset, data, f->stored, err) < 0)
            return -1;
        *ret_right = hasher_checksum(h, data, f->stored) == f->checksum;
        if (*ret_right || !p->origin.forget || turn == TURNS)
            return 0;
        p->origin.forget(p->origin.self, f->offset, f->stored);
    }
}

int pack_read_frame(const struct hasher *h, const struct pack *p, uint32_t i, void *dctx,
                    unsigned char *data, unsigned char *raw, struct error *err)
{
    struct pack_frame f;
    bool right;
    size_t n;

    if (i >= p->n_frames)
        return damaged(p, err, "a chunk is in a frame that is not there");
    f = pack_frame(p, i);
    if (!frame_is_possible(p, &f))
        return frame_damaged(p, i, err, "its row is impossible");
    if (read_stored(h, p, &f, f.stored == f.raw ? raw : data, &right, err) < 0)
        return -1;
    if (!right)
        return frame_damaged(p, i, err, "its bytes are not those that were written");
    if (f.stored == f.raw)
        return 0;
    n = ZSTD_decompressDCtx(dctx, raw, f.raw, data, f.stored);
    if (ZSTD_isError(n) || n != f.raw)
        return frame_damaged(p, i, err, "it does not decompress");
    return 0;
}

/* ---- the whole of the tables ---- */

static int check_frames(const struct pack *p, struct error *err)
{
    uint64_t offset = PACK_HEADER_SIZE;

    for (uint32_t i = 0; i < p->n_frames; i++) {
        struct pack_frame f = pack_frame(p, i);

        if (f.offset != offset || !frame_is_possible(p, &f))
            return frame_damaged(p, i, err, "its row is impossible");
        offset += f.stored;
    }
    return 0;
}

static int check_chunks(const struct pack *p, struct error *err)
{
    for (uint32_t i = 0; i < p->n_chunks; i++) {
        struct pack_chunk c = pack_chunk(p, i);

        if (c.frame >= p->n_frames || c.len == 0 || c.len > CHUNK_MAX ||
            (uint64_t)c.offset + c.len > pack_frame(p, c.frame).raw)
            return damaged(p, err, "a row of its chunk table is impossible");
        if (i > 0 && address_compare(pack_chunk(p, i - 1).address, c.address) >= 0)
            return damaged(p, err, "its chunk table is not sorted");
    }
    return 0;
}

int pack_check_tables(const struct hasher *h, const struct pack *p, struct error *err)
{
    size_t len = (size_t)p->n_frames * PACK_FRAME_SIZE + (size_t)p->n_chunks * PACK_CHUNK_SIZE;
    struct hasher whole = *h;
    unsigned char sum[16];

    whole.bits = 128;
    address_put(sum, hasher_address(&whole, p->frames, len));
    if (memcmp(sum, p->tables_sum, sizeof(sum)) != 0)
        return damaged(p, err, "its tables are not those that were written");
    return check_frames(p, err) < 0 || check_chunks(p, err) < 0 ? -1 : 0;
}

/* ---- writing ---- */

void pack_add_header(struct buf *out)
{
    buf_add(out, header, sizeof(header));
}

static void add_trailer(const struct hasher *h, uint64_t offset, size_t start, uint32_t n_frames,
                        uint32_t n_chunks, struct buf *out)
{
    struct hasher whole = *h;
    unsigned char t[PACK_TRAILER_SIZE] = {0};

    whole.bits = 128;
    bytes_put64(t, offset);
    bytes_put32(t + 8, n_frames);
    bytes_put32(t + 12, n_chunks);
    address_put(t + 16, hasher_address(&whole, buf_str(out) + start, out->len - start));
    bytes_put64(t + 48, hasher_checksum(h, t, 48));
    memcpy(t + 56, end_magic, 8);
    buf_add(out, t, sizeof(t));
}

void pack_add_tables(const struct hasher *h, uint64_t offset, const struct pack_frame *frames,
                     uint32_t n_frames, const struct pack_chunk *chunks, uint32_t n_chunks,
                     struct buf *out)
{
    size_t start = out->len;

    for (uint32_t i = 0; i < n_frames; i++) {
        bytes_add64(out, frames[i].offset);
        bytes_add32(out, frames[i].stored);
        bytes_add32(out, frames[i].raw);
        bytes_add64(out, frames[i].checksum);
    }
    for (uint32_t i = 0; i < n_chunks; i++) {
        unsigned char address[ADDRESS_SIZE];

        address_put(address, chunks[i].address);
        buf_add(out, address, sizeof(address));
        bytes_add64(out, (uint64_t)chunks[i].frame << (2 * FIELD_BITS) |
                             (uint64_t)chunks[i].offset << FIELD_BITS | chunks[i].len);
    }
    add_trailer(h, offset, start, n_frames, n_chunks, out);
}
