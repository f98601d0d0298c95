/* builder/layer_place — where an entry of a layer goes: what layer_tree and layer_entry share. */
#ifndef BUILDER_LAYER_PLACE_H
#define BUILDER_LAYER_PLACE_H

#include <sys/stat.h>

#include "builder/layer_tree.h"

bool layer_place_is_whiteout(const struct stat *st);

/* Opens the directory that path is in, making what is missing.  *ret_fd is borrowed until the next
 * call; *ret_name points into path. */
MUST_CHECK int layer_place_open(struct layer_tree *t, const char *path, int *ret_fd,
                                const char **ret_name, struct error *err);

/* What stands in the way goes, but for a directory a directory stays: *ret_there.  *ret_whiteout:
 * what went was one. */
MUST_CHECK int layer_place_clear(struct layer_tree *t, int dir, const char *name,
                                 bool for_directory, bool *ret_there, bool *ret_whiteout,
                                 struct error *err);

/* A directory of our own accord; one in a whiteout's place hides what the whiteout hid. */
MUST_CHECK int layer_place_make_directory(struct layer_tree *t, int dir, const char *name,
                                          bool opaque, struct error *err);

/* A directory's time is set at the end. */
MUST_CHECK int layer_place_remember_time(struct layer_tree *t, const char *path,
                                         struct timespec mtime, struct error *err);

#endif
