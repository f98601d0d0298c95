/* builder/layer_attributes — the extended attributes that a layer carries, and overlay's. */
#ifndef BUILDER_LAYER_ATTRIBUTES_H
#define BUILDER_LAYER_ATTRIBUTES_H

#include <stdbool.h>

#include "builder/layer_tar.h"

struct attributes {
    struct tar_attribute *v; /* by name, in byte order */
    size_t n;
    bool opaque; /* a directory that hides what is below */
};

void attributes_release(struct attributes *a);

/* Of a file or directory that is open for reading.  ERR_SYSTEM also when overlay keeps a part of
 * it elsewhere (redirect_dir, metacopy): such a diff cannot stand alone. */
MUST_CHECK int attributes_read(int fd, struct attributes *ret, struct error *err);

/* Whether a layer carries an attribute of this name. */
bool attribute_is_carried(const char *name);

/* Makes a directory hide what is below it. */
MUST_CHECK int attributes_set_opaque(int fd, bool userxattr, struct error *err);

#endif
