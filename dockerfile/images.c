/* dockerfile/images — what a build will ask registries for. */
#include <string.h>

#include "dockerfile/graph.h"
#include "dockerfile/quote.h"
#include "dockerfile/reference.h"

#define IMAGES_MAX 256 /* different ones; the stages and limits allow more */

static int check(const char *image, bool needed, struct error *err)
{
    struct dockerfile_reference r;
    char quoted[QUOTE_SIZE];

    /* Stages that nothing needs are not built; that they are not read either is the builder's
     * promise, not ours, so no transport passes even there. */
    if ((needed ? dockerfile_parse_reference(image, &r, err)
                : reference_refuse_transport(image, err)) < 0)
        return error_wrap(err, "failed to parse stage name %s", quote_short(image, quoted));
    return 0;
}

static int add(const char *image, const struct dockerfile_instruction *i, bool needed,
               struct argv *images, struct error *err)
{
    if (reference_is_scratch(image))
        return 0;
    if (check(image, needed, err) < 0)
        return graph_fail_at(i, err);
    if (!needed || argv_contains(images, image))
        return 0;
    if (images->n == IMAGES_MAX) {
        (void)error_set(err, ERR_LIMIT, "more than %d images", IMAGES_MAX);
        return graph_fail_at(i, err);
    }
    argv_push1(images, image);
    return 0;
}

static int add_stage(const struct dockerfile *d, const struct graph *g, size_t at,
                     struct argv *images, struct error *err)
{
    const struct graph_node *node = &g->nodes[at];

    if (node->base_stage == NO_STAGE &&
        add(node->base, d->stages[at].instructions, node->needed, images, err) < 0)
        return -1;
    for (size_t k = 0; k < node->n_uses; k++)
        if (node->uses[k].stage == NO_STAGE &&
            add(node->uses[k].from, node->uses[k].instruction, node->needed, images, err) < 0)
            return -1;
    return 0;
}

int dockerfile_images(const struct dockerfile *d, const struct argv *build_args,
                      struct argv *ret_images, struct error *err)
{
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    CLEANUP(graph_release) struct graph g = {.nodes = NULL};
    struct graph_request request = {.build_args = build_args};

    if (graph_build(&g, d, &request, err) < 0)
        return -1;
    for (size_t i = 0; i < g.n; i++)
        if (add_stage(d, &g, i, &images, err) < 0)
            return -1;
    if (images.failed)
        return error_set(err, ERR_SYSTEM, "list images: out of memory");
    *ret_images = images;
    images = (struct argv)ARGV_INIT;
    return 0;
}
