/* dockerfile/vars — names with values, in the order in which they came: the variables of a scope,
 * and whatever else is a list without doubles. */
#ifndef DOCKERFILE_VARS_H
#define DOCKERFILE_VARS_H

#include <stdint.h>

#include "base/error.h"

#define VARS_MAX 2048 /* an index has 16 bits */

struct var {
    char *name;
    char *value;
};

struct vars {
    struct var *v;    /* in the order of their first setting */
    uint16_t *sorted; /* indices into v, by name */
    size_t n, cap;
};

void vars_release(struct vars *v);

/* Sets or replaces.  ERR_LIMIT: more than VARS_MAX of them. */
MUST_CHECK int vars_set(struct vars *v, const char *name, size_t len, const char *value,
                        struct error *err);

/* Sets all that from has. */
MUST_CHECK int vars_copy(struct vars *to, const struct vars *from, struct error *err);

/* Bytes of all names and values. */
size_t vars_size(const struct vars *v);

/* The value, NULL when it is unset; self is a struct vars *, as struct expander wants it. */
const char *vars_get(void *self, const char *name, size_t len);

#endif
