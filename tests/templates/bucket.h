/* tests/templates/bucket — a template store in the bucket of tests/objects/s3_server.py. */
#ifndef TESTS_TEMPLATES_BUCKET_H
#define TESTS_TEMPLATES_BUCKET_H

#include "templates/templates.h"
#include "tests/objects/fixture.h"

struct bucket_scene {
    struct objects_scene objects;
    struct object_cache *cache;
};

/* With a cache below dir, and a prefix that nobody else has. */
void bucket_scene_open(struct bucket_scene *s, const char *dir);
void bucket_scene_close(struct bucket_scene *s);

struct template_store *bucket_scene_store(struct bucket_scene *s,
                                          const struct template_options *options);

#endif
