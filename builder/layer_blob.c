/* builder/layer_blob — see the header.  The one user of libdeflate.
 *
 * A ring of slots; slot i % n holds piece i from when the caller begins to fill it until it is both
 * hashed and written.  Four counters say how far each is; all but the filling itself is guarded by
 * one lock.  A piece is large, so waking everybody at every step costs nothing that shows. */
#include "builder/layer_blob.h"

#include <libdeflate.h>
#include <pthread.h>
#include <string.h>

#include "base/fs.h"

#define LEVEL       6
#define THREADS_MAX 8
#define SLOTS_MAX   (THREADS_MAX + 3) /* one is filled, one hashed, one written */

struct slot {
    unsigned char *tar; /* LAYER_PIECE bytes */
    unsigned char *gzip;
    size_t tar_len, gzip_len;
    bool compressed;
};

struct layer_blob {
    int fd;
    struct slot slots[SLOTS_MAX];
    unsigned n_slots;
    size_t gzip_max;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t filled, hashed, taken, written; /* pieces; taken: by a thread that compresses */
    bool ended;                              /* no piece will follow */
    bool failed;                             /* err says why; everybody stops */
    struct error err;

    pthread_t threads[THREADS_MAX + 2];
    unsigned n_threads;

    bool open;   /* the caller is filling a slot, */
    size_t used; /* and has put so much there */
    uint64_t tar_size;
    uint64_t size; /* these two are the writer's until it is joined, */
    struct sha256 *blob_hash;
    struct sha256 *tar_hash; /* and this the hasher's */
};

static struct slot *slot_of(struct layer_blob *b, uint64_t piece)
{
    return &b->slots[piece % b->n_slots];
}

static void fail(struct layer_blob *b, const struct error *err)
{
    pthread_mutex_lock(&b->lock);
    if (!b->failed)
        b->err = *err;
    b->failed = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void advance(struct layer_blob *b, uint64_t *counter)
{
    pthread_mutex_lock(&b->lock);
    ++*counter;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* Waits until piece is there, and compressed if that is asked for; false when it never will be. */
static bool wait_for(struct layer_blob *b, uint64_t piece, bool compressed)
{
    bool there = false;

    pthread_mutex_lock(&b->lock);
    for (;;) {
        there = piece < b->filled && (!compressed || slot_of(b, piece)->compressed);
        if (there || b->failed || (b->ended && piece >= b->filled))
            break;
        pthread_cond_wait(&b->changed, &b->lock);
    }
    there = there && !b->failed;
    pthread_mutex_unlock(&b->lock);
    return there;
}

/* ---- threads ---- */

static void *hash_tar(void *self)
{
    struct layer_blob *b = self;

    for (uint64_t i = 0; wait_for(b, i, false); i++) {
        sha256_add(b->tar_hash, slot_of(b, i)->tar, slot_of(b, i)->tar_len);
        advance(b, &b->hashed);
    }
    return NULL;
}

/* The next piece that nobody compresses; NULL at the end. */
static struct slot *take(struct layer_blob *b)
{
    struct slot *slot = NULL;

    pthread_mutex_lock(&b->lock);
    while (!b->failed && !b->ended && b->taken >= b->filled)
        pthread_cond_wait(&b->changed, &b->lock);
    if (!b->failed && b->taken < b->filled)
        slot = slot_of(b, b->taken++);
    pthread_mutex_unlock(&b->lock);
    return slot;
}

static void *compress(void *self)
{
    struct layer_blob *b = self;
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(LEVEL);
    struct error err = ERROR_INIT;

    for (struct slot *s = take(b); c && s; s = take(b)) {
        s->gzip_len = libdeflate_gzip_compress(c, s->tar, s->tar_len, s->gzip, b->gzip_max);
        pthread_mutex_lock(&b->lock);
        s->compressed = true;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->lock);
    }
    if (!c) {
        (void)error_set(&err, ERR_SYSTEM, "compress a layer: out of memory");
        fail(b, &err);
    }
    libdeflate_free_compressor(c);
    return NULL;
}

static void *write_blob(void *self)
{
    struct layer_blob *b = self;
    struct error err = ERROR_INIT;

    for (uint64_t i = 0; wait_for(b, i, true); i++) {
        const struct slot *s = slot_of(b, i);

        if (fs_write_all(b->fd, s->gzip, s->gzip_len, &err) < 0) {
            (void)error_wrap(&err, "write a layer's blob");
            fail(b, &err);
            break;
        }
        sha256_add(b->blob_hash, s->gzip, s->gzip_len);
        b->size += s->gzip_len;
        advance(b, &b->written);
    }
    return NULL;
}

/* ---- beginning and end ---- */

static int start_thread(struct layer_blob *b, void *(*run)(void *), struct error *err)
{
    int problem = pthread_create(&b->threads[b->n_threads], NULL, run, b);

    if (problem)
        return error_errno(err, problem, "start a thread that compresses a layer");
    b->n_threads++;
    return 0;
}

static void join(struct layer_blob *b)
{
    while (b->n_threads > 0)
        pthread_join(b->threads[--b->n_threads], NULL);
}

static int allocate(struct layer_blob *b, struct error *err)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(LEVEL);

    b->gzip_max = libdeflate_gzip_compress_bound(c, LAYER_PIECE);
    libdeflate_free_compressor(c);
    for (unsigned i = 0; i < b->n_slots; i++) {
        b->slots[i].tar = malloc(LAYER_PIECE);
        b->slots[i].gzip = malloc(b->gzip_max);
        if (!b->slots[i].tar || !b->slots[i].gzip)
            return error_set(err, ERR_SYSTEM, "write a layer: out of memory");
    }
    if (sha256_new(&b->tar_hash, err) < 0 || sha256_new(&b->blob_hash, err) < 0)
        return -1;
    return 0;
}

