/* templates/writer_state — the inside of a writer, for writer.c and writer_packs.c. */
#ifndef TEMPLATES_WRITER_STATE_H
#define TEMPLATES_WRITER_STATE_H

#include "templates/writer.h"

#define YOUNG_FRAMES 32 /* written frames whose raw bytes are kept: 8 MiB, seldom 16 */

struct fresh {
    struct address address;
    uint64_t origin;
    uint32_t frame; /* in writer.frames */
    uint32_t offset, len;
};

struct frame_state {
    unsigned char *raw; /* NULL once it is old */
    uint32_t len;
    uint32_t out, row; /* where it was written */
};

/* A pack on its way. */
struct out {
    struct storage_file file;
    uint64_t offset;
    uint64_t sent; /* up to where the disk was told to begin */
    struct pack_frame *frames;
    uint32_t n_frames, cap_frames;
    char name[PACK_NAME + 1];
};

struct writer {
    struct template_store *store;
    struct view view; /* of the session's beginning */
    int session;
    char family[PACK_FAMILY + 1]; /* what the names of its packs begin with */
    uint32_t *bases;              /* number of each pack's first chunk */
    uint32_t n_old;               /* chunks in the view */
    int origin_fd;

    pthread_mutex_t mutex; /* over all that follows */
    uint32_t *slots;       /* numbers of chunks, by address */
    size_t n_slots;        /* a power of 2 */
    uint64_t *origins;     /* of chunks in the view: 0, or the origin of their bytes plus 1 */
    struct fresh *fresh;
    uint32_t n_fresh;
    size_t cap_fresh;
    struct frame_state *frames;
    size_t n_frames, cap_frames;
    uint32_t open[WRITER_KINDS];
    uint32_t young[YOUNG_FRAMES]; /* a ring */
    size_t n_young;
    unsigned char *spare[YOUNG_FRAMES];
    size_t n_spare;
    struct out *outs;
    size_t n_outs;
    struct writer_counts counts;
};

struct writer_hand {
    struct reader reader;
    void *cctx;
    unsigned char *stored; /* compressed bytes */
    unsigned char *raw;    /* of raw_frame, read back */
    uint32_t raw_frame;
};

/* A ZSTD_CCtx, or NULL when memory ran out. */
void *writer_compressor_new(const struct template_options *options);

void writer_frame_row(const struct pack_frame *f, unsigned char row[PACK_FRAME_SIZE]);

/* Compresses a full frame and puts it into a pack. */
MUST_CHECK int writer_write_frame(struct writer *w, struct writer_hand *h, uint32_t frame,
                                  struct error *err);

#endif
