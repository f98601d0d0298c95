/* dockerfile/sandbox_run — where a RUN copies a file that one of its mounts shows it. */
#ifndef DOCKERFILE_SANDBOX_RUN_H
#define DOCKERFILE_SANDBOX_RUN_H

#include "dockerfile/arena.h"
#include "dockerfile/dockerfile.h"

/* The path to which a cp or install of the RUN copies file, the last of them; NULL when none does
 * that can be understood.  Only plain words are: what a variable or a substitution makes is not. */
const char *sandbox_run_copy(struct arena *a, const struct dockerfile_instruction *run,
                             const char *workdir, const char *file);

#endif
