/* tests/dockerfile/worst_cases — inputs that would be slow for a careless reader, in any size. */
#ifndef TESTS_DOCKERFILE_WORST_CASES_H
#define TESTS_DOCKERFILE_WORST_CASES_H

#include "base/buf.h"

struct worst_case {
    const char *name;
    /* Appends the case of n units to text; for ignore files also a path to paths. */
    void (*write)(size_t n, struct buf *text, struct buf *path);
    size_t n;     /* of the small size; eight times as many must be within the limits */
    bool refused; /* it is no good Dockerfile, and its refusal is what takes time */
};

extern const struct worst_case worst_cases[]; /* the last has no name */

#endif
