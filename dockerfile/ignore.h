/* dockerfile/ignore — which files of a context a build does not see: .dockerignore with the
 * semantics of moby/patternmatcher. */
#ifndef DOCKERFILE_IGNORE_H
#define DOCKERFILE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct dockerfile_ignore;

/* The text of an ignore file.  ERR_INPUT: a pattern that is none ("!", "[a-"), in moby's words and
 * with its line; ERR_LIMIT: too many or too long. */
MUST_CHECK int dockerfile_ignore_parse(const char *text, size_t len, struct dockerfile_ignore **ret,
                                       struct error *err);
void dockerfile_ignore_free(struct dockerfile_ignore *g);

/* Whether path (relative to the context, parted by "/") is ignored: it or a directory above it
 * matches, and the last pattern that matches is not a "!". */
bool dockerfile_ignore_matches(const struct dockerfile_ignore *g, const char *path);

/* Whether there is a "!" pattern at all. */
bool dockerfile_ignore_has_exceptions(const struct dockerfile_ignore *g);

/* Whether a "!" pattern may bring back something below an ignored directory, which then has to be
 * walked all the same. */
bool dockerfile_ignore_may_reinclude(const struct dockerfile_ignore *g, const char *dir);

#endif
