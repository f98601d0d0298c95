/* dockerfile/generate/go_command — a start command, and what it asks of the build of a Go program.
 *
 *   go run ./cmd/api -v     is for a machine with Go: ./cmd/api is built, and started with -v
 *   ./server, /app/server   says where the program is expected: there it is put
 *   ./start.sh, sh x.sh     is a file of the project, or needs some: they are all in the image */
#ifndef DOCKERFILE_GENERATE_GO_COMMAND_H
#define DOCKERFILE_GENERATE_GO_COMMAND_H

#include "dockerfile/generate/go_target.h"

#define GO_APP     "/app"               /* the final stage's WORKDIR */
#define GO_PROGRAM "/usr/local/bin/app" /* where the program is when no command says */

struct go_command {
    bool names_target;       /* target and tags are what "go run" named */
    struct go_target target; /* checked: a package main that is there */
    char tags[256];          /* of -tags; "" without */
    char path[GO_PATH_MAX];  /* of the program in the image, absolute */
    char program[128];       /* the last part of path when the command named it, else "" */
    bool needs_project;
};

/* Reads g->start, and replaces in it what cannot run in the image.  module: of the root, whose
 * import path "go run" may use.  ERR_INPUT, with what g->start.why says: a command that nothing in
 * the image can run. */
MUST_CHECK int go_command_read(struct generator *g, const struct go_module *module,
                               struct go_command *ret, struct error *err);

#endif
