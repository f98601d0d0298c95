/* builder/layer_unpack — the half of layer_unpack that looks at no digest, for it and for tests. */
#ifndef BUILDER_LAYER_UNPACK_H
#define BUILDER_LAYER_UNPACK_H

#include "builder/layer.h"

struct layer_bounds {
    uint64_t tar_size;
    uint64_t entries;
};

/* Unpacks what fd holds from where it stands into diff.  *ret_seen: what the blob is. */
MUST_CHECK int layer_unpack_fd(int fd, const struct layer_bounds *bounds, bool userxattr, int diff,
                               struct layer *ret_seen, struct error *err);

#endif
