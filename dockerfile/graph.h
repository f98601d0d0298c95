/* dockerfile/graph — which stages and images each stage is made from. */
#ifndef DOCKERFILE_GRAPH_H
#define DOCKERFILE_GRAPH_H

#include "dockerfile/parse.h"
#include "dockerfile/stages.h"

/* A stage or an image that a COPY --from or a RUN --mount=from= takes files from. */
struct graph_use {
    const struct dockerfile_instruction *instruction;
    const char *from; /* as written */
    size_t stage;     /* NO_STAGE: an image, or scratch */
};

struct graph_node {
    const char *base;  /* expanded; as written if that failed and lenient */
    size_t base_stage; /* NO_STAGE: an image, or scratch */
    struct graph_use *uses;
    size_t n_uses, cap_uses;
    bool needed; /* by the last stage, or it is the last */
};

struct graph {
    struct arena arena;
    struct graph_node *nodes; /* one for each stage */
    size_t n;
};
void graph_release(struct graph *g);

/* build_args are "K=V".  ERR_INPUT with the line: a blank base or platform, a stage that does not
 * exist or comes later, a circle, a variable in --from; lenient lets all of these pass and takes
 * the names for images. */
MUST_CHECK int graph_build(const struct dockerfile *d, const struct argv *build_args, bool lenient,
                           struct graph *ret, struct error *err);

/* Puts "dockerfile parse error on line N: " before the message; -1. */
int graph_fail_at(const struct dockerfile_instruction *i, struct error *err);

#endif
