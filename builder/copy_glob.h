/* builder/copy_glob — the wildcards of COPY's sources: Go's filepath.Match, and for --parents also
 * "**" as moby/patternmatcher has it. */
#ifndef BUILDER_COPY_GLOB_H
#define BUILDER_COPY_GLOB_H

#include <stdbool.h>

#include "base/error.h"

#define COPY_GLOB_MAX 4096 /* bytes of a pattern */

struct copy_glob;

/* any_depth: "**" stands for any directories.  ERR_INPUT: "…": syntax error in pattern; ERR_LIMIT:
 * longer than COPY_GLOB_MAX. */
MUST_CHECK int copy_glob_compile(const char *pattern, bool any_depth, struct copy_glob **ret,
                                 struct error *err);
void copy_glob_free(struct copy_glob *g);
static inline void copy_glob_freep(struct copy_glob **g)
{
    copy_glob_free(*g);
}

/* Whether it matches the whole path.  Takes length × length of the pattern steps at worst. */
bool copy_glob_matches(const struct copy_glob *g, const char *path);

/* Whether a path below that directory may match. */
bool copy_glob_leads_below(const struct copy_glob *g, const char *directory);

/* Whether text has one of * ? [ without a backslash before it. */
bool copy_glob_is_wild(const char *text, size_t len);

#endif
