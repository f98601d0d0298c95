/* builder/stack — the files that a stage sees: diffs and layers of a base over one another, mounted
 * when somebody looks.
 *
 * Mounts are the kernel's overlay (Documentation/filesystems/overlayfs.rst), made inside the jail.
 */
#ifndef BUILDER_STACK_H
#define BUILDER_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define STACK_MAX 400 /* the kernel takes 500, and a page of names */

struct stack {
    unsigned *lowers; /* numbers of tree_name, the lowest first */
    size_t n;
};

void stack_release(struct stack *t);
MUST_CHECK int stack_copy(const struct stack *from, struct stack *ret, struct error *err);

/* Puts a directory (absolute path in the jail) on top. ERR_LIMIT: too many layers. */
MUST_CHECK int stack_add(struct stack *t, const char *path, struct error *err);

/* Where the directory of a number is. */
#define STACK_PATH 64
void stack_path(unsigned number, char ret[STACK_PATH]);

struct stack_view {
    int fd;      /* of its root; -1: a tree of nothing */
    char at[64]; /* where it is mounted; "": nothing had to be */
};
/* A read-only view of it. */
MUST_CHECK int stack_view(const struct stack *t, bool userxattr, struct stack_view *ret,
                          struct error *err);
void stack_view_release(struct stack_view *v);

/* Mounts it writable at the directory `at`; changes go to upper, work is an empty directory beside
 * it. */
MUST_CHECK int stack_mount(const struct stack *t, bool userxattr, const char *upper,
                           const char *work, const char *at, struct error *err);

#endif
