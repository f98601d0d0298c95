/* builder/buildah — the one file that knows buildah's arguments, files and phrases. */
#ifndef BUILDER_BUILDAH_H
#define BUILDER_BUILDAH_H

#include "builder/jail.h"
#include "builder/progress.h"
#include "builder/reference.h"
#include "builder/state.h"

/* Each fills an empty spec with the jail and the command; the spec's own error is sticky.
 *
 * The paths in the jail: /kiln/{bases,tmp}. */

/* docker_config: NULL: none.  An image from OUTSIDE is pulled by a network of the jail's own. */
void buildah_describe_pull(const struct builder_job *job, const struct reference *image,
                           enum reference_place place, const char *docker_config,
                           const struct progress *p, struct jail_spec *s);

/* Why a pull failed. */
enum buildah_fault {
    BUILDAH_FAULT_CUT,     /* the registry was reached, and broke off or was busy */
    BUILDAH_FAULT_ABSENT,  /* no such image */
    BUILDAH_FAULT_DENIED,  /* credentials missing or refused */
    BUILDAH_FAULT_REFUSED, /* not allowed here, or not for this platform */
    BUILDAH_FAULT_REMOTE,  /* the registry did not answer, or not sensibly */
    BUILDAH_FAULT_OURS,
};
enum buildah_fault buildah_read_fault(const struct progress *p);

#endif
