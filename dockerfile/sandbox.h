/* dockerfile/sandbox — does the final image get sandbox-api, and what starts it? */
#ifndef DOCKERFILE_SANDBOX_H
#define DOCKERFILE_SANDBOX_H

#include "dockerfile/graph.h"

struct sandbox_findings {
    /* Where the final stage has the binary; NULL: nowhere that can be seen. */
    const char *path;
    const struct dockerfile_instruction *source; /* the COPY or FROM that brings it */
    /* The ENTRYPOINT and the CMD that count, of the final stage or one it descends from; NULL: none
     * set, or taken back by []. */
    const struct dockerfile_instruction *entrypoint, *cmd;
    bool cmd_inherited; /* cmd stands in another stage than the last */
    bool is_sandbox;    /* the first stage of the chain is FROM the sandbox image itself */
};

/* image: the sandbox image as configured; any tag or digest of its repository, or of Blaxel's own,
 * is a sandbox image.  Strings live in g's arena or in the Dockerfile. */
MUST_CHECK int sandbox_find(const struct dockerfile *d, struct graph *g, const char *image,
                            struct sandbox_findings *ret, struct error *err);

#endif
