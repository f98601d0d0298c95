/* tests/builder/cache_scene — builds that leave something for later ones, and a look at what they
 * left. */
#ifndef TESTS_BUILDER_CACHE_SCENE_H
#define TESTS_BUILDER_CACHE_SCENE_H

#include "machine.h"

/* For scene_sweep: no job runs, or all may. */
bool scene_keep_none(void *self, const char *id);
bool scene_keep_all(void *self, const char *id);
void scene_sweep(const struct machine *m, bool (*keep)(void *, const char *));

/* The workspace's cache ("cache") or base store ("bases"), and part of it, such as "/records". */
void scene_path(const struct machine *m, const char *what, const char *workspace, const char *part,
                char ret[PATH_MAX]);
/* How many entries a part of the workspace's cache ("/records", "/diffs") has. */
size_t scene_count(const struct machine *m, const char *workspace, const char *part);

/* Builds that succeed; of the last, how many steps were cached. */
void scene_build_of(const struct machine *m, struct attempt *a, const char *workspace,
                    const char *dockerfile);
void scene_build(const struct machine *m, const char *workspace, const char *dockerfile);
size_t scene_count_cached(const struct machine *m, const char *workspace, const char *dockerfile);

#endif
