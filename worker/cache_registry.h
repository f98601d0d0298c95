/* worker/cache_registry — the workspace's registry as the place where its workers leave each other
 * what they have done: the repository <workspace>/cache, with a tag for the steps of each image and
 * for each cache mount.
 *
 * Kiln alone writes there: a build gets no credentials to push, and its commands do not reach the
 * registry.  Another workspace's is never asked. */
#ifndef WORKER_CACHE_REGISTRY_H
#define WORKER_CACHE_REGISTRY_H

#include "worker/run.h"

#define CACHE_REPOSITORY (NAME_SIZE + 8)
/* "<workspace>/cache" */
void cache_repository(const struct build *b, char ret[CACHE_REPOSITORY]);

/* Gives the job of the run what builder_build asks of other workers; run.cache is borrowed until
 * the job ends.  Not after a try that failed: what it relied on may be at fault. */
void cache_registry_use(struct run *r);

/* After the build has ended well: leaves there what other workers can use.  stop ends it early.
 * What fails is told to the operator's log, and costs nothing but the next worker's time. */
void cache_registry_export(struct run *r, const struct cancel *stop);

#endif
