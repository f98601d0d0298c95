/* dockerfile/sandbox_start — what the final image runs, and whether that starts sandbox-api. */
#ifndef DOCKERFILE_SANDBOX_START_H
#define DOCKERFILE_SANDBOX_START_H

#include "dockerfile/sandbox.h"
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

struct sandbox_judgement {
    enum sandbox_verdict verdict;
    const char *script; /* the file that decided it, NULL if none did */
    /* The sandbox-api that the command's first word names by its path, where none has been seen:
     * neither among the places nor from the context, nor made by a RUN; NULL: there is none. */
    const char *missing;
};

/* Whether ENTRYPOINT and CMD together start the sandbox-api that is at place.  Scripts are looked
 * for among the heredocs of COPY and, unless it is NULL, in the context. */
MUST_CHECK int sandbox_start_judge(const struct dockerfile *d, struct graph *g,
                                   const struct sandbox_start *start,
                                   const struct sandbox_place *place,
                                   const struct dockerfile_source *context,
                                   struct sandbox_judgement *ret, struct error *err);

#endif
