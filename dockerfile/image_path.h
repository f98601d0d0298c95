/* dockerfile/image_path — paths in an image's file system, as COPY and WORKDIR name them. */
#ifndef DOCKERFILE_IMAGE_PATH_H
#define DOCKERFILE_IMAGE_PATH_H

#include <stdbool.h>

#include "dockerfile/arena.h"
#include "dockerfile/dockerfile.h"

/* dir/path, or path alone when it is absolute, without ".", ".." and double slashes. */
const char *image_path_clean(struct arena *a, const char *dir, const char *path);

/* What follows the last slash. */
const char *image_path_name(const char *path);

/* What WORKDIR makes of the directory before it; NULL when that depends on a variable. */
const char *image_path_workdir(struct arena *a, const char *workdir,
                               const struct dockerfile_instruction *i);

/* A file copied to one of these by name lands in it: they are directories everywhere. */
bool image_path_is_directory(const char *path);

/* A COPY, or a cp, as far as one of its sources is concerned. */
struct image_path_copy {
    const char *to;  /* cleaned */
    bool into;       /* which is a directory: what is copied by its name lands in it */
    bool keeps_path; /* --parents */
};

/* Where file (cleaned) lands when source (cleaned), which may be a pattern of COPY or of the shell,
 * names it or a directory above it; NULL when it does not.  Patterns with so many stars that trying
 * them all would take long match nothing. */
const char *image_path_landing(struct arena *a, const struct image_path_copy *c, const char *source,
                               const char *file);

#endif
