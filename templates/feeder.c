/* templates/feeder — an image in its order, cut into pieces.
 *
 * Contents are cut from the file's own start, by cdc; metadata at multiples of METADATA_CUT of the
 * image; what is neither is a run of zeros.  Small files are left to who stores the batch. */
#include <errno.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "templates/cdc.h"
#include "templates/pipeline.h"

#define METADATA_CUT (16u << 10)
#define TICK         (8u << 20) /* bytes between two reports of progress */

struct feeder {
    struct batches *batches;
    const struct pipeline_input *in;
    struct batch *batch; /* that is being filled */
    uint64_t block;      /* of the image, up to where all was told */
    size_t next_cut;
    uint64_t fed, told; /* bytes */
};

/* Segments of the file that is being read. */
struct content {
    uint64_t offset; /* in the file */
    const struct segment *segments;
    uint32_t n;
    bool sparse;
    uint64_t size;
    uint64_t origin; /* where the archive has the file as it is; or WRITER_NOWHERE */
};

static int stopped(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "pack: stopped");
}

/* ---- batches ---- */

static int hand_over(struct feeder *f, struct error *err)
{
    const struct template_progress *p = f->in->progress;

    if (f->batch)
        batches_filled(f->batches);
    f->batch = NULL;
    if (f->in->cancel && cancel_is_thrown(f->in->cancel))
        return error_set(err, ERR_INPUT, "pack: cancelled");
    if (p && f->fed - f->told >= TICK) {
        f->told = f->fed;
        p->report(p->self, TEMPLATE_PACKING, f->fed, f->in->image->n_blocks * IMAGE_BLOCK);
    }
    return 0;
}

/* A batch with room for a piece, which may be longer than that by CHUNK_MAX; or for len bytes. */
static int need_batch(struct feeder *f, uint32_t pieces, uint32_t len, struct error *err)
{
    if (f->batch &&
        (f->batch->used >= BATCH_SIZE || f->batch->used + len > BATCH_ROOM ||
         f->batch->n + pieces > BATCH_PIECES) &&
        hand_over(f, err) < 0)
        return -1;
    if (!f->batch)
        f->batch = batches_to_fill(f->batches);
    return f->batch ? 0 : stopped(err);
}

static void add_piece(struct feeder *f, struct piece p)
{
    f->batch->pieces[f->batch->n++] = p;
    f->fed += p.len;
}

static int add_zeros(struct feeder *f, uint64_t len, struct error *err)
{
    if (need_batch(f, 1, 0, err) < 0)
        return -1;
    add_piece(f, (struct piece){.zero = true, .fetch = TREE_NONE, .len = len});
    return 0;
}

/* ---- metadata ---- */

static int read_metadata(const struct image *m, uint64_t at, unsigned char *data, size_t len,
                         struct error *err)
{
    const ssize_t got = fs_pread(m->fd, data, len, at);

    if (got < 0)
        return error_errno(err, errno, "read the image's metadata");
    memset(data + got, 0, len - (size_t)got); /* the file may end before the image does */
    return 0;
}

/* Blocks from f->block, at most up to end, that are all written or all not. */
static uint64_t stretch(const struct feeder *f, uint64_t end, bool *ret_written)
{
    const struct image *m = f->in->image;
    uint64_t block = f->block;

    *ret_written = image_is_written(m, block);
    while (block < end && image_is_written(m, block) == *ret_written)
        block++;
    return block - f->block;
}

static int add_metadata(struct feeder *f, uint64_t blocks, struct error *err)
{
    uint64_t at = f->block * IMAGE_BLOCK;
    const uint64_t end = at + blocks * IMAGE_BLOCK;

    while (at < end) {
        uint64_t cut = (at / METADATA_CUT + 1) * METADATA_CUT;
        uint32_t len = (uint32_t)((cut < end ? cut : end) - at);

        if (need_batch(f, 1, 0, err) < 0 ||
            read_metadata(f->in->image, at, f->batch->data + f->batch->used, len, err) < 0)
            return -1;
        add_piece(f, (struct piece){.has_data = true,
                                    .at = f->batch->used,
                                    .fetch = TREE_NONE,
                                    .len = len,
                                    .origin = WRITER_NOWHERE});
        f->batch->used += len;
        at += len;
    }
    return 0;
}

