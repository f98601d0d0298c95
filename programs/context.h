/* programs/context — the directory that `kiln build DIR` is given, as an archive. */
#ifndef PROGRAMS_CONTEXT_H
#define PROGRAMS_CONTEXT_H

#include "base/error.h"

/* Packs dir to fd: all of it but .git, and but what its .blaxelignore names if it has one.
 *
 * The Blaxel CLI leaves out a list of names of its own when there is no such file (dist,
 * node_modules, .env*, …: PROTOCOL.md 1.8), without a word and whatever the Dockerfile copies. Here
 * nothing is left out that nobody named. */
MUST_CHECK int context_pack(const char *dir, int fd, struct error *err);

#endif
