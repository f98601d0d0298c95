/* templates/pack_file — the format of a pack: frames, a table of frames, a table of chunks.
 *
 * A frame is a run of chunks compressed together.  The tables stand at the end and are read through
 * a mapping, so that a pack costs no memory but what is looked at.  docs/template-format.md is the
 * specification. */
#ifndef TEMPLATES_PACK_FILE_H
#define TEMPLATES_PACK_FILE_H

#include "base/buf.h"
#include "templates/address.h"

#define PACK_HEADER_SIZE  16
#define PACK_TRAILER_SIZE 64
#define PACK_FRAME_SIZE   24 /* of a row of the frame table */
#define PACK_CHUNK_SIZE   24 /* of a row of the chunk table */
#define PACK_NAME         24 /* letters and digits */
#define PACK_FAMILY       16 /* of them, which all packs of one session begin with */

#define FRAME_RAW  (256u << 10)            /* a frame is closed when it holds this much */
#define CHUNK_MAX  (256u << 10)            /* bytes of the largest chunk */
#define FRAME_MAX  (FRAME_RAW + CHUNK_MAX) /* so no frame holds more */
#define FRAMES_MAX ((1u << 24) - 1)
#define CHUNKS_MAX (1u << 30)
#define PACK_CUT   (UINT64_C(512) << 20) /* a pack this long gets no further frame */

struct pack_frame {
    uint64_t offset; /* in the file */
    uint32_t stored; /* bytes there; as many as raw when not compressed */
    uint32_t raw;
    uint64_t checksum; /* of the stored bytes */
};

struct pack_chunk {
    struct address address;
    uint32_t frame;
    uint32_t offset; /* in the frame's raw bytes */
    uint32_t len;    /* 1 … CHUNK_MAX */
};

/* Where the bytes of a pack's file come from, when they are not all there yet; all NULL: they are.
 */
struct pack_origin {
    /* Has that range of the file there. */
    int (*fill)(void *self, uint64_t offset, uint64_t len, struct error *err);
    /* What is there of it is wrong: the next fill fetches it again. */
    void (*forget)(void *self, uint64_t offset, uint64_t len);
    void (*close)(void *self);
    void *self;
};

/* A pack that is open for reading. */
struct pack {
    char name[PACK_NAME + 1];
    int fd;
    struct pack_origin origin;
    uint64_t size;
    void *map; /* from a page boundary before the tables to the end of the file */
    size_t map_len;
    const unsigned char *frames;
    const unsigned char *chunks;
    uint32_t n_frames, n_chunks;
    unsigned char tables_sum[16];
};

/* Takes over fd and origin, also on -1.  Checks the trailer; the tables only as far as their size
 * goes, since what is read through them is verified.  ERR_SYSTEM, naming the pack. */
MUST_CHECK int pack_open(const struct hasher *h, const char *name, int fd,
                         struct pack_origin origin, struct pack *ret, struct error *err);
void pack_close(struct pack *p);

/* All that the tables say, against their checksum and the rules of the format. */
MUST_CHECK int pack_check_tables(const struct hasher *h, const struct pack *p, struct error *err);

struct pack_frame pack_frame(const struct pack *p, uint32_t i);
struct pack_chunk pack_chunk(const struct pack *p, uint32_t i);

/* The row of an address; false when it is not in the pack. */
bool pack_find(const struct pack *p, struct address a, uint32_t *ret);

/* Reads the stored bytes of a frame into data (room for FRAME_MAX), checks them and leaves the raw
 * ones in raw (likewise).  dctx: a ZSTD_DCtx. */
MUST_CHECK int pack_read_frame(const struct hasher *h, const struct pack *p, uint32_t i, void *dctx,
                               unsigned char *data, unsigned char *raw, struct error *err);

void pack_add_header(struct buf *out);
/* Appends tables and trailer for a pack whose frames end at offset; chunks must be sorted. */
void pack_add_tables(const struct hasher *h, uint64_t offset, const struct pack_frame *frames,
                     uint32_t n_frames, const struct pack_chunk *chunks, uint32_t n_chunks,
                     struct buf *out);

#endif
