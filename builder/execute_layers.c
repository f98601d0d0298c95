/* builder/execute_layers — layers of steps that are done are made while later steps run: in one
 * thread, in the order in which the steps became done. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "builder/execute.h"

static int store_layer(struct execution *x, struct cache_record *r, struct error *err)
{
    CLEANUP_CLOSE int hold = -1;

    if (cache_hold(&x->cache, &hold, err) < 0)
        return -1;
    /* One that was there already may have been removed since. */
    if (r->layer.entries && utimensat(x->cache.blobs, r->layer.digest + 7, NULL, 0) < 0)
        return error_errno(err, errno, "keep the blob %s", r->layer.digest);
    r->has_layer = true;
    return cache_store(&x->cache, r->key, r, err);
}

int execute_make_layer(struct execution *x, struct made *made, struct error *err)
{
    const struct layer_options options = {.threads = x->doc.threads, .epoch = x->doc.program.epoch};
    struct cache_record *r = &made->record;
    CLEANUP_CLOSE int diff = -1;

    if (r->has_layer || !r->diff[0])
        return 0;
    if (cache_open_diff(&x->cache, r->diff, &diff, err) < 0 ||
        layer_write(diff, x->cache.blobs, &options, &r->layer, err) < 0 ||
        store_layer(x, r, err) < 0)
        return error_wrap(err, "make a layer");
    return 0;
}

/* The next one to make; NULL: there will be none. */
static struct made *take(struct execution *x)
{
    struct layer_queue *q = &x->layers;
    struct made *made = NULL;

    pthread_mutex_lock(&x->lock);
    while (q->next == q->n && !q->ended)
        pthread_cond_wait(&x->changed, &x->lock);
    if (q->next < q->n && !cancel_is_thrown(&x->cancel))
        made = q->v[q->next++];
    pthread_mutex_unlock(&x->lock);
    return made;
}

/* What fails is tried again by the export, which says so. */
static void *make_all(void *self)
{
    struct execution *x = self;

    for (struct made *made = take(x); made; made = take(x)) {
        struct error ignored = ERROR_INIT;

        if (execute_make_layer(x, made, &ignored) < 0)
            made->record.has_layer = false;
    }
    return NULL;
}

static void mark_exported(struct execution *x)
{
    const struct builder_program *p = &x->doc.program;

    for (size_t i = p->target; i != BUILDER_NO_STAGE; i = p->stages[i].base.stage)
        x->stages[i].exported = true;
}

void execute_start_layers(struct execution *x)
{
    struct layer_queue *q = &x->layers;
    size_t n = 0;

    for (size_t i = 0; i < x->doc.program.n_stages; i++)
        n += x->doc.program.stages[i].n_steps;
    q->v = calloc(n + 1, sizeof(struct made *));
    if (!q->v)
        return;
    mark_exported(x);
    q->started = pthread_create(&q->thread, NULL, make_all, x) == 0;
}

void execute_queue_layer(struct stage_run *s, struct made *made)
{
    struct execution *x = s->x;

    if (!s->exported || !x->layers.started || made->record.has_layer || !made->record.diff[0])
        return;
    pthread_mutex_lock(&x->lock);
    x->layers.v[x->layers.n++] = made;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->lock);
}

void execute_end_layers(struct execution *x)
{
    struct layer_queue *q = &x->layers;

    if (q->started) {
        pthread_mutex_lock(&x->lock);
        q->ended = true;
        pthread_cond_broadcast(&x->changed);
        pthread_mutex_unlock(&x->lock);
        pthread_join(q->thread, NULL);
    }
    free(q->v);
    *q = (struct layer_queue){.n = 0};
}
