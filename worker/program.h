/* worker/program — a Dockerfile and what is known of its bases become the program of a build. */
#ifndef WORKER_PROGRAM_H
#define WORKER_PROGRAM_H

#include "builder/builder.h"
#include "dockerfile/dockerfile.h"

struct program_request { /* borrowed until the program is released */
    const struct dockerfile *dockerfile;
    const struct builder_job *job; /* in whose base store the bases are; NULL: nothing is known of
                                      them */
    const struct argv *build_args; /* "K=V"; they are the build's secrets, too */
    const struct argv *labels;     /* "K=V", beside those of the Dockerfile; NULL: none */
    const char *name;              /* of the image, for the cache's sake */
    bool slim;                     /* layers are to be made slim */
};

struct program {
    struct builder_program program;
    struct dockerfile_evaluation *evaluation;
    struct buf config;
    struct argv texts; /* that the program refers to */
};

/* ERR_INPUT with the line: what BuildKit refuses before it builds.  ret is to be released in any
 * case. */
MUST_CHECK int program_make(const struct program_request *req, struct program *ret,
                            struct error *err);
void program_release(struct program *p);

/* The lines of the Dockerfile that a step stands in; 0, 0 for BUILDER_NO_STEP. */
void program_lines(const struct program *p, size_t stage, size_t step, int *ret_first,
                   int *ret_last);

#endif
