/* dockerfile/generate/node_manager — how node_manager.c, node_pnpm.c and node_yarn.c share the
 * choice of a package manager. */
#ifndef DOCKERFILE_GENERATE_NODE_MANAGER_H
#define DOCKERFILE_GENERATE_NODE_MANAGER_H

#include "dockerfile/generate/node.h"

#define PNPM_VERSION "10.34.9" /* when nothing says another one */

extern const struct node_manager node_yarn_berry;

/* why: "packageManager in package.json"; the version is set before. */
void node_choice_explain(struct node_choice *c, const char *why);
void node_choice_set_version(struct node_choice *c, const char *version);
unsigned node_choice_major(const char *version); /* 0: no version */

/* The version and what goes with it, of a choice whose manager is known and whose version is
 * packageManager's or "".  mark: the file that decided, NULL when none did. */
MUST_CHECK int node_pnpm_settle(struct generator *g, const struct node_package *p,
                                const struct node_version *node, const char *mark,
                                struct node_choice *c, struct error *err);
MUST_CHECK int node_yarn_settle(struct generator *g, const char *mark, struct node_choice *c,
                                struct error *err);

#endif
