/* templates/writer — deduplication.
 *
 * Every chunk the writer can see has a number: first the rows of the packs that were there, then
 * the fresh ones in their order.  The hash table holds numbers only, four bytes each, and compares
 * with the addresses where they are: in the mapped tables, or in the list of fresh chunks.
 *
 * An equal address is a guess until the bytes were compared.  Fresh ones are compared in memory
 * while their frame is young (most copies of a file lie close together).  What was seen in this
 * archive before is compared with the archive, where it stood then; all else as it was stored.
 *
 * The thread whose chunk fills a frame compresses and writes it.  So there is at most one full
 * frame for each thread, and no queue. */
#include "templates/writer.h"

#include <errno.h>
#include <string.h>
#include <zstd.h>

#include "base/fs.h"
#include "templates/writer_state.h"

#define NONE UINT32_MAX

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "pack: out of memory");
}

/* ---- the index ---- */

static struct address address_of(const struct writer *w, uint32_t id)
{
    size_t low = 0, high = w->view.n_packs;

    if (id >= w->n_old)
        return w->fresh[id - w->n_old].address;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (w->bases[middle] <= id)
            low = middle;
        else
            high = middle;
    }
    return pack_chunk(&w->view.packs[low], id - w->bases[low]).address;
}

static size_t slot_for(const struct writer *w, struct address a)
{
    uint64_t mixed =
        (a.low ^ (a.high * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(mixed >> 20) & (w->n_slots - 1);
}

/* The slot where the address is, or would be. */
static size_t find_slot(const struct writer *w, struct address a)
{
    size_t i = slot_for(w, a);

    while (w->slots[i] != NONE && !address_equal(address_of(w, w->slots[i]), a))
        i = (i + 1) & (w->n_slots - 1);
    return i;
}

static int grow_index(struct writer *w, size_t wanted, struct error *err)
{
    size_t n = w->n_slots ? w->n_slots : 1024;
    uint32_t *old = w->slots;
    size_t n_old = w->n_slots;

    while (wanted > n / 4 * 3)
        n *= 2;
    if (n == w->n_slots)
        return 0;
    w->slots = malloc(n * sizeof(*w->slots));
    if (!w->slots) {
        w->slots = old;
        return out_of_memory(err);
    }
    memset(w->slots, 0xff, n * sizeof(*w->slots));
    w->n_slots = n;
    for (size_t i = 0; i < n_old; i++)
        if (old[i] != NONE)
            w->slots[find_slot(w, address_of(w, old[i]))] = old[i];
    free(old);
    return 0;
}

static int index_view(struct writer *w, struct error *err)
{
    uint64_t total = 0;

    w->bases = calloc(w->view.n_packs + 1, sizeof(*w->bases));
    if (!w->bases)
        return out_of_memory(err);
    for (size_t i = 0; i < w->view.n_packs; i++) {
        w->bases[i] = (uint32_t)total;
        total += w->view.packs[i].n_chunks;
    }
    if (total >= CHUNKS_MAX)
        return error_set(err, ERR_LIMIT, "the store has %llu chunks, too many to add to",
                         (unsigned long long)total);
    w->n_old = (uint32_t)total;
    w->origins = calloc((size_t)w->n_old + 1, sizeof(*w->origins));
    if (!w->origins)
        return out_of_memory(err);
    if (grow_index(w, w->n_old + 1, err) < 0)
        return -1;
    for (size_t i = 0; i < w->view.n_packs; i++)
        for (uint32_t k = 0; k < w->view.packs[i].n_chunks; k++) {
            size_t slot = find_slot(w, pack_chunk(&w->view.packs[i], k).address);

            if (w->slots[slot] == NONE)
                w->slots[slot] = w->bases[i] + k;
        }
    return 0;
}

/* ---- opening ---- */

/* What is referred to must be known before a collector may look; and what will be there before the
 * revision that needs it. */
static int begin_session(struct writer *w, struct error *err)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(16u << 20);
    int lock = -1;
    int result;

    digest_random_name(w->family, PACK_FAMILY);
    buf_addf(&names, "%s\n", w->family);
    if (storage_lock(w->store->storage, false, &lock, err) < 0)
        return -1;
    result = view_open(w->store, false, &w->view, err);
    for (size_t i = 0; result == 0 && i < w->view.n_packs; i++)
        buf_addf(&names, "%s\n", w->view.packs[i].name);
    if (result == 0)
        result = buf_check(&names, "the list of packs", err);
    if (result == 0)
        result = storage_session_begin(w->store->storage, buf_str(&names), &w->session, err);
    storage_unlock(w->store->storage, &lock);
    return result;
}

int writer_open(struct template_store *s, struct writer **ret, struct error *err)
{
    struct writer *w = calloc(1, sizeof(*w));

    if (!w)
        return out_of_memory(err);
    w->store = s;
    w->session = -1;
    w->origin_fd = -1;
    for (size_t i = 0; i < WRITER_KINDS; i++)
        w->open[i] = NONE;
    (void)pthread_mutex_init(&w->mutex, NULL);
    if (begin_session(w, err) < 0 || index_view(w, err) < 0) {
        writer_free(w);
        return -1;
    }
    for (size_t i = 0; i < w->view.n_packs; i++)
        if (pack_check_tables(&s->hasher, &w->view.packs[i], err) < 0) {
            writer_free(w);
            return -1;
        }
    *ret = w;
    return 0;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_frames; i++)
        free(w->frames[i].raw);
    while (w->n_spare > 0)
        free(w->spare[--w->n_spare]);
    for (size_t i = 0; i < w->n_outs; i++) {
        storage_discard(w->store->storage, &w->outs[i].file);
        free(w->outs[i].frames);
    }
    storage_session_end(w->store->storage, &w->session);
    view_release(&w->view);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w->bases);
    free(w->slots);
    free(w->origins);
    free(w->fresh);
    free(w->frames);
    free(w->outs);
    free(w);
}

