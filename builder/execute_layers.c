/* builder/execute_layers — layers of steps that are done are made while later steps run: in one
 * thread, in the order in which the steps became done. */
#include "builder/execute.h"

struct layer_options execute_layer_options(const struct execution *x)
{
    return (struct layer_options){.threads = x->doc.threads, .epoch = x->doc.program.epoch};
}

int execute_make_layer(struct execution *x, struct made *made, struct error *err)
{
    const struct layer_options options = execute_layer_options(x);
    struct cache_record *r = &made->record;

    return r->has_layer || !r->diff[0] ? 0 : cache_make_layer(&x->cache, r, &options, err);
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
        struct layer layer;

        if (execute_look(x, made, &ignored) < 0 ||
            execute_image_layer(x, made, &layer, &ignored) < 0)
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

    mark_exported(x);
    for (size_t i = 0; i < x->doc.program.n_stages; i++)
        n += x->doc.program.stages[i].n_steps;
    q->v = calloc(n + 1, sizeof(struct made *));
    if (!q->v)
        return;
    q->started = pthread_create(&q->thread, NULL, make_all, x) == 0;
}

void execute_queue_layer(struct stage_run *s, struct made *made)
{
    struct execution *x = s->x;

    /* One whose files are at other workers has its layer there, and is slimmed once it is here. */
    if (!s->exported || !x->layers.started || !made->record.diff[0] || made->record.away ||
        (made->record.has_layer && !x->slim))
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
