/* builder/tree — the files that a stage sees: diffs and layers of a base over one another, mounted
 * when somebody looks.
 *
 * Mounts are the kernel's overlay (Documentation/filesystems/overlayfs.rst), made inside the jail. */
#ifndef BUILDER_TREE_H
#define BUILDER_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define TREE_LOWERS_MAX 400 /* the kernel takes 500, and a page of names */

struct tree {
    unsigned *lowers; /* numbers of tree_name, the lowest first */
    size_t n;
};

void tree_release(struct tree *t);
MUST_CHECK int tree_copy(const struct tree *from, struct tree *ret, struct error *err);

/* Puts a directory (absolute path in the jail) on top. ERR_LIMIT: too many layers. */
MUST_CHECK int tree_add(struct tree *t, const char *path, struct error *err);

struct tree_view {
    int fd;      /* of its root; -1: a tree of nothing */
    char at[64]; /* where it is mounted; "": nothing had to be */
};
/* A read-only view of it. */
MUST_CHECK int tree_view(const struct tree *t, bool userxattr, struct tree_view *ret,
                         struct error *err);
void tree_view_release(struct tree_view *v);

/* Mounts it writable at the directory `at`; changes go to upper, work is an empty directory beside
 * it. */
MUST_CHECK int tree_mount(const struct tree *t, bool userxattr, const char *upper, const char *work,
                          const char *at, struct error *err);

#endif