struct writer_counts writer_counts(struct writer *w)
{
    struct writer_counts counts;

    (void)pthread_mutex_lock(&w->mutex);
    counts = w->counts;
    (void)pthread_mutex_unlock(&w->mutex);
    return counts;
}

const struct view *writer_view(const struct writer *w)
{
    return &w->view;
}

int writer_hand_new(struct writer *w, struct writer_hand **ret, struct error *err)
{
    struct writer_hand *h = calloc(1, sizeof(*h));

    if (!h)
        return out_of_memory(err);
    h->cctx = writer_compressor_new(&w->store->options);
    h->stored = malloc(ZSTD_compressBound(FRAME_MAX));
    h->raw = malloc(FRAME_MAX);
    h->raw_frame = NONE;
    if (!h->cctx || !h->stored || !h->raw || reader_init(&h->reader, &w->view, err) < 0) {
        writer_hand_free(h);
        return out_of_memory(err);
    }
    *ret = h;
    return 0;
}

void writer_hand_free(struct writer_hand *h)
{
    if (!h)
        return;
    (void)ZSTD_freeCCtx(h->cctx);
    free(h->stored);
    free(h->raw);
    if (h->reader.view)
        reader_release(&h->reader);
    free(h);
}

/* ---- comparing ---- */

static struct pack_chunk old_chunk(const struct writer *w, uint32_t id, const struct pack **ret)
{
    size_t i = 0;

    while (i + 1 < w->view.n_packs && w->bases[i + 1] <= id)
        i++;
    *ret = &w->view.packs[i];
    return pack_chunk(*ret, id - w->bases[i]);
}

static int equals_old(struct writer *w, struct writer_hand *h, uint32_t id,
                      const struct writer_chunk *c, bool *ret, struct error *err)
{
    const struct pack *pack;
    const struct pack_chunk there = old_chunk(w, id, &pack);

    return reader_equals(&h->reader, pack, &there, c->data, ret, err);
}