/* All up to a block: metadata and zeros. */
static int feed_gap(struct feeder *f, uint64_t end, struct error *err)
{
    while (f->block < end) {
        bool written;
        uint64_t n = stretch(f, end, &written);

        if ((written ? add_metadata(f, n, err) : add_zeros(f, n * IMAGE_BLOCK, err)) < 0)
            return -1;
        f->block += n;
    }
    return 0;
}

/* ---- contents ---- */

/* The next len bytes of the file, holes as zeros. */
static int read_content(struct feeder *f, struct content *c, unsigned char *data, size_t len,
                        struct error *err)
{
    if (!c->sparse) {
        if (source_read(f->in->source, c->offset, data, len, err) < 0)
            return -1;
        c->offset += len;
        return 0;
    }
    while (len > 0) {
        uint64_t start = c->n ? c->segments->offset : c->size;
        uint64_t end = c->n ? start + c->segments->len : UINT64_MAX;
        bool hole = c->offset < start || !c->n;
        uint64_t left = (hole && c->n ? start : hole ? UINT64_MAX : end) - c->offset;
        size_t n = left < len ? (size_t)left : len;

        if (hole)
            memset(data, 0, n);
        else if (source_read(f->in->source, c->offset, data, n, err) < 0)
            return -1;
        c->offset += n;
        data += n;
        len -= n;
        if (c->n && c->offset == end) {
            c->segments++;
            c->n--;
        }
    }
    return 0;
}

/* What is left of a batch that is full goes on in the next. */
static int carry_over(struct feeder *f, uint32_t from, uint32_t len, struct error *err)
{
    CLEANUP_FREE unsigned char *carried = malloc(len ? len : 1);

    if (!carried)
        return error_set(err, ERR_SYSTEM, "pack: out of memory");
    memcpy(carried, f->batch->data + from, len);
    f->batch->used = from;
    if (hand_over(f, err) < 0 || need_batch(f, 1, 0, err) < 0)
        return -1;
    memcpy(f->batch->data, carried, len);
    return 0;
}

/* len bytes of a file that lie together in the image. */
static int feed_stretch(struct feeder *f, struct content *c, uint64_t len, struct error *err)
{
    uint64_t origin = origin_at(c->origin, c->offset);
    uint32_t start, filled; /* of the batch: bytes that are read and not cut yet */

    if (need_batch(f, 1, 0, err) < 0)
        return -1;
    start = filled = f->batch->used;
    while (len > 0 || filled > start) {
        struct piece p = {.has_data = true, .fetch = TREE_NONE};
        uint32_t room = BATCH_ROOM - filled;
        uint32_t n = len < room ? (uint32_t)len : room;

        if (n > 0 && read_content(f, c, f->batch->data + filled, n, err) < 0)
            return -1;
        filled += n;
        len -= n;
        while (filled > start && f->batch->n < BATCH_PIECES && start < BATCH_SIZE &&
               (p.len = cuts_find(f->in->cuts, &f->next_cut, f->batch->data + start, filled - start,
                                  len == 0, &p.address, &p.hashed)) > 0) {
            p.at = start;
            p.origin = origin;
            add_piece(f, p);
            origin = origin_at(origin, p.len);
            start += (uint32_t)p.len;
        }
        if (filled == start && len == 0)
            break;
        if (carry_over(f, start, filled - start, err) < 0)
            return -1;
        filled -= start;
        start = 0;
    }
    f->batch->used = start;
    f->batch->pieces[f->batch->n - 1].pad = true;
    return 0;
}

