/* templates/pipeline — see the header. */
#include "templates/pipeline.h"

#include <string.h>

#include "base/text.h"

struct worker {
    pthread_t thread;
    bool started;
    struct batches *batches;
    const struct pipeline_input *in;
    struct writer_hand *hand;
    void *source_hand;
    size_t next_cut;
};

struct finisher {
    pthread_t thread;
    bool started;
    struct batches *batches;
    struct writer *writer;
    struct writer_hand *hand;
    struct sha256 *sha;
    struct pipeline_result *result;
    struct buf node;
    size_t n_entries;
    uint64_t offset, node_start;
    struct entry zeros; /* a run of zeros that may go on; len 0: none */
    size_t cap_nodes;
};

/* ---- workers ---- */

static bool is_zero(const unsigned char *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* The file of a piece, into it and the slots after it. */
static int read_file(struct worker *w, struct batch *b, struct piece *p, struct error *err)
{
    const struct tree *t = w->in->tree;
    const uint32_t node = p->fetch, size = (uint32_t)t->nodes[node].size;
    const struct piece whole = *p;
    unsigned char *data = b->data + p->at;
    uint32_t done = 0;

    if (source_fetch(w->in->source, w->source_hand, t, node, data, err) < 0) {
        char path[PATH_MAX];

        nodes_path(t, node, path);
        return error_wrap(err, "content of %s", text_show(path).text);
    }
    while (done < size) {
        *p = (struct piece){.has_data = true,
                            .at = whole.at + done,
                            .fetch = TREE_NONE,
                            .origin = origin_at(whole.origin, done)};
        p->len = cuts_find(w->in->cuts, &w->next_cut, data + done, size - done, true, &p->address,
                           &p->hashed);
        done += (uint32_t)p->len;
        p->pad = done == size;
        p++;
    }
    return 0;
}

static int read_batch(struct worker *w, struct batch *b, struct error *err)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (b->pieces[i].fetch != TREE_NONE && read_file(w, b, &b->pieces[i], err) < 0)
            return -1;
    return 0;
}

static int store_batch(struct worker *w, struct batch *b, struct error *err)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct piece *p = &b->pieces[i];
        const struct address hash = p->address;
        const struct writer_chunk chunk = {.kind = WRITER_CONTENT,
                                           .data = b->data + p->at,
                                           .len = (uint32_t)p->len,
                                           .origin = p->origin,
                                           .hash = p->hashed ? &hash : NULL};

        if (!p->has_data)
            continue;
        p->zero = is_zero(chunk.data, chunk.len);
        if (!p->zero && writer_add(w->in->writer, w->hand, &chunk, &p->address, err) < 0)
            return -1;
    }
    return 0;
}

static int do_batch(struct worker *w, struct batch *b, struct error *err)
{
    if (read_batch(w, b, err) < 0)
        return -1;
    batches_advance(w->batches, b, BATCH_READ);
    if (store_batch(w, b, err) < 0)
        return -1;
    batches_advance(w->batches, b, BATCH_STORED);
    return 0;
}

static void *work(void *self)
{
    struct worker *w = self;
    struct error err = ERROR_INIT;

    for (struct batch *b = batches_to_store(w->batches); b; b = batches_to_store(w->batches)) {
        if (do_batch(w, b, &err) < 0) {
            batches_fail(w->batches, &err);
            break;
        }
    }
    return NULL;
}

/* ---- the finisher ---- */

static void hash_zeros(struct sha256 *s, uint64_t len)
{
    static const unsigned char zeros[65536];

    for (; len > 0; len -= len < sizeof(zeros) ? len : sizeof(zeros))
        sha256_add(s, zeros, len < sizeof(zeros) ? (size_t)len : sizeof(zeros));
}

/* Runs while the batch, which was read, is being stored: `zero` and `address` are not looked at. */
static void hash_batch(struct finisher *f, const struct batch *b, uint64_t offset)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const struct piece *p = &b->pieces[i];
        struct entry e = {.pad = p->pad, .len = p->len};
        uint64_t span = entry_span(&e, offset);

        if (p->has_data)
            sha256_add(f->sha, b->data + p->at, p->len);
        hash_zeros(f->sha, p->has_data ? span - p->len : span);
        offset += span;
    }
}

static int end_node(struct finisher *f, struct error *err)
{
    struct pipeline_result *r = f->result;
    struct writer_chunk node;

    if (f->n_entries == 0)
        return 0;
    if (r->n_nodes + 1 >= f->cap_nodes) {
        size_t cap = f->cap_nodes ? f->cap_nodes * 2 : 64;
        struct node_ref *nodes = reallocarray(r->nodes, cap, sizeof(*nodes));

        if (!nodes)
            return error_set(err, ERR_SYSTEM, "pack: out of memory");
        r->nodes = nodes;
        f->cap_nodes = cap;
    }
    if (buf_check(&f->node, "a node", err) < 0)
        return -1;
    node = (struct writer_chunk){.kind = WRITER_NODE,
                                 .data = f->node.data,
                                 .len = (uint32_t)f->node.len,
                                 .origin = WRITER_NOWHERE};
    if (writer_add(f->writer, f->hand, &node, &r->nodes[r->n_nodes].address, err) < 0)
        return -1;
    r->nodes[r->n_nodes++].start = f->node_start;
    r->nodes[r->n_nodes].start = f->offset;
    f->node_start = f->offset;
    f->n_entries = 0;
    buf_clear(&f->node);
    return 0;
}

