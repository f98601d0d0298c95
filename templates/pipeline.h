/* templates/pipeline — an image's bytes, in order, become chunks, a digest and nodes.
 *
 *   the caller's thread   fills batches in the order of the image: reads and cuts metadata and
 * large files, and leaves room for small ones workers               read and cut the small ones of
 * a batch; hash, look up, compare, compress and store its chunks the finisher          takes the
 * batches in their order: SHA-256, and entries of nodes
 *
 * Memory is the batches, and a frame for each worker. */
#ifndef TEMPLATES_PIPELINE_H
#define TEMPLATES_PIPELINE_H

#include "templates/cuts.h"
#include "templates/image.h"
#include "templates/source.h"
#include "templates/writer.h"

struct pipeline_result {
    struct node_ref *nodes; /* n_nodes + 1; the caller's to free */
    size_t n_nodes;
    char digest[SHA256_HEX];
    uint64_t chunks, bytes_zero;
};

struct pipeline_input {
    struct writer *writer;
    const struct tree *tree;
    const struct cuts *cuts;
    const struct image *image;
    struct source *source;
    unsigned threads;
    const struct template_progress *progress;
    const struct cancel *cancel;
};

MUST_CHECK int image_store(const struct pipeline_input *input, struct pipeline_result *ret,
                           struct error *err);

/* ---- batches.c: the queue between the three ---- */

#define BATCH_SIZE   (1u << 20)
#define BATCH_ROOM   (BATCH_SIZE + CHUNK_MAX) /* a chunk that was begun finds room */
#define BATCH_PIECES 2048

struct piece {
    bool has_data; /* its bytes are in the batch; else they are zeros */
    bool pad;      /* as in struct entry */
    bool zero;     /* likewise; known once the batch is stored */
    bool
        hashed; /* address is the hash of the bytes; and once the batch is stored, where they are */
    uint32_t at;     /* in the batch's data */
    uint32_t fetch;  /* TREE_NONE, or a file that is to be read to there, and cut to this piece and
                      * the empty ones after it */
    uint64_t len;    /* of data at most CHUNK_MAX, once it is read; 0: there is none */
    uint64_t origin; /* as in struct writer_chunk */
    struct address address;
};

/* Of what begins `done` bytes after a place. */
static inline uint64_t origin_at(uint64_t place, uint64_t done)
{
    return place == WRITER_NOWHERE ? WRITER_NOWHERE : place + done;
}

struct batch {
    unsigned char *data;
    uint32_t used;
    struct piece *pieces;
    uint32_t n;
    enum batch_state { BATCH_FREE, BATCH_FILLED, BATCH_TAKEN, BATCH_READ, BATCH_STORED } state;
};

struct batches {
    struct batch *ring;
    size_t n;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t filled, taken, finished; /* how many batches ever were */
    bool ended;                       /* no further batch will be filled */
    bool failed;
    struct error error; /* the first one */
};

MUST_CHECK int batches_init(struct batches *b, size_t n, struct error *err);
void batches_release(struct batches *b);
/* Each waits, and returns NULL when there is no further batch, or somebody failed. */
struct batch *batches_to_fill(struct batches *b);
struct batch *batches_to_store(struct batches *b);
/* The next in order comes when it is filled; batches_wait waits until it is read or stored, and
 * says false when somebody failed. */
struct batch *batches_to_finish(struct batches *b);
bool batches_wait(struct batches *b, const struct batch *batch, enum batch_state state);
void batches_filled(struct batches *b);
/* To BATCH_READ, then to BATCH_STORED. */
void batches_advance(struct batches *b, struct batch *batch, enum batch_state state);
void batches_finished(struct batches *b);
void batches_end(struct batches *b);
void batches_fail(struct batches *b, const struct error *err);

/* ---- feeder.c: the caller's part ---- */

MUST_CHECK int image_feed(struct batches *b, const struct pipeline_input *input, struct error *err);

#endif
