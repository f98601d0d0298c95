/* builder/copy_excluded — --exclude of a request, by the matcher that came with it. */
#ifndef BUILDER_COPY_EXCLUDED_H
#define BUILDER_COPY_EXCLUDED_H

#include "builder/copy.h"

/* *ret is NULL when nothing is excluded; released with copy_excluded_release. */
MUST_CHECK static inline int copy_excluded_compile(const struct copy_request *req, void **ret,
                                                   struct error *err)
{
    *ret = NULL;
    if (!req->exclude || req->exclude->n == 0)
        return 0;
    *ret = req->patterns->compile(req->exclude, err);
    return *ret ? 0 : -1;
}

static inline bool copy_excluded_has(const struct copy_request *req, const void *excluded,
                                     const char *path)
{
    return excluded && req->patterns->matches(excluded, path);
}

static inline void copy_excluded_release(const struct copy_request *req, void **excluded)
{
    if (*excluded)
        req->patterns->free(*excluded);
    *excluded = NULL;
}

#endif
