/* dockerfile/context — what a build sees of a directory: as one digest, and alone. */
#ifndef DOCKERFILE_CONTEXT_H
#define DOCKERFILE_CONTEXT_H

#include "base/digest.h"
#include "dockerfile/ignore.h"

/* SHA-256 over the names, kinds, permission bits and contents of all files below dirfd that the
 * rules (NULL: none) do not leave out; times and owners do not count, as with BuildKit's cache.
 * Symlinks are not followed.  Equal digests mean that COPY finds the same.  ERR_LIMIT: deeper than
 * a context may be. */
MUST_CHECK int dockerfile_context_digest(int dirfd, const struct dockerfile_ignore *ignore,
                                         char ret[SHA256_HEX], struct error *err);

/* Removes what the rules leave out, so that the directory is what the build sees. */
MUST_CHECK int dockerfile_context_prune(int dirfd, const struct dockerfile_ignore *ignore,
                                        struct error *err);

#endif