/* The raw bytes of a frame that is in a pack on its way, in h->raw. */
static int read_back(struct writer *w, struct writer_hand *h, uint32_t frame, struct error *err)
{
    struct pack_frame f;
    struct pack p = {.map = NULL};
    unsigned char row[PACK_FRAME_SIZE];

    if (h->raw_frame == frame)
        return 0;
    h->raw_frame = NONE;
    (void)pthread_mutex_lock(&w->mutex);
    f = w->outs[w->frames[frame].out].frames[w->frames[frame].row];
    p.fd = w->outs[w->frames[frame].out].file.fd;
    (void)pthread_mutex_unlock(&w->mutex);
    (void)snprintf(p.name, sizeof(p.name), "(being written)");
    writer_frame_row(&f, row);
    p.frames = row;
    p.n_frames = 1;
    p.size = f.offset + f.stored + PACK_FRAME_SIZE + PACK_TRAILER_SIZE;
    if (pack_read_frame(&w->store->hasher, &p, 0, h->reader.dctx, h->stored, h->raw, err) < 0)
        return -1;
    h->raw_frame = frame;
    return 0;
}

static int equals_fresh(struct writer *w, struct writer_hand *h, const struct fresh *f,
                        const struct writer_chunk *c, bool *ret, struct error *err)
{
    if (read_back(w, h, f->frame, err) < 0)
        return -1;
    *ret = memcmp(h->raw + f->offset, c->data, c->len) == 0;
    return 0;
}

/* The archive need not be what it was: true is certain, false is not. */
static bool equals_origin(const struct writer *w, struct writer_hand *h, uint64_t origin,
                          const struct writer_chunk *c)
{
    h->raw_frame = NONE;
    return fs_pread(w->origin_fd, h->raw, c->len, origin) == (ssize_t)c->len &&
           memcmp(h->raw, c->data, c->len) == 0;
}

static void note_origin(struct writer *w, uint32_t id, uint64_t origin)
{
    if (id >= w->n_old || origin == WRITER_NOWHERE)
        return;
    (void)pthread_mutex_lock(&w->mutex);
    w->origins[id] = origin + 1;
    (void)pthread_mutex_unlock(&w->mutex);
}

/* Called with the mutex, returns without it. */
static int equals(struct writer *w, struct writer_hand *h, uint32_t id,
                  const struct writer_chunk *c, bool *ret, struct error *err)
{
    const bool old = id < w->n_old;
    const struct fresh f = old ? (struct fresh){.len = 0} : w->fresh[id - w->n_old];
    const unsigned char *raw = old ? NULL : w->frames[f.frame].raw;
    const uint64_t origin = old ? w->origins[id] - 1 : f.origin;
    const struct pack *pack;

    *ret = raw && f.len == c->len && memcmp(raw + f.offset, c->data, c->len) == 0;
    (void)pthread_mutex_unlock(&w->mutex);
    if (raw || c->len != (old ? old_chunk(w, id, &pack).len : f.len))
        return 0;
    if (origin != WRITER_NOWHERE && equals_origin(w, h, origin, c)) {
        *ret = true;
        return 0;
    }
    if ((old ? equals_old(w, h, id, c, ret, err) : equals_fresh(w, h, &f, c, ret, err)) < 0)
        return -1;
    if (*ret)
        note_origin(w, id, c->origin);
    return 0;
}

/* ---- adding ---- */

/* With the mutex. */
static int open_frame(struct writer *w, enum writer_kind kind, struct error *err)
{
    struct frame_state *f;

    if (w->open[kind] != NONE)
        return 0;
    if (w->n_frames == w->cap_frames) {
        size_t cap = w->cap_frames ? w->cap_frames * 2 : 64;
        struct frame_state *frames = reallocarray(w->frames, cap, sizeof(*frames));

        if (!frames)
            return out_of_memory(err);
        w->frames = frames;
        w->cap_frames = cap;
    }
    f = &w->frames[w->n_frames];
    *f = (struct frame_state){.raw = w->n_spare ? w->spare[--w->n_spare] : malloc(FRAME_MAX)};
    if (!f->raw)
        return out_of_memory(err);
    w->open[kind] = (uint32_t)w->n_frames++;
    return 0;
}

