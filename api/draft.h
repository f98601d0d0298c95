/* api/draft — a resource on its way in and on its way out. */
#ifndef API_DRAFT_H
#define API_DRAFT_H

#include "api/import.h"

struct draft {
    char name[NAME_SIZE];
    char *metadata, *spec; /* JSON objects to store, owned */
    char *others;          /* another, of what is unknown beside these two; NULL: nothing */
    struct import import;  /* what spec.runtime.image names; NOTHING without */
};
void draft_release(struct draft *d);
/* What of it is stored. */
static inline struct resource_body draft_body(const struct draft *d)
{
    return (struct resource_body){d->metadata, d->spec, d->others};
}

/* draft.c: the body as it is to be stored: unknown fields kept, what the server owns replaced.
 * name: what the path says; NULL: the body must say it.  Not accepted: resp holds the refusal. */
MUST_CHECK int api_draft(struct api_call *c, const char *name, struct draft *ret,
                         bool *ret_accepted, struct error *err);

/* resource_json.c: the resource as a client may see it now. */
MUST_CHECK int api_resource_json(struct api_call *c, const struct resource *r, json_t **ret,
                                 struct error *err);

#endif
