/* worker/labels — what an image says of itself: when, of what and on what it was made. */
#ifndef WORKER_LABELS_H
#define WORKER_LABELS_H

#include "worker/run.h"

/* Appends "K=V" for the labels of the OCI image specification's annotations (created, revision,
 * source, base.name, base.digest, as far as they are known) and dev.kiln.version.  A label that the
 * Dockerfile sets itself is the user's, and is left out.  To be asked once the bases are there. */
MUST_CHECK int labels_make(const struct run *r, struct argv *ret, struct error *err);

#endif
