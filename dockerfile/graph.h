/* dockerfile/graph — which stages and images each stage is made from. */
#ifndef DOCKERFILE_GRAPH_H
#define DOCKERFILE_GRAPH_H

#include "dockerfile/scope.h"
#include "dockerfile/stages.h"

/* A stage or an image that a COPY --from or a RUN --mount=from= takes files from. */
struct graph_use {
    const struct dockerfile_instruction *instruction;
    const char *from; /* as written */
    size_t stage;     /* NO_STAGE: an image, or scratch */
    int line;         /* of the instruction; a trigger's is that of the FROM it runs after */
};

struct graph_node {
    const char *base;     /* expanded; as written if that failed and lenient */
    const char *platform; /* expanded; NULL without */
    struct names base_names, platform_names;
    size_t base_stage; /* NO_STAGE: an image, or scratch */
    struct graph_use *uses;
    size_t n_uses, cap_uses;
    bool needed; /* by the target, or it is the target */
};

struct graph {
    struct arena arena;
    struct scope scope;       /* the global one */
    struct graph_node *nodes; /* one for each stage */
    size_t n;
    size_t n_read; /* of them whose FROM has been expanded, or failed to be */
    size_t target;
};
void graph_release(struct graph *g);

struct graph_request {
    const struct argv *build_args; /* "K=V"; NULL: none */
    const char *target;            /* a stage's name or index; NULL or "": the last */
    /* What is wrong is no error, and names are taken for images: for looking at a file that the
     * build will refuse in better words. */
    bool lenient;
    /* That a stage comes too late is not looked for: dispatch will, instruction by instruction. */
    bool any_order;
    bool epoch; /* SOURCE_DATE_EPOCH is looked at, too */
};

/* Fills an empty g, which the caller releases in any case, and does not move: after a failure it
 * holds what was found before.  ERR_INPUT with the line: a blank base or platform, a stage that
 * does not exist or comes later, a circle, a variable in --from; no such target. */
MUST_CHECK int graph_build(struct graph *g, const struct dockerfile *d,
                           const struct graph_request *request, struct error *err);

/* Adds what one more instruction of that stage uses: a trigger's.  Uses made after the build are
 * not looked at for circles: a trigger of a later stage can not be meant. */
MUST_CHECK int graph_collect(struct graph *g, const struct dockerfile *d, size_t stage,
                             const struct dockerfile_instruction *i, int line, struct error *err);

/* Marks a stage and all it is made from. */
void graph_mark_needed(struct graph *g, size_t stage);

/* The stages that the last one descends from, itself first, in the arena; *ret_n of them, 0 when
 * memory ran out. */
const size_t *graph_chain(struct graph *g, size_t *ret_n);

/* The refusal of a use of a stage that is not before the one that uses it; -1. */
int graph_refuse_later(const struct dockerfile *d, const char *from, size_t stage,
                       struct error *err);

/* Puts "dockerfile parse error on line N: " before the message; -1. */
int graph_fail_at(const struct dockerfile_instruction *i, struct error *err);

/* "build", or "stage-2" when it has no name. */
#define STAGE_LABEL_SIZE 128
void graph_stage_label(const struct dockerfile *d, size_t stage, char text[STAGE_LABEL_SIZE]);

#endif
