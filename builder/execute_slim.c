/* builder/execute_slim — layers of an image that is to be slim: which steps are looked at, and what
 * lies below them. */
#include <fcntl.h>
#include <string.h>

#include "builder/execute.h"

static bool is_run(const struct made *made)
{
    return made->stage->stage->steps[made->step].kind == BUILDER_STEP_RUN;
}

/* ---- what is below a step ---- */

/* The base and the first n of the stage's steps, without those that rules apply to. */
static int add_kept(const struct execution *x, const struct stage_run *s, size_t n,
                    struct stack *ret, struct error *err)
{
    size_t base = s->stage->base.stage;
    char path[CACHE_PATH];

    if (base == BUILDER_NO_STAGE
            ? execute_image_stack(x, s->stage->base.image, ret, err) < 0
            : add_kept(x, &x->stages[base], x->stages[base].n_made, ret, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (is_run(&s->made[i]) || !s->made[i].record.diff[0])
            continue;
        cache_diff_path(&x->cache, s->made[i].record.diff, path);
        if (stack_add(ret, path, err) < 0)
            return -1;
    }
    return 0;
}

struct below {
    const struct made *made;
    struct stack_view view;
};

static int open_below(void *self, int *ret_fd, struct error *err)
{
    CLEANUP(stack_release) struct stack tree = {.n = 0};
    struct below *b = self;
    const struct stage_run *s = b->made->stage;

    if (add_kept(s->x, s, (size_t)(b->made - s->made), &tree, err) < 0 ||
        stack_view(&tree, s->x->doc.userxattr, &b->view, err) < 0)
        return -1;
    *ret_fd = b->view.fd < 0 ? -1 : fcntl(b->view.fd, F_DUPFD_CLOEXEC, 0);
    return 0;
}

static struct slim_look_request request_of(const struct execution *x, const struct made *made,
                                           struct below *below)
{
    return (struct slim_look_request){.cache = &x->cache,
                                      .record = &made->record,
                                      .is_run = is_run(made),
                                      .open_below = open_below,
                                      .self = below};
}

static void release_below(struct below *b)
{
    stack_view_release(&b->view);
}

/* ---- looking, and making ---- */

int execute_look(struct execution *x, struct made *made, struct error *err)
{
    CLEANUP(release_below) struct below below = {.made = made, .view = {.fd = -1}};
    struct slim_look_request req;

    if (!x->slim || made->slim || made->is_known || !made->record.diff[0])
        return 0;
    req = request_of(x, made, &below);
    return slim_look(x->slim, &req, &made->slim, err);
}

int execute_look_at_stage(struct execution *x, size_t stage, struct error *err)
{
    struct stage_run *s = &x->stages[stage];

    if (s->stage->base.stage != BUILDER_NO_STAGE &&
        execute_look_at_stage(x, s->stage->base.stage, err) < 0)
        return -1;
    for (size_t i = 0; i < s->n_made; i++)
        if (execute_look(x, &s->made[i], err) < 0)
            return -1;
    return 0;
}

int execute_image_layer(struct execution *x, struct made *made, struct layer *ret,
                        struct error *err)
{
    CLEANUP(release_below) struct below below = {.made = made, .view = {.fd = -1}};
    const struct layer_options options = execute_layer_options(x);
    struct slim_look_request req;

    if (made->is_known && made->known.is_slim) {
        *ret = made->known.layer;
        return 0;
    }
    if (made->slim && slim_step_changes(x->slim, made->slim)) {
        req = request_of(x, made, &below);
        return slim_make_layer(x->slim, made->slim, &req, &options, ret, err);
    }
    if (execute_make_layer(x, made, err) < 0)
        return -1;
    *ret = made->record.has_layer ? made->record.layer : (struct layer){.entries = 0};
    return 0;
}

bool execute_slim_layer(const struct made *made, struct known_layer *ret)
{
    *ret = (struct known_layer){.is_slim = false};
    if (made->is_known)
        *ret = made->known;
    else
        ret->is_slim = made->slim && slim_step_changes(made->stage->x->slim, made->slim) &&
                       slim_step_layer(made->slim, ret->key, &ret->layer);
    return ret->is_slim;
}

/* ---- telling ---- */

static size_t gather(const struct execution *x, size_t stage, struct slim_step **steps)
{
    const struct stage_run *s = &x->stages[stage];
    size_t base = s->stage->base.stage;
    size_t n = base == BUILDER_NO_STAGE ? 0 : gather(x, base, steps);

    for (size_t i = 0; i < s->n_made; i++)
        if (s->made[i].slim)
            steps[n++] = s->made[i].slim;
    return n;
}

static void report(const struct execution *x, struct buf *ret)
{
    CLEANUP_FREE struct slim_step **steps = NULL;
    size_t n = 1;

    for (size_t i = 0; i < x->doc.program.n_stages; i++)
        n += x->stages[i].n_made;
    steps = x->slim ? calloc(n, sizeof(*steps)) : NULL;
    if (steps)
        slim_report(x->slim, steps, gather(x, x->doc.program.target, steps), ret);
}

void execute_report_slim(struct execution *x, struct buf *ret)
{
    CLEANUP_FREE char *lines = NULL;

    if (x->known.found)
        buf_adds(ret, buf_str(&x->known.report));
    else
        report(x, ret);
    lines = strdup(buf_str(ret));
    for (char *rest = lines, *line; (line = strsep(&rest, "\n")) && *line;)
        events_say(&(const struct builder_event){.kind = BUILDER_EVENT_NOTE,
                                                 .stage = x->doc.program.target,
                                                 .step = BUILDER_NO_STEP,
                                                 .text = line});
}
