/* worker/attest — an image's SBOM and provenance: written beside the push, kept with the build, and
 * attached to the image in the registry. */
#ifndef WORKER_ATTEST_H
#define WORKER_ATTEST_H

#include <pthread.h>

#include "base/buf.h"
#include "registry/registry.h"
#include "worker/state.h"

struct run;

struct attest {
    bool begun, started; /* started: the thread is there */
    pthread_t thread;
    char repository[3 * NAME_SIZE], digest[REGISTRY_DIGEST];
    char name[400]; /* with the registry's */
    const char *media_type;
    uint64_t size; /* of the manifest */
    struct buf sbom, provenance;
    size_t packages;
    bool has_sbom;
    struct error sbom_error; /* why there is none */
};

/* Begins for the manifest that is about to be pushed, where the configuration wants it. */
MUST_CHECK int attest_begin(struct run *r, const char *media_type, const struct buf *manifest,
                            struct error *err);

/* Waits until both are written, keeps them with the build, and tells its log. */
MUST_CHECK int attest_end(struct run *r, struct error *err);

/* Attaches them to the image, of a build that has succeeded; nothing when there are none.  A
 * registry that does not take them is told of in the log, and no failure. */
void attest_attach(struct run *r);

/* Waits, if need be, and frees. */
void attest_release(struct attest *a);

#endif
