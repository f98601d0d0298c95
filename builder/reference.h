/* builder/reference — the name of an image, as far as the builder must understand it. */
#ifndef BUILDER_REFERENCE_H
#define BUILDER_REFERENCE_H

#include "builder/builder.h"

struct reference {
    char host[256];  /* "docker.io", "127.0.0.1:5000", without the port's brackets undone */
    char full[1024]; /* "docker.io/library/alpine:3.20", "…@sha256:…"; a digest drops the tag */
};

/* ERR_INPUT: not a reference after the grammar of distribution/reference; so nothing that has a
 * transport ("oci-archive:…") passes. */
MUST_CHECK int reference_parse(const char *image, struct reference *ret, struct error *err);

/* Bytes of a full name before its tag or digest. */
size_t reference_name_length(const char *full);

/* Whether a full name is that of the prefix or below it: "docker.io" and "ghcr.io/blaxel-ai" cover
 * what is below them, not their longer neighbours. */
bool reference_is_below(const char *full, const char *prefix);

enum reference_place {
    REFERENCE_CONFIGURED, /* a mirror answers for it, or it is this workspace's own or shared */
    REFERENCE_OUTSIDE,    /* some registry; what its name resolves to is still to be looked at */
    REFERENCE_FORBIDDEN,  /* this machine */
    REFERENCE_FOREIGN,    /* in the registry that is pushed to, another workspace's: as forbidden */
};
/* shared: see builder_job_use_shared; NULL: nothing. */
enum reference_place reference_where(const struct reference *r, const struct builder_config *config,
                                     const char *workspace, const struct argv *shared);

#endif
