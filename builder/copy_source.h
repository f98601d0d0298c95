/* builder/copy_source — from the sources as they are written to the files and directories they
 * mean. */
#ifndef BUILDER_COPY_SOURCE_H
#define BUILDER_COPY_SOURCE_H

#include "builder/copy.h"
#include "builder/copy_glob.h"
#include "builder/copy_place.h"

#define COPY_SOURCES_MAX 300000 /* files that wildcards match: as many as an upload may have */

struct copy_source {
    char *path;             /* below the root, clean: "" or "a/b" */
    char *shown;            /* for ret_matched */
    struct copy_glob *only; /* --parents: what is meant of the directory path; NULL: all */
};

struct copy_sources {
    struct copy_source *v;
    size_t n, cap;
};

void copy_sources_release(struct copy_sources *s);

/* What req->sources mean, in order.  ERR_INPUT: "\"/x\": not found", or a bad pattern. */
MUST_CHECK int copy_sources_find(const struct copy_request *req, struct copy_sources *ret,
                                 struct error *err);

/* Opens what is at a source's path, links followed below the root.  flags: O_PATH or how to read.
 * ERR_INPUT: not found. */
MUST_CHECK int copy_source_open(int root, const char *path, int flags, int *ret_fd,
                                struct error *err);

/* The last name of a source's path. */
const char *copy_source_name(const char *path);

#endif
