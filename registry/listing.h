/* registry/listing — what a registry's lists say; they come from outside. */
#ifndef REGISTRY_LISTING_H
#define REGISTRY_LISTING_H

#include <stddef.h>

#include "registry/registry.h"

/* {"name", "tags": […]}: calls each for those that are tags; there may be none. ERR_REMOTE: it is
 * no such list. */
MUST_CHECK int registry_tags_read(const char *bytes, size_t len,
                                  void (*each)(void *self, const char *tag), void *self,
                                  struct error *err);

/* An OCI index: calls each for its descriptors.  ERR_REMOTE: it is none. */
MUST_CHECK int registry_referrers_read(const char *bytes, size_t len,
                                       void (*each)(void *self, const struct registry_referrer *r),
                                       void *self, struct error *err);

/* Appends the index (len 0: there is none yet) with these descriptors added, in place of those of
 * the same digest. */
MUST_CHECK int registry_index_add(const char *bytes, size_t len,
                                  const struct registry_referrer *added, size_t n, struct buf *out,
                                  struct error *err);

/* Appends the manifest of an artifact whose one blob has that digest (OCI image specification 1.1,
 * "guidelines for artifact usage"). */
MUST_CHECK int registry_artifact_write(const struct registry_subject *subject,
                                       const struct registry_artifact *artifact, const char *digest,
                                       struct buf *out, struct error *err);

/* The config of an artifact that has none: its two bytes and their digest. */
extern const char registry_empty[3];
extern const char registry_empty_digest[];

#endif
