/* worker/build_log — see the header. */
#include "worker/build_log.h"

#include "base/clock.h"

struct build_vertex {
    size_t stage, step;
    int number;
    int64_t began; /* clock_monotonic */
};

void build_log_release(struct build_log *b)
{
    free(b->v);
    *b = (struct build_log){.log = NULL};
}

static struct build_vertex *find(struct build_log *b, size_t stage, size_t step)
{
    for (size_t i = b->n; i-- > 0;)
        if (b->v[i].stage == stage && b->v[i].step == step)
            return &b->v[i];
    return NULL;
}

static void begin(struct build_log *b, const struct builder_event *e)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 32;
        struct build_vertex *grown = realloc(b->v, cap * sizeof(*grown));

        if (!grown)
            return; /* its lines are lost, the build is not */
        b->v = grown;
        b->cap = cap;
    }
    b->v[b->n++] = (struct build_vertex){e->stage, e->step, ++b->log->number, clock_monotonic()};
    journal_addf(b->log->journal, LOG_INFO, "#%d %s", b->log->number, e->text);
}

static double seconds_since(int64_t began)
{
    return (double)(clock_monotonic() - began) / (double)NS_PER_SEC;
}

static void on_event(void *self, const struct builder_event *e)
{
    struct build_log *b = self;
    struct journal *journal = b->log->journal;
    const struct build_vertex *v;

    if (e->kind == BUILDER_EVENT_BEGIN) {
        begin(b, e);
        return;
    }
    v = find(b, e->stage, e->step);
    if (!v && e->kind == BUILDER_EVENT_NOTE && e->step == BUILDER_NO_STEP)
        journal_addf(journal, LOG_WARNING, "%s", e->text); /* of the build as a whole */
    if (!v)
        return;
    switch (e->kind) {
    case BUILDER_EVENT_CACHED:
        journal_addf(journal, LOG_INFO, "#%d CACHED", v->number);
        break;
    case BUILDER_EVENT_NOTE:
        journal_addf(journal, LOG_INFO, "#%d %s", v->number, e->text);
        break;
    case BUILDER_EVENT_LINE:
        journal_addf(journal, LOG_INFO, "#%d %.3f %s", v->number, seconds_since(v->began), e->text);
        break;
    case BUILDER_EVENT_DONE:
        journal_addf(journal, LOG_INFO, "#%d DONE %.1fs", v->number, seconds_since(v->began));
        break;
    case BUILDER_EVENT_FAILED:
        b->log->number = v->number; /* of which the failure will be told */
        break;
    case BUILDER_EVENT_BEGIN:
        break;
    }
}

struct builder_watch build_log_watch(struct build_log *b)
{
    return (struct builder_watch){on_event, b};
}
