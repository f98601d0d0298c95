/* worker/push — an image that was built goes to a registry. */
#ifndef WORKER_PUSH_H
#define WORKER_PUSH_H

#include "builder/builder.h"
#include "registry/registry.h"

/* Writes the image's manifest and pushes it with its blobs, those that are not there yet, as
 * <repository>:<tag>.  cache: the repository that has the layers which are away.  Errors are those
 * of registry_push. */
MUST_CHECK int push_image(const struct registry *registry, const struct builder_job *job,
                          const struct builder_image *image, const char *repository,
                          const char *tag, const char *cache, struct registry_pushed *ret,
                          struct error *err);

#endif
