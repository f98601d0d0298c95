/* dockerfile/sandbox_start — what the final image runs, and whether that starts sandbox-api. */
#ifndef DOCKERFILE_SANDBOX_START_H
#define DOCKERFILE_SANDBOX_START_H

#include "dockerfile/graph.h"
#include "dockerfile/source.h"

/* An ENTRYPOINT or a CMD that counts. */
struct sandbox_command {
    struct argv words; /* none: it is not set, or taken back.  Lives in the graph's arena */
    bool shell;        /* words is one line for a shell */
    const struct dockerfile_instruction *instruction; /* NULL: the base image's */
    bool inherited; /* set in another stage than the last, or by the base image */
};

struct sandbox_start {
    struct sandbox_command entrypoint, cmd;
    struct argv shell; /* what runs a line for a shell */
    bool base_known;   /* the base image's config is in it */
};

/* Follows ENTRYPOINT, CMD and SHELL from the base image to the end of the last stage.  config: the
 * base image's, NULL if it is not known.  ERR_INPUT: config is none. */
MUST_CHECK int sandbox_start_find(const struct dockerfile *d, struct graph *g, const char *config,
                                  struct sandbox_start *ret, struct error *err);

/* The path of sandbox-api as a command's words name it, in a's memory; NULL when they do not. */
const char *sandbox_start_named(struct arena *a, const struct argv *words);

enum sandbox_verdict {
    SANDBOX_UNKNOWN,
    SANDBOX_STARTED,
    SANDBOX_NEVER_STARTED, /* on evidence */
};

/* Whether ENTRYPOINT and CMD together start the sandbox-api at path (NULL: not known).  Scripts are
 * looked for among the heredocs of COPY and, unless it is NULL, in the context.  *ret_script: the
 * file that decided it, NULL if none did. */
MUST_CHECK int sandbox_start_judge(const struct dockerfile *d, struct graph *g,
                                   const struct sandbox_start *start, const char *path,
                                   const struct dockerfile_source *context,
                                   enum sandbox_verdict *ret, const char **ret_script,
                                   struct error *err);

#endif
