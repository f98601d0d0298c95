/* api/kind — the four kinds of resource, which differ in their names only. */
#ifndef API_KIND_H
#define API_KIND_H

struct kind {
    const char *plural; /* in paths and in the log query: "sandboxes" */
    const char *type;   /* in images and in the database: "sandbox" */
};

/* NULL if there is no such kind. */
const struct kind *api_kind_of_plural(const char *plural);
const struct kind *api_kind_of_type(const char *type);

#endif
