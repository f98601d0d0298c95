/* flaky — a small registry in a thread of the test, for one blob, which fails on demand.
 *
 * It keeps what it got of an upload that was cut off, and tells where that stands, as the
 * distribution specification wants it and docker-registry does not do. */
#ifndef TESTS_REGISTRY_FLAKY_H
#define TESTS_REGISTRY_FLAKY_H

#include <pthread.h>

#include "registry/registry.h"

enum flaky_how {
    FLAKY_STATUS,     /* answers with status n, and does nothing */
    FLAKY_CUT,        /* takes, or gives, n bytes of the body and resets the connection */
    FLAKY_NO_ANSWER,  /* does what it was asked for, and resets the connection */
    FLAKY_SILENT,     /* takes nothing more and says nothing, until stopped */
    FLAKY_FORGET,     /* of a GET: knows of no upload */
    FLAKY_NO_RANGE,   /* of a GET: sends all, whatever was asked for */
    FLAKY_OTHER_PART, /* of a GET: sends a range that was not asked for */
};

/* Befalls the next request of that method; those of one method in the order given. */
struct flaky_fault {
    const char *method;
    enum flaky_how how;
    unsigned n;
    const char *header; /* with FLAKY_STATUS: a line of the answer's; NULL: none */
};

struct flaky {
    char url[64];
    struct registry registry; /* that waits 1 ms before another try */
    const struct flaky_fault *faults;
    size_t n_faults;

    struct buf upload, blob; /* bytes */
    bool has_blob;
    struct buf log; /* "PUT 100\n": the method, and how much of a body came or went */
    struct cancel stop;
    uint64_t used; /* faults that have befallen, as bits */
    int fd;
    pthread_t thread;
};

/* faults: a table that outlives it. */
struct flaky *flaky_start(const struct flaky_fault *faults, size_t n);
void flaky_free(struct flaky *f);

#endif
