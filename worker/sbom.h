/* worker/sbom — what is in an image, as SPDX 2.3 in JSON (spdx.github.io/spdx-spec/v2.3). */
#ifndef WORKER_SBOM_H
#define WORKER_SBOM_H

#include <stdint.h>

#include "base/buf.h"

#define SBOM_TYPE "application/spdx+json"
#define SBOM_MAX  (64U << 20) /* bytes */

struct sbom_subject {    /* borrowed */
    const char *name;    /* "127.0.0.1:5000/ws/sandbox/app" */
    const char *digest;  /* of the manifest */
    const char *program; /* "kiln 0.1.0" */
    int64_t moment;      /* ns since 1970 */
};

/* Appends the document of the packages that the builder listed (struct builder_image).  The same
 * words give the same bytes.  ERR_SYSTEM: it is no such list. */
MUST_CHECK int sbom_write(const struct sbom_subject *subject, const struct buf *packages,
                          struct buf *out, size_t *ret_packages, struct error *err);

#endif
