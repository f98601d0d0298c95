/* templates/writer_packs — frames into files, and files into the store. */
#include <errno.h>
#include <fcntl.h>
#include <zstd.h>

#include "base/digest.h"
#include "base/fs.h"
#include "templates/bytes.h"
#include "templates/writer_state.h"

/* Level 2 with a table that the processor's nearest cache holds: 30 % faster than level 2 itself,
 * and 2 % more is stored.  Level 1 is as fast and stores 5 % more than level 2; 3 takes 40 % longer
 * and stores 4 % less. */
#define LEVEL_DEFAULT    2
#define HASH_LOG_DEFAULT 14
#define TABLES_MAX       (UINT64_C(1) << 36)
/* Bytes of a pack after which the disk may begin with them, so that little is left for the fsync.
 */
#define WRITE_BACK (UINT64_C(8) << 20)

void writer_frame_row(const struct pack_frame *f, unsigned char row[PACK_FRAME_SIZE])
{
    bytes_put64(row, f->offset);
    bytes_put32(row + 8, f->stored);
    bytes_put32(row + 12, f->raw);
    bytes_put64(row + 16, f->checksum);
}

static int begin_pack(struct writer *w, struct error *err)
{
    CLEANUP(buf_release) struct buf header = BUF_INIT(PACK_HEADER_SIZE);
    struct out *outs = reallocarray(w->outs, w->n_outs + 1, sizeof(*outs));
    struct out *o;

    if (!outs)
        return error_set(err, ERR_SYSTEM, "pack: out of memory");
    w->outs = outs;
    o = &outs[w->n_outs];
    *o = (struct out){.file = STORAGE_FILE_INIT, .offset = PACK_HEADER_SIZE};
    if (storage_create(w->store->storage, &o->file, err) < 0)
        return -1;
    w->n_outs++;
    memcpy(o->name, w->family, PACK_FAMILY);
    digest_random_name(o->name + PACK_FAMILY, PACK_NAME - PACK_FAMILY);
    pack_add_header(&header);
    return fs_write_all(o->file.fd, header.data, header.len, err);
}

/* With the mutex: where the frame goes. */
static int place_frame(struct writer *w, uint32_t frame, const struct pack_frame *f, int *ret_fd,
                       uint64_t *ret_offset, struct error *err)
{
    struct out *o;

    if ((w->n_outs == 0 || w->outs[w->n_outs - 1].offset >= PACK_CUT) && begin_pack(w, err) < 0)
        return -1;
    o = &w->outs[w->n_outs - 1];
    if (o->n_frames == o->cap_frames) {
        uint32_t cap = o->cap_frames ? o->cap_frames * 2 : 256;
        struct pack_frame *frames = reallocarray(o->frames, cap, sizeof(*frames));

        if (!frames)
            return error_set(err, ERR_SYSTEM, "pack: out of memory");
        o->frames = frames;
        o->cap_frames = cap;
    }
    w->frames[frame].out = (uint32_t)w->n_outs - 1;
    w->frames[frame].row = o->n_frames;
    o->frames[o->n_frames] = *f;
    o->frames[o->n_frames++].offset = o->offset;
    *ret_fd = o->file.fd;
    *ret_offset = o->offset;
    o->offset += f->stored;
    return 0;
}

/* With the mutex: the frame is on disk, and the oldest young one becomes old. */
static void keep_young(struct writer *w, uint32_t frame)
{
    uint32_t *place = &w->young[w->n_young % YOUNG_FRAMES];

    if (w->n_young >= YOUNG_FRAMES) {
        w->spare[w->n_spare++] = w->frames[*place].raw;
        w->frames[*place].raw = NULL;
        if (w->n_spare == YOUNG_FRAMES)
            free(w->spare[--w->n_spare]);
    }
    *place = frame;
    w->n_young++;
}

static int write_at(int fd, uint64_t offset, const unsigned char *data, size_t len,
                    struct error *err)
{
    return fs_pwrite(fd, data, len, offset) < 0 ? error_errno(err, errno, "write a pack") : 0;
}

void *writer_compressor_new(const struct template_options *options)
{
    const int level = options->level ? options->level : LEVEL_DEFAULT;
    ZSTD_CCtx *c = ZSTD_createCCtx();

    if (!c || ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level)) ||
        (!options->level &&
         ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_hashLog, HASH_LOG_DEFAULT)))) {
        (void)ZSTD_freeCCtx(c);
        return NULL;
    }
    return c;
}