static int start(struct layer_blob *b, int threads, struct error *err)
{
    if (allocate(b, err) < 0 || start_thread(b, hash_tar, err) < 0 ||
        start_thread(b, write_blob, err) < 0)
        return -1;
    for (int i = 0; i < threads; i++)
        if (start_thread(b, compress, err) < 0)
            return -1;
    return 0;
}

int layer_blob_new(int fd, int threads, struct layer_blob **ret, struct error *err)
{
    struct layer_blob *b = calloc(1, sizeof(*b));

    if (!b)
        return error_set(err, ERR_SYSTEM, "write a layer: out of memory");
    threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
    b->fd = fd;
    b->n_slots = (unsigned)threads + 3;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    if (start(b, threads, err) < 0) {
        layer_blob_free(b);
        return -1;
    }
    *ret = b;
    return 0;
}

void layer_blob_free(struct layer_blob *b)
{
    const struct error stopped = ERROR_INIT;

    if (!b)
        return;
    fail(b, &stopped);
    join(b);
    for (unsigned i = 0; i < b->n_slots; i++) {
        free(b->slots[i].tar);
        free(b->slots[i].gzip);
    }
    sha256_free(b->tar_hash);
    sha256_free(b->blob_hash);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* ---- filling ---- */

/* Waits until the slot for the next piece is free. */
static int open_slot(struct layer_blob *b, struct error *err)
{
    bool failed;

    pthread_mutex_lock(&b->lock);
    while (!b->failed &&
           b->filled >= b->n_slots + (b->hashed < b->written ? b->hashed : b->written))
        pthread_cond_wait(&b->changed, &b->lock);
    failed = b->failed;
    if (failed)
        *err = b->err;
    else
        slot_of(b, b->filled)->compressed = false;
    pthread_mutex_unlock(&b->lock);
    b->open = !failed;
    b->used = 0;
    return failed ? -1 : 0;
}

static void close_slot(struct layer_blob *b)
{
    slot_of(b, b->filled)->tar_len = b->used;
    b->open = false;
    advance(b, &b->filled);
}

int layer_blob_room(struct layer_blob *b, unsigned char **ret, size_t *ret_len, struct error *err)
{
    if (!b->open && open_slot(b, err) < 0)
        return -1;
    *ret = slot_of(b, b->filled)->tar + b->used;
    *ret_len = LAYER_PIECE - b->used;
    return 0;
}

void layer_blob_filled(struct layer_blob *b, size_t len)
{
    b->used += len;
    b->tar_size += len;
    if (b->used == LAYER_PIECE)
        close_slot(b);
}

int layer_blob_add(struct layer_blob *b, const void *data, size_t len, struct error *err)
{
    const unsigned char *p = data;

    while (len > 0) {
        unsigned char *room;
        size_t n;

        if (layer_blob_room(b, &room, &n, err) < 0)
            return -1;
        n = n < len ? n : len;
        memcpy(room, p, n);
        layer_blob_filled(b, n);
        p += n;
        len -= n;
    }
    return 0;
}

static void name_digest(struct sha256 *hash, char ret[LAYER_DIGEST])
{
    unsigned char raw[SHA256_SIZE];

    sha256_end(hash, raw);
    memcpy(ret, "sha256:", 8);
    digest_hex(raw, sizeof(raw), ret + 7);
}

int layer_blob_end(struct layer_blob *b, struct layer *ret, struct error *err)
{
    if (b->open && b->used > 0)
        close_slot(b);
    pthread_mutex_lock(&b->lock);
    b->ended = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    join(b);
    if (b->failed) {
        *err = b->err;
        return -1;
    }
    *ret = (struct layer){.size = b->size, .tar_size = b->tar_size};
    name_digest(b->tar_hash, ret->diff_id);
    name_digest(b->blob_hash, ret->digest);
    return 0;
}
