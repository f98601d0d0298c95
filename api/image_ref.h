/* api/image_ref — "name" or "name:tag", as the last segment of a path names an image. */
#ifndef API_IMAGE_REF_H
#define API_IMAGE_REF_H

#include "worker/worker.h"

struct image_ref {
    char name[NAME_SIZE];
    const char *tag; /* NULL: none; of the segment */
};

/* False: it is a name that no image has. */
bool image_ref_parse(const char *segment, struct image_ref *ret);

#endif
