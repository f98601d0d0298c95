/* templates/volume_fill — see the header.
 *
 * Chunks are written in the order of the packs, not of the image: what the revision needs of a
 * frame is collected first, so that each frame is decompressed once, however many files share what
 * is in it.  Most frames are a stretch of the image, and one write.
 *
 *   collect   nodes to a list of chunks with their places, sorted by frame
 *   write     threads take the frames in turn
 *
 * A list has at most WINDOW chunks: a longer image is done in several. */
#include "templates/volume_fill.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#define WINDOW   (256u << 10) /* chunks: 8 MiB, for some 2 GB */
#define VECTORS  512
#define REPORTED (8u << 20) /* bytes between two reports of progress */

struct placed {
    uint64_t at; /* in the image */
    uint32_t pack;
    struct pack_chunk chunk;
    bool pad; /* zeros follow up to the next whole block */
};

struct filler {
    const struct volume_filling *what;
    struct reader reader; /* of nodes */
    struct placed *list;
    size_t n, cap;

    pthread_mutex_t mutex; /* over what follows */
    size_t next;           /* in the list */
    uint64_t done, told;   /* bytes */
    bool failed;
    struct error error;
};

/* Chunks of a frame that follow each other in the image. */
struct stretch {
    struct iovec parts[VECTORS];
    int n;
    uint64_t at, end; /* of the image */
};

/* ---- collecting ---- */

static int add_entry(void *self, uint64_t offset, const struct entry *e, struct error *err)
{
    struct filler *f = self;
    struct reader *r = &f->reader;
    struct placed *p;

    if (e->zero) {
        f->done += e->len;
        return 0;
    }
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 4096;
        struct placed *list = reallocarray(f->list, cap, sizeof(*list));

        if (!list)
            return error_set(err, ERR_SYSTEM, "write the volume: out of memory");
        f->list = list;
        f->cap = cap;
    }
    p = &f->list[f->n++];
    *p = (struct placed){.at = offset, .pad = e->pad};
    if (reader_find(r, e->address, &p->chunk, err) < 0)
        return -1;
    p->pack = (uint32_t)r->near;
    if (p->chunk.len != e->len)
        return error_set(err, ERR_SYSTEM, "a chunk has %u bytes, and the revision says %llu",
                         p->chunk.len, (unsigned long long)e->len);
    return 0;
}

