/* dockerfile/generate/go_target — which package of the project is the program. */
#ifndef DOCKERFILE_GENERATE_GO_TARGET_H
#define DOCKERFILE_GENERATE_GO_TARGET_H

#include "dockerfile/generate/go_module.h"
#include "dockerfile/generate/go_path.h"

struct go_target {
    char package[GO_PATH_MAX * 2]; /* as go build takes it: ".", "./cmd/api", "main.go" */
    char dir[GO_PATH_MAX];         /* where it is; "": the root */
    char why[256];
};

/* The root, else src, else cmd, else the only one of cmd/ … when it is a package main; after the
 * root's, the same of each module of the workspace (work; its list is empty without one).
 * program: what the start command calls, "" when there is none: cmd/PROGRAM goes before all.
 * ERR_INPUT: there is none, or several, which are listed. */
MUST_CHECK int go_target_find(struct generator *g, const struct go_module *work,
                              const char *program, struct go_target *ret, struct error *err);

/* Whether the directory is a package main. */
MUST_CHECK int go_target_is_program(struct generator *g, const char *dir, bool *ret,
                                    struct error *err);

#endif