static struct pack_frame compress(struct writer *w, struct writer_hand *h, const unsigned char *raw,
                                  uint32_t len, const unsigned char **ret_stored)
{
    struct pack_frame f = {.raw = len, .stored = len};
    size_t n = ZSTD_compress2(h->cctx, h->stored, ZSTD_compressBound(FRAME_MAX), raw, len);

    *ret_stored = raw;
    if (!ZSTD_isError(n) && n < len - len / 32) {
        f.stored = (uint32_t)n;
        *ret_stored = h->stored;
    }
    f.checksum = hasher_checksum(&w->store->hasher, *ret_stored, f.stored);
    return f;
}

/* With the mutex: the bytes of the last pack that are new since this was asked last, once they are
 * many.  Some may still be on their way to the file, which is as good. */
static bool due_to_disk(struct writer *w, int *ret_fd, uint64_t *ret_from, uint64_t *ret_len)
{
    struct out *o = &w->outs[w->n_outs - 1];

    if (o->offset - o->sent < WRITE_BACK)
        return false;
    *ret_fd = o->file.fd;
    *ret_from = o->sent;
    *ret_len = o->offset - o->sent;
    o->sent = o->offset;
    return true;
}

int writer_write_frame(struct writer *w, struct writer_hand *h, uint32_t frame, struct error *err)
{
    uint64_t from = 0, many = 0;
    bool due;
    const unsigned char *stored = NULL;
    const unsigned char *raw;
    struct pack_frame f;
    uint64_t offset = 0;
    uint32_t len;
    int fd = -1;
    int result;

    (void)pthread_mutex_lock(&w->mutex);
    raw = w->frames[frame].raw;
    len = w->frames[frame].len;
    (void)pthread_mutex_unlock(&w->mutex);
    f = compress(w, h, raw, len, &stored);
    (void)pthread_mutex_lock(&w->mutex);
    result = place_frame(w, frame, &f, &fd, &offset, err);
    (void)pthread_mutex_unlock(&w->mutex);
    if (result < 0 || write_at(fd, offset, stored, f.stored, err) < 0)
        return -1;
    (void)pthread_mutex_lock(&w->mutex);
    keep_young(w, frame);
    due = due_to_disk(w, &fd, &from, &many);
    (void)pthread_mutex_unlock(&w->mutex);
    if (due) /* a favour to the fsync, which is what counts and says what goes wrong */
        (void)sync_file_range(fd, (off_t)from, (off_t)many, SYNC_FILE_RANGE_WRITE);
    return 0;
}

/* ---- commit ---- */

static int compare_chunks(const void *a, const void *b)
{
    return address_compare(((const struct pack_chunk *)a)->address,
                           ((const struct pack_chunk *)b)->address);
}

static int write_tables(struct writer *w, uint32_t out, struct pack_chunk *rows, struct error *err)
{
    CLEANUP(buf_release) struct buf tables = BUF_INIT(TABLES_MAX);
    struct out *o = &w->outs[out];
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n_fresh; i++) {
        const struct fresh *c = &w->fresh[i];

        if (w->frames[c->frame].out == out)
            rows[n++] = (struct pack_chunk){.address = c->address,
                                            .frame = w->frames[c->frame].row,
                                            .offset = c->offset,
                                            .len = c->len};
    }
    qsort(rows, n, sizeof(*rows), compare_chunks);
    pack_add_tables(&w->store->hasher, o->offset, o->frames, o->n_frames, rows, n, &tables);
    if (buf_check(&tables, "the tables of a pack", err) < 0 ||
        write_at(o->file.fd, o->offset, (const unsigned char *)tables.data, tables.len, err) < 0)
        return -1;
    w->counts.bytes_stored += o->offset + tables.len;
    return storage_commit(w->store->storage, &o->file, AREA_PACKS, o->name, err);
}

int writer_commit(struct writer *w, struct writer_hand *h, struct error *err)
{
    CLEANUP_FREE struct pack_chunk *rows = NULL;

    for (size_t i = 0; i < WRITER_KINDS; i++)
        if (w->open[i] != UINT32_MAX) {
            uint32_t frame = w->open[i];

            w->open[i] = UINT32_MAX;
            if (writer_write_frame(w, h, frame, err) < 0)
                return -1;
        }
    rows = calloc((size_t)w->n_fresh + 1, sizeof(*rows));
    if (!rows)
        return error_set(err, ERR_SYSTEM, "pack: out of memory");
    for (size_t i = 0; i < w->n_outs; i++)
        if (write_tables(w, (uint32_t)i, rows, err) < 0)
            return error_wrap(err, "finish a pack");
    return 0;
}
