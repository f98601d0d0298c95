/* worker/provenance — how an image was made: an in-toto statement (in-toto.io/Statement/v1) with
 * SLSA provenance (slsa.dev/provenance/v1).  docs/attestations.md says what stands in it. */
#ifndef WORKER_PROVENANCE_H
#define WORKER_PROVENANCE_H

#include "worker/run.h"

#define PROVENANCE_TYPE "application/vnd.in-toto+json"
#define PROVENANCE_MAX  (4U << 20) /* bytes */

/* Appends it.  name: "127.0.0.1:5000/ws/sandbox/app"; digest: of the manifest.  Values of build
 * arguments are secrets, and are not in it.  With SOURCE_DATE_EPOCH it says nothing of when and by
 * which run: the same words give the same bytes. */
MUST_CHECK int provenance_write(const struct run *r, const char *name, const char *digest,
                                struct buf *out, struct error *err);

#endif
