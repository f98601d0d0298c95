/* api/openapi — what Kiln answers, described for machines; assembled once, when a server starts. */
#ifndef API_OPENAPI_H
#define API_OPENAPI_H

#include "base/error.h"

struct openapi;

MUST_CHECK int openapi_new(struct openapi **ret, struct error *err);
void openapi_free(struct openapi *o); /* NULL is fine */

#endif
