/* api/kind — the kinds of resource.  Sandboxes, agents, functions and jobs differ in their names
 * only; volume templates and volumes also in what comes of them. */
#ifndef API_KIND_H
#define API_KIND_H

#include <jansson.h>

#include "worker/worker.h"

struct api_call;

struct kind {
    const char *plural; /* in paths and in the log query: "sandboxes" */
    const char *type;   /* in images and in the database: "sandbox" */
    enum build_purpose purpose;
    bool bare; /* its lists have no envelope in any version */
    /* Whether the spec makes sense; false: resp holds the refusal.  NULL: always. */
    bool (*check)(struct api_call *c, const json_t *spec);
    /* Adds to what is shown of a resource.  NULL: nothing. */
    int (*describe)(struct api_call *c, const struct resource *r, json_t *answer,
                    struct error *err);
};

/* The i-th kind, from 0 on; NULL past the last. */
const struct kind *api_kind_at(size_t i);
/* NULL if there is no such kind. */
const struct kind *api_kind_of_plural(const char *plural);
const struct kind *api_kind_of_type(const char *type);
/* The same, and only if images come of it. */
const struct kind *api_kind_of_image(const char *type);

#endif
