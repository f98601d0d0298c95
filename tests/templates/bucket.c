/* tests/templates/bucket — see the header. */
#include "tests/templates/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void bucket_scene_open(struct bucket_scene *s, const char *dir)
{
    objects_scene_open(&s->objects);
    (void)snprintf(s->dir, sizeof(s->dir), "%s", dir);
}

void bucket_scene_close(struct bucket_scene *s)
{
    objects_scene_close(&s->objects);
}

void bucket_scene_parts(const struct bucket_scene *s, const char *dir, struct objects **ret_objects,
                        struct object_cache **ret_cache)
{
    struct error err = ERROR_INIT;
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", s->dir, dir);
    assert_int_equal(objects_open(&s->objects.config, ret_objects, &err), 0);
    assert_int_equal(object_cache_open(path, 64u << 20, ret_cache, &err), 0);
}

struct template_store *bucket_scene_store(const struct bucket_scene *s, const char *dir,
                                          const struct template_options *options)
{
    struct template_store *store = NULL;
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    struct error err = ERROR_INIT;

    bucket_scene_parts(s, dir, &objects, &cache);
    if (template_store_open_objects(objects, cache, options, &store, &err) < 0)
        fail_msg("%s", err.msg);
    return store;
}
