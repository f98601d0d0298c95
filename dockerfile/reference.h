/* dockerfile/reference — what this folder asks of image references beyond dockerfile.h. */
#ifndef DOCKERFILE_REFERENCE_H
#define DOCKERFILE_REFERENCE_H

#include <string.h>

#include "dockerfile/dockerfile.h"

/* The name that stands for no image. */
static inline bool reference_is_scratch(const char *name)
{
    return strcmp(name, "scratch") == 0;
}

/* ERR_INPUT when text names a place other than a registry: "oci-archive:/x". */
MUST_CHECK int reference_refuse_transport(const char *text, struct error *err);

/* dockerfile_parse_reference without that: a transport's name may be an image's, too. */
MUST_CHECK int reference_read(const char *text, struct dockerfile_reference *ret,
                              struct error *err);

#endif