static int feed_run(struct feeder *f, const struct node *n, struct content *c, uint64_t block,
                    uint64_t from, uint64_t count, struct error *err)
{
    uint64_t end = (from + count) * IMAGE_BLOCK;

    if (feed_gap(f, block, err) < 0)
        return -1;
    c->offset = from * IMAGE_BLOCK;
    if (feed_stretch(f, c, (end < n->size ? end : n->size) - c->offset, err) < 0)
        return -1;
    f->block = block + count;
    return 0;
}

/* Runs that follow each other in the image and in the file are one. */
static int feed_runs(struct feeder *f, const struct node *n, struct content *c, struct error *err)
{
    const struct image *m = f->in->image;
    size_t i = (size_t)(n->block & ~RUNS_FLAG);
    bool last = false;

    while (!last) {
        const struct run *r = &m->runs[i];
        uint64_t count = r->count;

        for (last = r->last, i++;
             !last && m->runs[i].from == r->from + count && m->runs[i].block == r->block + count;
             i++) {
            count += m->runs[i].count;
            last = m->runs[i].last;
        }
        if (feed_run(f, n, c, r->block, r->from, count, err) < 0)
            return -1;
    }
    return 0;
}

/* Where a file without holes stands in the archive. */
static uint64_t origin_of(const struct feeder *f, const struct node *n)
{
    return f->in->source->plain_fd < 0 ? WRITER_NOWHERE : n->data;
}

/* A file in one piece that others read. */
static int feed_whole(struct feeder *f, uint32_t index, struct error *err)
{
    const struct node *n = &f->in->tree->nodes[index];
    const uint32_t size = (uint32_t)n->size, slots = size / CDC_MIN + 1;

    if (feed_gap(f, n->block, err) < 0 || need_batch(f, slots, size, err) < 0)
        return -1;
    f->batch->pieces[f->batch->n] =
        (struct piece){.fetch = index, .at = f->batch->used, .origin = origin_of(f, n)};
    for (uint32_t i = 1; i < slots; i++)
        f->batch->pieces[f->batch->n + i] = (struct piece){.fetch = TREE_NONE};
    f->batch->n += slots;
    f->batch->used += size;
    f->fed += size;
    f->block = n->block + (size + IMAGE_BLOCK - 1) / IMAGE_BLOCK;
    return 0;
}

static int feed_file(struct feeder *f, uint32_t index, struct error *err)
{
    const struct tree *t = f->in->tree;
    const struct node *n = &t->nodes[index];
    const struct extra *x = &t->extras[n->extra];
    struct content c = {.sparse = n->extra && x->sparse, .size = n->size};

    if (!(n->block & RUNS_FLAG) && source_can_fetch(f->in->source, t, index))
        return feed_whole(f, index, err);
    c.origin = c.sparse ? WRITER_NOWHERE : origin_of(f, n);

    if (c.sparse) {
        c.segments = t->segments + x->segments;
        c.n = x->n_segments;
    }
    if (source_open(f->in->source, t, index, err) < 0)
        return -1;
    if (n->block & RUNS_FLAG)
        return feed_runs(f, n, &c, err);
    return feed_run(f, n, &c, n->block, 0, (n->size + IMAGE_BLOCK - 1) / IMAGE_BLOCK, err);
}

int image_feed(struct batches *b, const struct pipeline_input *input, struct error *err)
{
    struct feeder f = {.batches = b, .in = input};
    const struct tree *t = input->tree;

    for (uint32_t i = 0; i < t->n_nodes; i++) {
        uint32_t index = t->preorder[i];
        const struct node *n = &t->nodes[index];

        if (n->type == NODE_FILE && n->block != 0 && feed_file(&f, index, err) < 0) {
            char path[PATH_MAX];

            nodes_path(t, index, path);
            return error_wrap(err, "content of %s", text_show(path).text);
        }
    }
    if (feed_gap(&f, input->image->n_blocks, err) < 0)
        return -1;
    return hand_over(&f, err);
}
