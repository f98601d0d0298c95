/* templates/batches — a ring of batches, filled, stored and finished in the same order. */
#include <string.h>

#include "templates/pipeline.h"

int batches_init(struct batches *b, size_t n, struct error *err)
{
    *b = (struct batches){.n = n, .ring = calloc(n, sizeof(*b->ring))};
    (void)pthread_mutex_init(&b->mutex, NULL);
    (void)pthread_cond_init(&b->changed, NULL);
    for (size_t i = 0; b->ring && i < n; i++) {
        b->ring[i].data = malloc(BATCH_ROOM);
        b->ring[i].pieces = calloc(BATCH_PIECES, sizeof(struct piece));
        if (!b->ring[i].data || !b->ring[i].pieces)
            return error_set(err, ERR_SYSTEM, "pack: out of memory");
    }
    return b->ring ? 0 : error_set(err, ERR_SYSTEM, "pack: out of memory");
}

void batches_release(struct batches *b)
{
    for (size_t i = 0; b->ring && i < b->n; i++) {
        free(b->ring[i].data);
        free(b->ring[i].pieces);
    }
    free(b->ring);
    (void)pthread_cond_destroy(&b->changed);
    (void)pthread_mutex_destroy(&b->mutex);
}

static void wait_for_change(struct batches *b)
{
    (void)pthread_cond_wait(&b->changed, &b->mutex);
}

static void tell(struct batches *b)
{
    (void)pthread_cond_broadcast(&b->changed);
    (void)pthread_mutex_unlock(&b->mutex);
}

struct batch *batches_to_fill(struct batches *b)
{
    struct batch *batch = NULL;

    (void)pthread_mutex_lock(&b->mutex);
    while (!b->failed && b->filled - b->finished == b->n)
        wait_for_change(b);
    if (!b->failed) {
        batch = &b->ring[b->filled % b->n];
        batch->n = 0;
        batch->used = 0;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return batch;
}

void batches_filled(struct batches *b)
{
    (void)pthread_mutex_lock(&b->mutex);
    b->ring[b->filled % b->n].state = BATCH_FILLED;
    b->filled++;
    tell(b);
}

struct batch *batches_to_store(struct batches *b)
{
    struct batch *batch = NULL;

    (void)pthread_mutex_lock(&b->mutex);
    while (!b->failed && !b->ended && b->taken == b->filled)
        wait_for_change(b);
    if (!b->failed && b->taken < b->filled) {
        batch = &b->ring[b->taken++ % b->n];
        batch->state = BATCH_TAKEN;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return batch;
}

void batches_advance(struct batches *b, struct batch *batch, enum batch_state state)
{
    (void)pthread_mutex_lock(&b->mutex);
    batch->state = state;
    tell(b);
}

struct batch *batches_to_finish(struct batches *b)
{
    struct batch *batch = NULL;

    (void)pthread_mutex_lock(&b->mutex);
    while (!b->failed && !b->ended && b->finished == b->filled)
        wait_for_change(b);
    if (!b->failed && b->finished < b->filled)
        batch = &b->ring[b->finished % b->n];
    (void)pthread_mutex_unlock(&b->mutex);
    return batch;
}

bool batches_wait(struct batches *b, const struct batch *batch, enum batch_state state)
{
    bool failed;

    (void)pthread_mutex_lock(&b->mutex);
    while (!b->failed && batch->state < state)
        wait_for_change(b);
    failed = b->failed;
    (void)pthread_mutex_unlock(&b->mutex);
    return !failed;
}

void batches_finished(struct batches *b)
{
    (void)pthread_mutex_lock(&b->mutex);
    b->ring[b->finished % b->n].state = BATCH_FREE;
    b->finished++;
    tell(b);
}

void batches_end(struct batches *b)
{
    (void)pthread_mutex_lock(&b->mutex);
    b->ended = true;
    tell(b);
}

void batches_fail(struct batches *b, const struct error *err)
{
    (void)pthread_mutex_lock(&b->mutex);
    if (!b->failed)
        b->error = *err;
    b->failed = true;
    tell(b);
}
