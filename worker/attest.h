/* worker/attest — an image's SBOM and provenance: written, attached to it in the registry beside
 * the push, and kept with the build. */
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
    struct registry registry;
    char repository[3 * NAME_SIZE], digest[REGISTRY_DIGEST];
    char name[400]; /* with the registry's */
    struct registry_subject subject;
    struct buf sbom, provenance;
    size_t packages;
    bool has_sbom;
    struct error sbom_error, attach_error; /* why there is none, why it is not attached */
};

/* Begins for the manifest that is about to be pushed, where the configuration wants it. */
MUST_CHECK int attest_begin(struct run *r, const char *media_type, const struct buf *manifest,
                            struct error *err);

/* Waits until all is attached, and keeps it; tells the log.  A registry that does not take it is
 * told of and no failure. */
MUST_CHECK int attest_end(struct run *r, struct error *err);

/* Waits, if need be, and frees. */
void attest_release(struct attest *a);

#endif
