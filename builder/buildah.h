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

/* By BUILDER_FETCH, from where the image really is.  docker_config: NULL: none.  An image from
 * OUTSIDE is pulled by a network of the jail's own. */
void buildah_describe_pull(const struct builder_job *job, const struct reference *image,
                           enum reference_place place, const struct builder_base_place *from,
                           const char *docker_config, const struct progress *p,
                           struct jail_spec *s);

/* ---- inside ---- */

#define BUILDAH_REGISTRIES  "/run/registries.conf"
#define BUILDAH_CREDENTIALS "/run/auth.json" /* where there are some */

/* Has it fetch the repository of that name ("docker.io/library/alpine") from the location alone, by
 * plain HTTP. */
MUST_CHECK int buildah_write_registries(const char *name, const char *location, struct error *err);

/* Whether it has refused the image itself, by the last line that it wrote about an error. */
bool buildah_refuses(const char *fault);

#endif
