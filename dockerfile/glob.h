/* dockerfile/glob — the patterns of ${x#p} and ${x/p/r}: * and ? and \-escapes, no brackets. */
#ifndef DOCKERFILE_GLOB_H
#define DOCKERFILE_GLOB_H

#include "base/buf.h"

struct glob_trim {
    const char *pattern, *value;
    bool longest; /* the longest match goes, else the shortest */
    bool suffix;  /* from the end, else from the start */
};

struct glob_replace {
    const char *pattern, *value;
    const char *by;
    bool all; /* every match, else the first */
};

/* Append what is left, or comes out, to out.  *work is lowered by the steps taken; ERR_LIMIT when
 * it does not suffice.  ERR_INPUT: a \ before something that needs none. */
MUST_CHECK int glob_trim(const struct glob_trim *t, struct buf *out, size_t *work,
                         struct error *err);
MUST_CHECK int glob_replace(const struct glob_replace *r, struct buf *out, size_t *work,
                            struct error *err);

#endif
