/* tests/templates/bucket — a template store in the bucket of tests/objects/s3_server.py. */
#ifndef TESTS_TEMPLATES_BUCKET_H
#define TESTS_TEMPLATES_BUCKET_H

#include "templates/templates.h"
#include "tests/objects/fixture.h"

struct bucket_scene {
    struct objects_scene objects;
    char dir[64];
};

/* Caches are below dir.  A prefix that nobody else has. */
void bucket_scene_open(struct bucket_scene *s, const char *dir);
void bucket_scene_close(struct bucket_scene *s);

/* A machine of its own, whose cache is the directory of that name. */
struct template_store *bucket_scene_store(const struct bucket_scene *s, const char *dir,
                                          const struct template_options *options);
/* What it is opened of; the caller's. */
void bucket_scene_parts(const struct bucket_scene *s, const char *dir, struct objects **ret_objects,
                        struct object_cache **ret_cache);

#endif
