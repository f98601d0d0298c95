/* templates/store — a workspace's chunks: packs that are open, and reading one chunk, verified.
 *
 * A view is the packs as they were when it was taken.  Packs are never changed, and an open one can
 * be read after its removal, so a view stays good for as long as it lives. */
#ifndef TEMPLATES_STORE_H
#define TEMPLATES_STORE_H

#include <pthread.h>

#include "templates/pack_file.h"
#include "templates/storage.h"
#include "templates/templates.h"

struct template_store {
    struct storage *storage;
    struct hasher hasher;
    struct template_options options;
};

/* Takes over the storage, also on -1. */
MUST_CHECK int store_open(struct storage *storage, const struct template_options *options,
                          struct template_store **ret, struct error *err);

struct view {
    const struct hasher *hasher;
    struct pack *packs;
    size_t n_packs;
};

/* Opens every pack; condemned ones too if asked for. */
MUST_CHECK int view_open(struct template_store *s, bool condemned, struct view *ret,
                         struct error *err);
void view_release(struct view *v);

/* False when no pack has it.  near: the pack to look into first, and where it was found. */
bool view_find(const struct view *v, struct address a, size_t *near, struct pack_chunk *ret);

/* ---- reading chunks ---- */

/* The last frames that one thread has read. */
#define READER_FRAMES 8
struct reader {
    const struct view *view;
    void *dctx;
    unsigned char *stored;
    struct {
        unsigned char *raw; /* NULL until used */
        const struct pack *pack;
        uint32_t frame;
        uint64_t used;
    } frames[READER_FRAMES];
    size_t keep; /* how many frames to keep; READER_FRAMES, unless less is asked for */
    uint64_t clock;
    size_t near;
};
MUST_CHECK int reader_init(struct reader *r, const struct view *view, struct error *err);
void reader_release(struct reader *r);

/* *ret_data: c->len bytes, borrowed until READER_FRAMES other frames were read.  They are what was
 * written (frame and chunk checked). */
MUST_CHECK int reader_chunk(struct reader *r, const struct pack *p, const struct pack_chunk *c,
                            const unsigned char **ret_data, struct error *err);
/* Whether a chunk is these c->len bytes, which are known to be valid under its address. */
MUST_CHECK int reader_equals(struct reader *r, const struct pack *p, const struct pack_chunk *c,
                             const void *data, bool *ret, struct error *err);
/* Where an address is: a row of pack r->near.  ERR_SYSTEM when the store does not have it. */
MUST_CHECK int reader_find(struct reader *r, struct address a, struct pack_chunk *ret,
                           struct error *err);
/* The chunk itself, likewise. */
MUST_CHECK int reader_address(struct reader *r, struct address a, const unsigned char **ret_data,
                              uint32_t *ret_len, struct error *err);

/* How many threads to work with: as the store's options say, else one for each core. */
unsigned store_threads(const struct template_store *s, unsigned max);

#endif
