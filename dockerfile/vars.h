/* dockerfile/vars — names with values, in the order in which they came: the variables of a scope,
 * and whatever else is a list without doubles. */
#ifndef DOCKERFILE_VARS_H
#define DOCKERFILE_VARS_H

#include <stdint.h>

#include "dockerfile/arena.h"

#define VARS_MAX 2048 /* an index has 16 bits */

struct var {
    const char *name;
    const char *value;
};

struct vars {
    struct arena *arena; /* for all of it; borrowed */
    struct var *v;       /* in the order of their first setting */
    uint16_t *sorted;    /* indices into v, by name */
    size_t n, cap;
};

/* Fills an empty one; texts are borrowed, and names are in byte order. */
MUST_CHECK int vars_fill(struct vars *v, const struct var *sorted, size_t n, struct error *err);

/* Sets or replaces; both texts are copied.  ERR_LIMIT: more than VARS_MAX of them. */
MUST_CHECK int vars_set(struct vars *v, const char *name, size_t len, const char *value,
                        struct error *err);

/* Sets all that from has, which lives in the same arena: texts are shared. */
MUST_CHECK int vars_copy(struct vars *to, const struct vars *from, struct error *err);

/* Bytes of all names and values. */
size_t vars_size(const struct vars *v);

/* The value, NULL when it is unset; self is a struct vars *, as struct expander wants it. */
const char *vars_get(void *self, const char *name, size_t len);

#endif
