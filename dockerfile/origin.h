/* dockerfile/origin — is what ADD names a file of the context, an address on the web, or a git
 * repository? */
#ifndef DOCKERFILE_ORIGIN_H
#define DOCKERFILE_ORIGIN_H

#include "base/error.h"

enum origin {
    ORIGIN_CONTEXT,
    ORIGIN_HTTP,
    ORIGIN_GIT,
    ORIGIN_GIT_LIKE, /* github.com/…: a repository once, a path of the context now */
};

/* ERR_INPUT: a repository with a query that means nothing. */
MUST_CHECK int origin_of(const char *source, enum origin *ret, struct error *err);

#endif
