/* dockerfile/generate/go_path — directories as go.mod, go.work and command lines write them. */
#ifndef DOCKERFILE_GENERATE_GO_PATH_H
#define DOCKERFILE_GENERATE_GO_PATH_H

#include <stdbool.h>

/* "./a/../b" below base ("": the root) as a path from the root, "" for the root itself: false when
 * it leaves the root, is absolute, or is longer than GO_PATH_MAX. */
#define GO_PATH_MAX 512
bool go_path_join(const char *base, const char *path, char ret[GO_PATH_MAX]);

/* Of [A-Za-z0-9_./-] alone and not empty, so that it can stand in a shell line as it is. */
bool go_path_is_plain(const char *path);

#endif
