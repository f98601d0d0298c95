/* dockerfile/generate/go_version — which golang image builds a module.
 *
 * toolchain, else go, of go.work or go.mod decides the X.Y; the patch is the newest of that tag.
 * The image's own Go is used and no other (GOTOOLCHAIN=local), with two exceptions, where the go
 * command may fetch the release that the file asks for (GOTOOLCHAIN=auto): a patch is named, which
 * an older copy of the tag may not have, and a release newer than the images known here. */
#ifndef DOCKERFILE_GENERATE_GO_VERSION_H
#define DOCKERFILE_GENERATE_GO_VERSION_H

#include "dockerfile/generate/go_module.h"

struct go_image {
    char name[40];  /* "golang:1.25-bookworm" */
    char asked[40]; /* "1.25.3", as the file has it */
    bool fetch;     /* GOTOOLCHAIN=auto instead of local */
    char why[256];
};

void go_image_choose(const struct go_module *m, struct go_image *ret);

/* The major and minor number of the go line are at least these; false without one. */
bool go_version_is_from(const struct go_module *m, unsigned major, unsigned minor);

#endif
