/* programs/build_registry — the registry for a command that may run beside no `kiln serve`. */
#ifndef PROGRAMS_BUILD_REGISTRY_H
#define PROGRAMS_BUILD_REGISTRY_H

#include "api/api.h"
#include "programs/installation.h"

struct build_registry {
    struct api_config api_config;
    struct api_server *api;         /* NULL: another's gives tokens, or none are needed */
    struct registry_server *server; /* NULL: another's is used */
};

/* Starts the supervised registry where it does not run: then with an API on a free port of loopback
 * for its tokens, which nobody has a key for.  i outlives it; release also after -1, by the thread
 * that called this. */
MUST_CHECK int build_registry_start(const struct installation *i, struct build_registry *ret,
                                    struct error *err);
void build_registry_release(struct build_registry *r);

#endif
