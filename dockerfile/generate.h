/* dockerfile/generate — a Dockerfile for a project that has none. */
#ifndef DOCKERFILE_GENERATE_H
#define DOCKERFILE_GENERATE_H

#include "dockerfile/settings.h"
#include "dockerfile/source.h"

struct dockerfile_generation {
    char language[16]; /* "python", "typescript", "go" */
    struct buf text;   /* the Dockerfile; above each line a comment says what decided it */
    struct buf ignore; /* the ignore rules that go with it, when the project has none itself */
    /* "Detected python (pyproject.toml); package manager uv (uv.lock); Python 3.12
     * (.python-version)", and what else was decided: one line each. */
    struct argv notes;
    struct argv warnings; /* two lock files, a lock file that is missing …: one line each */
};

void dockerfile_generation_init(struct dockerfile_generation *g);
void dockerfile_generation_release(struct dockerfile_generation *g);

/* Detects the language and writes a Dockerfile into an initialised ret, which stays releasable on
 * -1.  type: "sandbox", "agent", "function" or "job".  ERR_INPUT says which files were looked for,
 * or what about the project's files makes it impossible, naming file and key. */
MUST_CHECK int dockerfile_generate(const struct dockerfile_source *source,
                                   const struct dockerfile_settings *settings, const char *type,
                                   struct dockerfile_generation *ret, struct error *err);

#endif
