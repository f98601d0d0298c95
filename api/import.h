/* api/import — an image that is named instead of built (PROTOCOL.md 1.6, 2.6). */
#ifndef API_IMPORT_H
#define API_IMPORT_H

#include "api/call.h"

enum import_kind {
    IMPORT_NOTHING, /* refused: resp holds why */
    IMPORT_AS_IS,   /* taken at its word: nothing is pulled */
    IMPORT_PULL,    /* from the registry in its name */
};

struct import {
    char image[1024];
    char *docker_config; /* cleaned; NULL: none came with it */
    enum import_kind kind;
};
void import_release(struct import *i);

/* image, docker_config: as in the body, any type of JSON or NULL.  A registry's image has a dot in
 * its host, and is pulled unless skip says not to; what this workspace has already is not. */
MUST_CHECK int api_import_read(struct api_call *c, const json_t *image, const json_t *docker_config,
                               bool skip, struct import *ret, struct error *err);

/* Draws the id of the build that will pull it, and keeps the credentials for it. */
MUST_CHECK int api_import_prepare(struct api_call *c, const struct import *i, char ret_id[BUILD_ID],
                                  char ret_source[BUILD_SOURCE], struct error *err);

#endif