static int compare_placed(const void *a, const void *b)
{
    const struct placed *p = a, *q = b;

    if (p->pack != q->pack)
        return p->pack < q->pack ? -1 : 1;
    if (p->chunk.frame != q->chunk.frame)
        return p->chunk.frame < q->chunk.frame ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

/* From *node on, as many nodes as fill a window. */
static int collect(struct filler *f, size_t *node, struct error *err)
{
    const struct revision_root *root = f->what->root;

    f->n = f->next = 0;
    for (; *node < root->n_nodes && f->n < WINDOW; ++*node) {
        const struct node_ref *ref = &root->nodes[*node];
        const unsigned char *data = NULL;
        uint32_t len;

        if (reader_address(&f->reader, ref->address, &data, &len, err) < 0)
            return -1;
        if (node_walk(data, len, ref->start, ref[1].start, add_entry, f, err) < 0)
            return -1;
    }
    qsort(f->list, f->n, sizeof(*f->list), compare_placed);
    return 0;
}

/* ---- writing ---- */

static int flush(const struct filler *f, struct stretch *s, struct error *err)
{
    struct iovec *part = s->parts;
    uint64_t at = s->at;

    while (s->n > 0) {
        ssize_t n = pwritev(f->what->fd, part, s->n, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "write the volume");
        at += (uint64_t)n;
        for (; s->n > 0 && (size_t)n >= part->iov_len; part++, s->n--)
            n -= (ssize_t)part->iov_len;
        if (s->n > 0) {
            part->iov_base = (char *)part->iov_base + n;
            part->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static void add_part(struct stretch *s, const void *data, uint64_t len)
{
    s->parts[s->n++] = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    s->end += len;
}

/* What follows a chunk up to the next whole block is its own, and written when more comes. */
static int add_chunk(const struct filler *f, struct stretch *s, const struct placed *p,
                     const unsigned char *data, bool padded, struct error *err)
{
    static const unsigned char zeros[IMAGE_BLOCK];
    const uint64_t gap = padded ? (IMAGE_BLOCK - s->end % IMAGE_BLOCK) % IMAGE_BLOCK : 0;

    if (s->n > 0 && (s->end + gap != p->at || s->n + 2 > VECTORS) && flush(f, s, err) < 0)
        return -1;
    if (s->n == 0)
        s->at = s->end = p->at;
    else if (gap > 0)
        add_part(s, zeros, gap);
    add_part(s, data, p->chunk.len);
    return 0;
}

static int write_frame(const struct filler *f, struct reader *r, const struct placed *list,
                       size_t n, struct error *err)
{
    struct stretch s = {.n = 0};

    for (size_t i = 0; i < n; i++) {
        const struct pack *pack = &f->what->view->packs[list[i].pack];
        const unsigned char *data = NULL;

        if (reader_chunk(r, pack, &list[i].chunk, &data, err) < 0 ||
            add_chunk(f, &s, &list[i], data, i > 0 && list[i - 1].pad, err) < 0)
            return -1;
    }
    return flush(f, &s, err);
}

/* The chunks of the next frame; 0 when there is none. */
static size_t take_frame(struct filler *f, const struct placed **ret)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&f->mutex);
    *ret = f->list + f->next;
    while (!f->failed && f->next + n < f->n && (*ret)[n].pack == (*ret)->pack &&
           (*ret)[n].chunk.frame == (*ret)->chunk.frame)
        n++;
    f->next += n;
    (void)pthread_mutex_unlock(&f->mutex);
    return n;
}

static void advance(struct filler *f, const struct placed *list, size_t n)
{
    const struct template_progress *p = f->what->progress;

    (void)pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < n; i++)
        f->done += list[i].chunk.len;
    if (p && f->done - f->told >= REPORTED) {
        f->told = f->done;
        p->report(p->self, TEMPLATE_WRITING, f->done, f->what->root->info.image_size);
    }
    (void)pthread_mutex_unlock(&f->mutex);
}

static int write_frames(struct filler *f, struct reader *r, struct error *err)
{
    const struct placed *list;
    size_t n;

    while ((n = take_frame(f, &list)) > 0) {
        if (f->what->cancel && cancel_is_thrown(f->what->cancel))
            return error_set(err, ERR_INPUT, "write the volume: cancelled");
        if (write_frame(f, r, list, n, err) < 0)
            return -1;
        advance(f, list, n);
    }
    return 0;
}

static void *write_some(void *self)
{
    struct filler *f = self;
    struct reader reader;
    struct error err = ERROR_INIT;
    int result = reader_init(&reader, f->what->view, &err);

    if (result == 0) {
        reader.keep = 1; /* each frame is asked for once: the buffer stays in the cache */
        result = write_frames(f, &reader, &err);
        reader_release(&reader);
    }
    if (result < 0) {
        (void)pthread_mutex_lock(&f->mutex);
        if (!f->failed)
            f->error = err;
        f->failed = true;
        (void)pthread_mutex_unlock(&f->mutex);
    }
    return NULL;
}

static int write_window(struct filler *f, struct error *err)
{
    CLEANUP_FREE pthread_t *threads = calloc(f->what->threads, sizeof(*threads));
    unsigned started = 0;

    if (!threads)
        return error_set(err, ERR_SYSTEM, "write the volume: out of memory");
    while (started < f->what->threads &&
           pthread_create(&threads[started], NULL, write_some, f) == 0)
        started++;
    if (started == 0)
        (void)write_some(f);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    if (f->failed)
        *err = f->error;
    return f->failed ? -1 : 0;
}

int volume_fill(const struct volume_filling *what, struct error *err)
{
    struct filler f = {.what = what};
    int result = reader_init(&f.reader, what->view, err);

    (void)pthread_mutex_init(&f.mutex, NULL);
    for (size_t node = 0; result == 0 && node < what->root->n_nodes;) {
        result = collect(&f, &node, err);
        if (result == 0)
            result = write_window(&f, err);
    }
    reader_release(&f.reader);
    free(f.list);
    (void)pthread_mutex_destroy(&f.mutex);
    return result;
}
