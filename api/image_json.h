/* api/image_json — an image as PROTOCOL.md 1.2, 2.8 and 5 show it: with all its tags, or, for
 * clients of version 2026-09-22, as a summary with their number, their list being a route of its
 * own. */
#ifndef API_IMAGE_JSON_H
#define API_IMAGE_JSON_H

#include "api/call.h"

/* A new reference; NULL: out of memory. */
json_t *image_tag_json(const struct image_tag *g);

/* only: the one tag to show, NULL for all.  *ret_tags: how many are shown or counted; *ret: a new
 * reference. */
MUST_CHECK int image_json(struct api_call *c, const struct image *i, const char *only, json_t **ret,
                          size_t *ret_tags, struct error *err);

#endif