static int put_entry(struct finisher *f, const struct entry *e, struct error *err)
{
    entry_add(&f->node, e);
    f->n_entries++;
    f->offset += entry_span(e, f->offset);
    return entry_ends_node(e, f->n_entries) ? end_node(f, err) : 0;
}

static int flush_zeros(struct finisher *f, struct error *err)
{
    struct entry e = f->zeros;

    f->zeros.len = 0;
    f->result->bytes_zero += e.len;
    return e.len ? put_entry(f, &e, err) : 0;
}

/* Runs of zeros come together, so that equal images have equal nodes. */
static int list_batch(struct finisher *f, const struct batch *b, struct error *err)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const struct piece *p = &b->pieces[i];
        struct entry e = {.zero = p->zero, .pad = p->pad, .len = p->len, .address = p->address};

        if (p->len == 0)
            continue;
        if (p->zero) {
            f->zeros.zero = true;
            f->zeros.len += entry_span(&e, f->offset + f->zeros.len);
            continue;
        }
        if (flush_zeros(f, err) < 0 || put_entry(f, &e, err) < 0)
            return -1;
        f->result->chunks++;
    }
    return 0;
}

static int finish_all(struct finisher *f, struct error *err)
{
    uint64_t hashed = 0;

    for (struct batch *b = batches_to_finish(f->batches); b; b = batches_to_finish(f->batches)) {
        if (!batches_wait(f->batches, b, BATCH_READ))
            return 0; /* somebody else failed, and has said why */
        hash_batch(f, b, hashed);
        if (!batches_wait(f->batches, b, BATCH_STORED))
            return 0;
        if (list_batch(f, b, err) < 0)
            return -1;
        hashed = f->offset + f->zeros.len;
        batches_finished(f->batches);
    }
    return flush_zeros(f, err) < 0 ? -1 : end_node(f, err);
}

static void *finish(void *self)
{
    struct finisher *f = self;
    struct error err = ERROR_INIT;
    unsigned char digest[SHA256_SIZE];

    if (finish_all(f, &err) < 0)
        batches_fail(f->batches, &err);
    sha256_end(f->sha, digest);
    digest_hex(digest, sizeof(digest), f->result->digest);
    return NULL;
}

/* ---- the whole ---- */

static int start_workers(struct worker *workers, unsigned n, struct batches *b,
                         const struct pipeline_input *in, struct error *err)
{
    for (unsigned i = 0; i < n; i++) {
        workers[i].batches = b;
        workers[i].in = in;
        if (writer_hand_new(in->writer, &workers[i].hand, err) < 0 ||
            source_hand_new(in->source, &workers[i].source_hand, err) < 0)
            return -1;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return error_set(err, ERR_SYSTEM, "pack: no thread to be had");
        workers[i].started = true;
    }
    return 0;
}

static int start_finisher(struct finisher *f, struct batches *b, const struct pipeline_input *in,
                          struct error *err)
{
    f->batches = b;
    f->writer = in->writer;
    if (sha256_new(&f->sha, err) < 0 || writer_hand_new(in->writer, &f->hand, err) < 0)
        return -1;
    if (pthread_create(&f->thread, NULL, finish, f) != 0)
        return error_set(err, ERR_SYSTEM, "pack: no thread to be had");
    f->started = true;
    return 0;
}

static void join(struct worker *workers, unsigned n, struct finisher *f)
{
    for (unsigned i = 0; i < n; i++) {
        if (workers[i].started)
            (void)pthread_join(workers[i].thread, NULL);
        writer_hand_free(workers[i].hand);
        if (workers[i].in)
            source_hand_free(workers[i].in->source, workers[i].source_hand);
    }
    if (f->started)
        (void)pthread_join(f->thread, NULL);
    writer_hand_free(f->hand);
    sha256_free(f->sha);
    buf_release(&f->node);
}

int image_store(const struct pipeline_input *in, struct pipeline_result *ret, struct error *err)
{
    struct batches b;
    struct finisher f = {.result = ret, .node = BUF_INIT(NODE_MAX)};
    CLEANUP_FREE struct worker *workers = calloc(in->threads, sizeof(*workers));
    int result = -1;

    *ret = (struct pipeline_result){.n_nodes = 0};
    if (!workers)
        return error_set(err, ERR_SYSTEM, "pack: out of memory");
    writer_compare_with(in->writer, in->source->plain_fd);
    if (batches_init(&b, 2 * (size_t)in->threads + 4, err) == 0 &&
        start_workers(workers, in->threads, &b, in, err) == 0 &&
        start_finisher(&f, &b, in, err) == 0)
        result = image_feed(&b, in, err);
    if (result < 0)
        batches_fail(&b, err);
    batches_end(&b);
    join(workers, in->threads, &f);
    if (b.failed) {
        *err = b.error;
        free(ret->nodes);
        ret->nodes = NULL;
        result = -1;
    }
    batches_release(&b);
    return result;
}
