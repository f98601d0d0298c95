/* dockerfile/base — what a base image's configuration says it runs, outside an evaluation. */
#ifndef DOCKERFILE_BASE_H
#define DOCKERFILE_BASE_H

#include "dockerfile/arena.h"

struct base_commands { /* in the arena */
    struct argv entrypoint, cmd, shell;
};

/* image: the JSON of an image's configuration (OCI or Docker).  ERR_INPUT: it is no object. */
MUST_CHECK int base_commands(struct arena *arena, const char *image, struct base_commands *ret,
                             struct error *err);

#endif
