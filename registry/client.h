/* registry/client — what other files of this folder need of it. */
#ifndef REGISTRY_CLIENT_H
#define REGISTRY_CLIENT_H

#include "registry/registry.h"

/* registry_put_manifest of a manifest with a subject, by its digest.  *ret_known: the registry
 * knows referrers, and lists this one (the header OCI-Subject). */
MUST_CHECK int registry_put_seeing(const struct registry *r, const char *repository,
                                   const char *digest, const char *media_type, const void *bytes,
                                   size_t len, bool *ret_known, struct error *err);

#endif
