/* dockerfile/generate/go_run — the words of "go run [flags] package [arguments]". */
#ifndef DOCKERFILE_GENERATE_GO_RUN_H
#define DOCKERFILE_GENERATE_GO_RUN_H

#include "dockerfile/generate/go_command.h"

/* line begins with "go".  Sets ret's target and tags; *ret_arguments: where in line the program's
 * own begin.  ERR_INPUT: another command of go, or a package that is not the project's. */
MUST_CHECK int go_run_read(struct generator *g, const struct go_module *module, const char *line,
                           struct go_command *ret, const char **ret_arguments, struct error *err);

#endif
