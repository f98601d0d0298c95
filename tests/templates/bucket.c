/* tests/templates/bucket — see the header. */
#include "tests/templates/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void bucket_scene_open(struct bucket_scene *s, const char *dir)
{
    struct error err = ERROR_INIT;
    char path[256];

    objects_scene_open(&s->objects);
    (void)snprintf(path, sizeof(path), "%s/cache", dir);
    assert_int_equal(object_cache_open(path, 64u << 20, &s->cache, &err), 0);
}

void bucket_scene_close(struct bucket_scene *s)
{
    object_cache_free(s->cache);
    objects_scene_close(&s->objects);
}

struct template_store *bucket_scene_store(struct bucket_scene *s,
                                          const struct template_options *options)
{
    struct template_store *store = NULL;
    struct error err = ERROR_INIT;

    if (template_store_open_objects(s->objects.store, s->cache, options, &store, &err) < 0)
        fail_msg("%s", err.msg);
    return store;
}
