/* dockerfile/ignore — which files of a context a build does not see: .dockerignore with the
 * semantics of moby/patternmatcher. */
#ifndef DOCKERFILE_IGNORE_H
#define DOCKERFILE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/argv.h"
#include "base/error.h"

#define DOCKERFILE_IGNORE_TEXT_MAX     (1U << 20) /* bytes */
#define DOCKERFILE_IGNORE_PATTERNS_MAX 10000
#define DOCKERFILE_IGNORE_PATTERN_MAX  4096 /* bytes of one pattern */
/* Bytes of all patterns that have wildcards: with the path's length, this bounds the work for a
 * path, whoever wrote both. */
#define DOCKERFILE_IGNORE_WILD_MAX (64U << 10)

struct dockerfile_ignore;

/* The paths to look at for the rules, from the root of the context; the first that is there holds
 * them.  dockerfile: the path of the Dockerfile, likewise. */
void dockerfile_ignore_names(const char *dockerfile, struct argv *ret_names);

/* The text of an ignore file.  ERR_INPUT: a pattern that is none ("!", "[a-"), in moby's words and
 * with its line; ERR_LIMIT: too many or too long. */
MUST_CHECK int dockerfile_ignore_parse(const char *text, size_t len, struct dockerfile_ignore **ret,
                                       struct error *err);

/* The same of a .blaxelignore, whose patterns without wildcards match in every directory, as if
 * written with "**" and a slash before them (PROTOCOL.md 1.9). */
MUST_CHECK int dockerfile_ignore_parse_blaxel(const char *text, size_t len,
                                              struct dockerfile_ignore **ret, struct error *err);

void dockerfile_ignore_free(struct dockerfile_ignore *g);
static inline void dockerfile_ignore_freep(struct dockerfile_ignore **g)
{
    dockerfile_ignore_free(*g);
}

/* Whether path is ignored: it or a directory above it matches, and the last pattern that matches is
 * not a "!".  path: from the root of the context, parted by "/", without "." and "..". */
bool dockerfile_ignore_matches(const struct dockerfile_ignore *g, const char *path);

/* Whether there is a "!" pattern at all. */
bool dockerfile_ignore_has_exceptions(const struct dockerfile_ignore *g);

/* Whether a pattern names all there is: "*", "**", or both with a slash between them. */
bool dockerfile_ignore_has_all(const struct dockerfile_ignore *g);

/* Whether a "!" pattern may bring back something below an ignored directory, which then has to be
 * walked all the same. */
bool dockerfile_ignore_may_reinclude(const struct dockerfile_ignore *g, const char *dir);

#endif
