/* An object store of the test's own below a prefix, on the server that s3_server.py runs. */
#ifndef TESTS_OBJECTS_FIXTURE_H
#define TESTS_OBJECTS_FIXTURE_H

#include "objects/objects.h"

struct objects_scene {
    char url[128];
    char endpoint[128];
    struct objects_credentials credentials;
    struct objects_config config;
    struct objects *store;
};

/* Fails the test when there is no server.  A prefix that nobody else has. */
void objects_scene_open(struct objects_scene *s);
void objects_scene_close(struct objects_scene *s);

/* What the server does to the next requests: JSON, as s3_server.py says; "[]": nothing. */
void objects_scene_fault(const struct objects_scene *s, const char *json);

#endif
