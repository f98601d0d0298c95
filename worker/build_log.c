/* worker/build_log — see the header. */
#include "worker/build_log.h"

#include "base/clock.h"

struct build_vertex {
    size_t stage, step;
    int number;
    int64_t began; /* clock_monotonic */
    int64_t at;    /* the same by the journal's clock */
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
    b->v[b->n++] = (struct build_vertex){e->stage, e->step, ++b->log->number, clock_monotonic(),
                                         clock_now(&b->log->journal->clock)};
    journal_say(b->log->journal, LOG_INFO,
                &(struct log_event){.step = b->log->number,
                                    .state = LOG_STEP_RUNNING,
                                    .skip = plain_log_prefix(b->log->number)},
                "#%d %s", b->log->number, e->text);
}

static double seconds_since(int64_t began)
{
    return (double)(clock_monotonic() - began) / (double)NS_PER_SEC;
}

static void line(struct journal *journal, const struct build_vertex *v,
                 const struct builder_event *e)
{
    const double seconds = seconds_since(v->began);
    const struct log_event event = {
        .step = v->number,
        .stream = e->stream == PROCESS_STDERR ? LOG_STDERR : LOG_STDOUT,
        .skip = plain_log_line_prefix(v->number, seconds),
    };

    journal_say(journal, LOG_INFO, &event, "#%d %.3f %s", v->number, seconds, e->text);
}

static void done(struct journal *journal, const struct build_vertex *v,
                 const struct builder_event *e)
{
    const struct log_event event = {
        .step = v->number, .state = LOG_STEP_DONE, .began = v->at, .bytes = e->bytes, .code = -1};

    journal_say(journal, LOG_INFO, &event, "#%d DONE %.1fs", v->number, seconds_since(v->began));
}

static void cached(struct journal *journal, const struct build_vertex *v)
{
    const struct log_event event = {
        .step = v->number, .state = LOG_STEP_CACHED, .began = v->at, .code = -1};

    journal_say(journal, LOG_INFO, &event, "#%d CACHED", v->number);
}

/* Of which will be told why, once it is known. */
static void failed(struct plain_log *log, const struct build_vertex *v,
                   const struct builder_event *e)
{
    log->number = v->number;
    log->at = v->at;
    log->code = e->code;
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
        cached(journal, v);
        break;
    case BUILDER_EVENT_NOTE:
        journal_addf(journal, LOG_INFO, "#%d %s", v->number, e->text);
        break;
    case BUILDER_EVENT_LINE:
        line(journal, v, e);
        break;
    case BUILDER_EVENT_DONE:
        done(journal, v, e);
        break;
    case BUILDER_EVENT_FAILED:
        failed(b->log, v, e);
        break;
    case BUILDER_EVENT_BEGIN:
        break;
    }
}

struct builder_watch build_log_watch(struct build_log *b)
{
    return (struct builder_watch){on_event, b};
}