/* With the mutex.  *ret_full: the frame this filled, for the caller to write; NONE otherwise. */
static int append(struct writer *w, size_t slot, struct address a, const struct writer_chunk *c,
                  uint32_t *ret_full, struct error *err)
{
    struct frame_state *f;

    if (w->n_fresh == w->cap_fresh) {
        size_t cap = w->cap_fresh ? w->cap_fresh * 2 : 1024;
        struct fresh *fresh = reallocarray(w->fresh, cap, sizeof(*fresh));

        if (!fresh)
            return out_of_memory(err);
        w->fresh = fresh;
        w->cap_fresh = cap;
    }
    if (w->n_old + w->n_fresh >= CHUNKS_MAX)
        return error_set(err, ERR_LIMIT, "the store has too many chunks to add to");
    if (open_frame(w, c->kind, err) < 0)
        return -1;
    f = &w->frames[w->open[c->kind]];
    memcpy(f->raw + f->len, c->data, c->len);
    w->fresh[w->n_fresh] = (struct fresh){.address = a,
                                          .origin = c->origin,
                                          .frame = w->open[c->kind],
                                          .offset = f->len,
                                          .len = c->len};
    f->len += c->len;
    w->slots[slot] = w->n_old + w->n_fresh++;
    w->counts.chunks_new++;
    w->counts.bytes_new += c->len;
    *ret_full = NONE;
    if (f->len >= FRAME_RAW) {
        *ret_full = w->open[c->kind];
        w->open[c->kind] = NONE;
    }
    return grow_index(w, (size_t)w->n_old + w->n_fresh + 1, err);
}

/* One look at one address.  *ret_done: it has these bytes, or has got them now. */
static int try_address(struct writer *w, struct writer_hand *h, struct address a,
                       const struct writer_chunk *c, bool *ret_done, struct error *err)
{
    uint32_t full = NONE;
    size_t slot;
    uint32_t id;

    (void)pthread_mutex_lock(&w->mutex);
    slot = find_slot(w, a);
    id = w->slots[slot];
    if (id == NONE) {
        int result = append(w, slot, a, c, &full, err);

        (void)pthread_mutex_unlock(&w->mutex);
        *ret_done = true;
        return result < 0 ? -1 : full == NONE ? 0 : writer_write_frame(w, h, full, err);
    }
    w->counts.bytes_shared += c->len;
    return equals(w, h, id, c, ret_done, err);
}

void writer_compare_with(struct writer *w, int fd)
{
    w->origin_fd = fd;
}

int writer_add(struct writer *w, struct writer_hand *h, const struct writer_chunk *c,
               struct address *ret, struct error *err)
{
    struct address a = c->hash ? *c->hash : hasher_address(&w->store->hasher, c->data, c->len);

    for (unsigned probe = 0; probe < PROBES_MAX; probe++, a = address_next(a)) {
        bool done = false;

        if (try_address(w, h, a, c, &done, err) < 0)
            return -1;
        if (!done)
            continue;
        *ret = a;
        return 0;
    }
    return error_set(err, ERR_SYSTEM, "pack: %d chunks have one address", PROBES_MAX);
}

int writer_keep(struct writer *w, struct writer_hand *h, struct address a, const void *data,
                uint32_t len, struct error *err)
{
    const struct writer_chunk c = {
        .kind = WRITER_CONTENT, .data = data, .len = len, .origin = WRITER_NOWHERE};
    bool done = false;

    if (try_address(w, h, a, &c, &done, err) < 0)
        return -1;
    return done ? 0
                : error_set(err, ERR_SYSTEM,
                            "two chunks of the store have one address: is it a "
                            "mixture of two stores?");
}
