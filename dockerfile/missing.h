/* dockerfile/missing — files that a build would ask its context for in vain: known from the names
 * alone, before anything is pulled or run. */
#ifndef DOCKERFILE_MISSING_H
#define DOCKERFILE_MISSING_H

#include "dockerfile/evaluate.h"
#include "dockerfile/ignore.h"
#include "dockerfile/source.h"

/* Looks for the sources of every COPY and ADD of needed stages, and of RUN --mount=type=bind, that
 * come from the context and hold no wildcard.  ERR_INPUT, with the line, for the first one that is
 * not there or that the ignore rules hide; it is 0 when none is missing. */
MUST_CHECK int missing_refuse(const struct dockerfile_evaluation *e,
                              const struct dockerfile_source *source,
                              const struct dockerfile_ignore *ignore, struct error *err);

#endif
