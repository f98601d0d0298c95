/* tests/builder/cache_scene — see the header. */
#include "cache_scene.h"

#include <stdio.h>

bool scene_keep_none(void *self, const char *id)
{
    (void)self;
    (void)id;
    return false;
}

bool scene_keep_all(void *self, const char *id)
{
    (void)self;
    (void)id;
    return true;
}

void scene_sweep(const struct machine *m, bool (*keep)(void *, const char *))
{
    struct error err = ERROR_INIT;

    if (builder_sweep(m->b, keep, NULL, &err) < 0)
        fail_msg("%s", err.msg);
}

void scene_path(const struct machine *m, const char *what, const char *workspace, const char *part,
                char ret[PATH_MAX])
{
    (void)snprintf(ret, PATH_MAX, "%s/%s/%s%s", m->config.dir, what, workspace, part);
}

size_t scene_count(const struct machine *m, const char *workspace, const char *part)
{
    char path[PATH_MAX];

    scene_path(m, "cache", workspace, part, path);
    return count_entries(path);
}

void scene_build_of(const struct machine *m, struct attempt *a, const char *workspace,
                    const char *dockerfile)
{
    a->workspace = workspace;
    a->images = ALPINE;
    a->dockerfile = dockerfile;
    a->cached = true;
    attempt_run(m, a);
    assert_built(a);
}

void scene_build(const struct machine *m, const char *workspace, const char *dockerfile)
{
    struct attempt a = {.files = NULL};

    scene_build_of(m, &a, workspace, dockerfile);
    attempt_release(&a);
}

size_t scene_count_cached(const struct machine *m, const char *workspace, const char *dockerfile)
{
    struct attempt a = {.files = NULL};
    size_t n;

    scene_build_of(m, &a, workspace, dockerfile);
    n = a.image.n_cached;
    attempt_release(&a);
    return n;
}
