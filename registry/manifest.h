/* registry/manifest — what a manifest's bytes say; they come from outside. */
#ifndef REGISTRY_MANIFEST_H
#define REGISTRY_MANIFEST_H

#include <stddef.h>

#include "base/buf.h"
#include "registry/registry.h"

#define REGISTRY_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define REGISTRY_OCI_INDEX    "application/vnd.oci.image.index.v1+json"

/* The four kinds that are understood, as an Accept header. */
extern const char registry_manifest_accept[];

/* Fills digest, media_type and size of ret from len bytes and the Content-Type they came with
 * (NULL: none).  ret->body is left alone.  ERR_REMOTE when it is not a manifest of the four kinds,
 * or says one thing in the header and another in the text. */
MUST_CHECK int registry_manifest_read(const char *bytes, size_t len, const char *content_type,
                                      struct registry_manifest *ret, struct error *err);

struct registry_blob { /* borrowed */
    const char *digest;
    uint64_t size; /* bytes */
    bool layer;    /* or the config */
    bool foreign;  /* not in the registry, but at addresses that the manifest gives */
};

/* Calls each for the config and the layers of an image's manifest that was read; for none of an
 * index's.  -1: as each has it. */
MUST_CHECK int registry_manifest_blobs(const struct registry_manifest *m,
                                       int (*each)(void *self, const struct registry_blob *b,
                                                   struct error *err),
                                       void *self, struct error *err);

/* Appends what a registry's error document says ("NAME_UNKNOWN: repository name not known"), as
 * one printable line of bounded length; nothing if it is no such document. */
void registry_error_read(const char *bytes, size_t len, struct buf *out);

#endif
