/* builder/buildah — the one file that knows buildah's arguments, files and phrases. */
#ifndef BUILDER_BUILDAH_H
#define BUILDER_BUILDAH_H

#include "builder/jail.h"
#include "builder/progress.h"
#include "builder/reference.h"
#include "builder/state.h"

/* Each fills an empty spec with the jail and the command; the spec's own error is sticky.
 *
 * The paths in the jail: /context, and /kiln/{bases,storage,tmp,out}. */

/* docker_config: NULL: none.  vet_host: the name whose addresses are looked at first; NULL: none.
 */
void buildah_describe_pull(const struct builder_job *job, const struct reference *image,
                           const char *vet_host, const char *docker_config, struct jail_spec *s);

/* with_bases: the base store has been written to.  s: as egress_describe left it. */
void buildah_describe_build(const struct builder_job *job, const struct builder_request *req,
                            bool with_bases, struct jail_spec *s);

/* destination: "host:port/repository:tag".  The digest appears in the job's out/digest. */
void buildah_describe_push(const struct builder_job *job, const char *destination, bool with_bases,
                           struct jail_spec *s);

/* True for names of build arguments that buildah, its runtime or the loader would obey when they
 * stand in their environment, which is how a build argument's value comes to buildah. */
bool buildah_obeys(const char *name);

/* Why a pull or push failed. */
enum buildah_fault {
    BUILDAH_FAULT_ABSENT,  /* no such image */
    BUILDAH_FAULT_DENIED,  /* credentials missing or refused */
    BUILDAH_FAULT_REFUSED, /* not allowed here, or not for this platform */
    BUILDAH_FAULT_REMOTE,  /* the registry did not answer, or not sensibly */
    BUILDAH_FAULT_OURS,
};
enum buildah_fault buildah_read_fault(const struct progress *p);

#endif
