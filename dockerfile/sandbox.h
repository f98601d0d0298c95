/* dockerfile/sandbox — does the final image get sandbox-api? */
#ifndef DOCKERFILE_SANDBOX_H
#define DOCKERFILE_SANDBOX_H

#include "dockerfile/graph.h"

#define SANDBOX_WORD "sandbox-api"

#define SANDBOX_PATHS_MAX 8 /* of one stage; nobody needs the ninth copy */

struct sandbox_place {
    /* Where the final stage has the binary, the last copy; NULL: nowhere that can be seen. */
    const char *path;
    const char *paths[SANDBOX_PATHS_MAX]; /* all of them */
    size_t n_paths;
    const struct dockerfile_instruction *source; /* the COPY, RUN or FROM that brings it */
    const char *base; /* the image that the final stage descends from, expanded */
    bool is_sandbox;  /* which is the sandbox image itself */
};

/* image: the sandbox image as configured; any tag or digest of its repository, or of Blaxel's own,
 * is a sandbox image.  base_path: where the final stage's base image has the binary, NULL if that
 * is not known.  Strings live in g's arena or in the Dockerfile. */
MUST_CHECK int sandbox_find(const struct dockerfile *d, struct graph *g, const char *image,
                            const char *base_path, struct sandbox_place *ret, struct error *err);

#endif
