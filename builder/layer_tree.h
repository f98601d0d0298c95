/* builder/layer_tree — writing a layer's entries beneath one directory descriptor, as overlay has
 * them, and nowhere else.
 *
 * Paths are resolved below the root by the kernel (openat2, RESOLVE_IN_ROOT): a link in a layer
 * leads where it would in a container whose root this is.  The last component is never followed.
 * What stands in an entry's way is replaced. */
#ifndef BUILDER_LAYER_TREE_H
#define BUILDER_LAYER_TREE_H

#include <limits.h>

#include "builder/layer_reader.h"

struct layer_tree {
    int root; /* borrowed */
    bool userxattr;
    int parent_fd; /* the directory parent_path, kept open: most entries follow a sibling */
    char parent_path[PATH_MAX];
    struct layer_time *times; /* of directories, set at the end */
    size_t n_times, cap_times;
};

void layer_tree_init(struct layer_tree *t, int root, bool userxattr);
void layer_tree_release(struct layer_tree *t);

/* path: cleaned, relative, "" for the root (of which only a directory may be made).  The data of a
 * file is taken from r.  target: of a hard link, cleaned too. */
MUST_CHECK int layer_tree_put(struct layer_tree *t, const char *path, const char *target,
                              const struct layer_member *m, struct layer_reader *r,
                              struct error *err);

/* Hides what is below: a name, or all that is in a directory. */
MUST_CHECK int layer_tree_white_out(struct layer_tree *t, const char *path, struct error *err);
MUST_CHECK int layer_tree_make_opaque(struct layer_tree *t, const char *path, struct error *err);

/* Gives the directories their times: the last thing to do. */
MUST_CHECK int layer_tree_finish(struct layer_tree *t, struct error *err);

#endif
