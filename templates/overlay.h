/* templates/overlay — a file with the blocks of a volume that were written, and which those are.
 *
 *   0        header, 4096 bytes: whose blocks these lie over
 *   4096     a bit for each block: it is here
 *   2^30     the blocks, each at its place; what is zero may be a hole
 *
 * A bit reaches the disk after its block has, and is never taken back; so whatever of the bitmap a
 * crash leaves is true, and only what was not flushed is lost.  docs/volumes.md is the
 * specification. */
#ifndef TEMPLATES_OVERLAY_H
#define TEMPLATES_OVERLAY_H

#include <pthread.h>

#include "templates/bits.h"
#include "templates/templates.h"

#define OVERLAY_BLOCK    4096u
#define OVERLAY_HOLDER   32 /* bytes with the NUL */
#define OVERLAY_SIZE_MAX (UINT64_C(1) << 44)

struct overlay_header {
    uint64_t size; /* bytes of the volume */
    struct template_ref ref;
    char digest[SHA256_HEX];     /* of the image below */
    char holder[OVERLAY_HOLDER]; /* the name it holds the revision by */
};

struct overlay {
    int fd; /* flocked */
    struct overlay_header header;
    struct bits written;
    pthread_mutex_t mutex; /* over writes: a block that is written in part is read before */
    pthread_mutex_t flushing;
    bool *dirty; /* for each 4096 bytes of the bitmap: not on disk yet; with mutex */
    size_t n_dirty;
    bool broken; /* a sync was refused: what is on disk is not known any more */
};

/* Opens and locks the file.  *ret_there false: there is none.  ERR_INPUT when another process (or
 * another overlay of this one) has it, or when it is no overlay. */
MUST_CHECK int overlay_open(const char *path, struct overlay *ret, bool *ret_there,
                            struct error *err);
/* Makes the file, durably, and opens it.  ERR_INPUT when there is one. */
MUST_CHECK int overlay_create(const char *path, const struct overlay_header *h, struct overlay *ret,
                              struct error *err);
/* What was not flushed is flushed, if that works. */
void overlay_release(struct overlay *o);

/* Makes the volume longer, durably. */
MUST_CHECK int overlay_grow(struct overlay *o, uint64_t size, struct error *err);

/* Of blocks that are here. */
MUST_CHECK int overlay_read(const struct overlay *o, uint64_t offset, void *data, size_t len,
                            struct error *err);
/* *ret_len: bytes from offset on, at most len, that are all zeros for certain, or may be none. */
void overlay_extent(const struct overlay *o, uint64_t offset, uint64_t len, uint64_t *ret_len,
                    bool *ret_zero);

/* With the mutex.  put: bytes, of blocks that are here or will be.  take: blocks are here now. */
MUST_CHECK int overlay_put(struct overlay *o, uint64_t offset, const void *data, size_t len,
                           struct error *err);
MUST_CHECK int overlay_put_zeros(struct overlay *o, uint64_t offset, uint64_t len,
                                 struct error *err);
void overlay_take(struct overlay *o, uint64_t block, uint64_t count);

/* All that was written before is on disk.  Without the mutex. */
MUST_CHECK int overlay_flush(struct overlay *o, struct error *err);

#endif
