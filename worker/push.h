/* worker/push — an image that was built goes to a registry. */
#ifndef WORKER_PUSH_H
#define WORKER_PUSH_H

#include "builder/builder.h"
#include "registry/registry.h"

/* Appends the image's manifest: in Docker's format, whose readers know HEALTHCHECK and SHELL, or,
 * where the base has layers that only OCI's knows, in that.  *ret_type: "application/vnd…".
 * ERR_SYSTEM: out of memory, or a layer is not there. */
MUST_CHECK int push_write_manifest(const struct builder_job *job, const struct builder_image *image,
                                   struct buf *out, const char **ret_type, struct error *err);

/* Writes the image's manifest and pushes it with its blobs, those that are not there yet, as
 * <repository>:<tag>.  cache: the repository that has the layers which are away.  known: for each
 * layer a repository that may have it, or ""; NULL: nothing is known.  Errors are those of
 * registry_push. */
MUST_CHECK int push_image(const struct registry *registry, const struct builder_job *job,
                          const struct builder_image *image, const char *repository,
                          const char *tag, const char *cache, const struct argv *known,
                          struct registry_pushed *ret, struct error *err);

#endif
