/* worker/push — an image that was built goes to a registry. */
#ifndef WORKER_PUSH_H
#define WORKER_PUSH_H

#include "builder/builder.h"
#include "registry/registry.h"

/* "application/vnd…" */
extern const char push_manifest_type[];

/* Appends the image's manifest.  ERR_SYSTEM: out of memory. */
MUST_CHECK int push_write_manifest(const struct builder_image *image, struct buf *out,
                                   struct error *err);

/* Writes the image's manifest and pushes it with its blobs, those that are not there yet, as
 * <repository>:<tag>.  cache: the repository that has the layers which are away.  known: for each
 * layer a repository that may have it, or ""; NULL: nothing is known.  Errors are those of
 * registry_push. */
MUST_CHECK int push_image(const struct registry *registry, const struct builder_job *job,
                          const struct builder_image *image, const char *repository,
                          const char *tag, const char *cache, const struct argv *known,
                          struct registry_pushed *ret, struct error *err);

#endif
