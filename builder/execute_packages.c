/* builder/execute_packages — the packages of the image are listed while its last layers are
 * compressed.  An image without a list is an image all the same: what fails is said, and no more.
 */
#include <string.h>

#include "builder/execute.h"
#include "builder/packages.h"

#define LIST_MAX (24U << 20) /* bytes of JSON, which stand escaped in the result */

struct chain {
    struct packages_layer layers[STACK_MAX];
    char paths[STACK_MAX][CACHE_PATH];
    size_t n;
};

/* The same layers as those of the stage's stack, in its order. */
static int add_layer(struct chain *c, const char *name, const char *path, struct error *err)
{
    if (c->n == STACK_MAX)
        return error_set(err, ERR_LIMIT, "more than %d layers", STACK_MAX);
    (void)snprintf(c->paths[c->n], CACHE_PATH, "%s", path);
    c->layers[c->n] = (struct packages_layer){.name = name, .path = c->paths[c->n]};
    c->n++;
    return 0;
}

static int add_base(const struct execution *x, const char *name, struct chain *c, struct error *err)
{
    const struct document_image *image = document_find_image(&x->doc, name);
    char path[CACHE_PATH];

    for (size_t i = 0; image && i < image->n_layers; i++) {
        execute_base_layer_path(&image->layers[i], path);
        if (add_layer(c, image->layers[i].diff_id + strlen("sha256:"), path, err) < 0)
            return -1;
    }
    return 0;
}

static int add_stage(const struct execution *x, size_t stage, struct chain *c, struct error *err)
{
    const struct stage_run *s = &x->stages[stage];
    char path[CACHE_PATH];

    if (s->stage->base.stage != BUILDER_NO_STAGE) {
        if (add_stage(x, s->stage->base.stage, c, err) < 0)
            return -1;
    } else if (add_base(x, s->stage->base.image, c, err) < 0) {
        return -1;
    }
    for (size_t i = 0; i < s->n_made; i++) {
        const char *diff = s->made[i].record.diff;

        if (!*diff)
            continue;
        cache_diff_path(&x->cache, diff, path);
        if (add_layer(c, diff, path, err) < 0)
            return -1;
    }
    return 0;
}

static int list(struct execution *x, struct error *err)
{
    const size_t target = x->doc.program.target;
    CLEANUP_FREE struct chain *c = calloc(1, sizeof(*c));

    if (!c)
        return error_set(err, ERR_SYSTEM, "out of memory");
    if (add_stage(x, target, c, err) < 0)
        return -1;
    return packages_of_image(&x->cache, c->layers, c->n, &x->stages[target].files, x->doc.userxattr,
                             &x->packages.list, err);
}

static void *list_all(void *self)
{
    struct execution *x = self;

    if (list(x, &x->packages.error) < 0)
        buf_clear(&x->packages.list);
    return NULL;
}

void execute_start_packages(struct execution *x)
{
    const struct builder_program *p = &x->doc.program;

    x->packages.list = (struct buf)BUF_INIT(LIST_MAX);
    if (!p->packages || x->stages[p->target].state != STAGE_DONE)
        return;
    x->packages.started = pthread_create(&x->packages.thread, NULL, list_all, x) == 0;
    if (!x->packages.started)
        (void)list_all(x);
}

void execute_end_packages(struct execution *x)
{
    struct builder_event note = {
        .kind = BUILDER_EVENT_NOTE, .stage = x->doc.program.target, .step = BUILDER_NO_STEP};

    if (x->packages.started)
        pthread_join(x->packages.thread, NULL);
    x->packages.started = false;
    if (x->packages.error.kind == ERR_NONE)
        return;
    (void)error_wrap(&x->packages.error, "the packages of the image are not listed");
    note.text = x->packages.error.msg;
    events_say(&note);
}
