/* dockerfile/mount — RUN --mount=type=cache,target=/x,…: its fields as BuildKit reads them. */
#ifndef DOCKERFILE_MOUNT_H
#define DOCKERFILE_MOUNT_H

#include "dockerfile/evaluate.h"

/* What puts variables into a field's value; *ret is good as long as the mount. */
struct mount_expander {
    int (*expand)(void *self, const char *value, char **ret, struct error *err);
    void *self;
};

/* text is what stands after --mount=.  Strings of ret come from the expander, or are static.
 * ERR_INPUT in BuildKit's words. */
MUST_CHECK int mount_parse(const char *text, const struct mount_expander *x,
                           struct dockerfile_mount *ret, struct error *err);

const char *mount_type_name(enum dockerfile_mount_type type);

#endif
