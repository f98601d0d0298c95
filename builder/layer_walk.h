/* builder/layer_walk — the entries of a diff directory in the order of a layer: a directory before
 * what is in it, its names in byte order. */
#ifndef BUILDER_LAYER_WALK_H
#define BUILDER_LAYER_WALK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct layer_walk;

struct layer_walk_entry { /* borrowed until the next call */
    int dir;              /* the directory it is in */
    const char *name;     /* its name there */
    const char *path;     /* relative to the diff */
};

/* diff is borrowed. */
MUST_CHECK int layer_walk_new(int diff, struct layer_walk **ret, struct error *err);
void layer_walk_free(struct layer_walk *w);
static inline void layer_walk_freep(struct layer_walk **w)
{
    layer_walk_free(*w);
}

/* *ret_end: there was none, and ret is untouched.  ERR_LIMIT: a path of PATH_MAX bytes or more. */
MUST_CHECK int layer_walk_next(struct layer_walk *w, struct layer_walk_entry *ret, bool *ret_end,
                               struct error *err);

/* The entry told last is a directory, open as fd: what is in it comes next. */
MUST_CHECK int layer_walk_enter(struct layer_walk *w, int fd, struct error *err);

#endif
