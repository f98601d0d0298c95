/* builder/currency — whether a base that was fetched before has to be fetched again.
 *
 * A pull costs a jail and a start of buildah, mostly to learn that nothing has changed.  Where the
 * operator has named who answers for an image — a mirror, or our own registry — that one can be
 * asked directly.  Other registries cannot: what their names resolve to has to be looked at from
 * inside the jail, and they may want credentials. */
#include <string.h>

#include "base/text.h"
#include "builder/bases.h"
#include "builder/reference.h"
#include "builder/state.h"

struct location {
    size_t prefix; /* bytes of the name that it stands for */
    const char *authority;
    bool insecure;
};

/* The longest prefix wins, as with buildah (containers-registries.conf(5)); the registry that is
 * pushed to stands for itself. */
static struct location find_location(const struct builder_config *c, const struct reference *ref)
{
    struct location best = {.prefix = 0};

    if (c->push_registry && reference_is_below(ref->full, c->push_registry))
        best = (struct location){strlen(c->push_registry), c->push_registry, c->push_insecure};
    for (size_t i = 0; i < c->n_mirrors; i++) {
        const struct builder_mirror *m = &c->mirrors[i];

        if (reference_is_below(ref->full, m->prefix) && strlen(m->prefix) > best.prefix)
            best = (struct location){strlen(m->prefix), m->location, m->insecure};
    }
    return best;
}

/* "127.0.0.1:5000/mirror" for "docker.io" has "docker.io/library/alpine:3.20" in its repository
 * "mirror/library/alpine". */
static bool describe_place(const struct builder_config *c, const struct reference *ref,
                           struct builder_base_place *ret)
{
    const struct location at = find_location(c, ref);
    const char *tag = strrchr(ref->full, ':');
    const char *path;
    int n;

    if (!at.prefix || !tag || tag < ref->full + at.prefix)
        return false;
    path = at.authority + strcspn(at.authority, "/");
    n = snprintf(ret->url, sizeof(ret->url), "%s://%.*s", at.insecure ? "http" : "https",
                 (int)(path - at.authority), at.authority);
    if (n >= (int)sizeof(ret->url))
        return false;
    n = snprintf(ret->repository, sizeof(ret->repository), "%s%.*s", path,
                 (int)(tag - ref->full - (ptrdiff_t)at.prefix), ref->full + at.prefix);
    if (n >= (int)sizeof(ret->repository) || ret->repository[0] != '/')
        return false;
    memmove(ret->repository, ret->repository + 1, (size_t)n);
    return snprintf(ret->tag, sizeof(ret->tag), "%s", tag + 1) < (int)sizeof(ret->tag);
}

int builder_base_currency(const struct builder_job *j, const char *image,
                          enum builder_currency *ret, struct builder_base_place *ret_place,
                          struct error *err)
{
    struct bases_image found;
    enum reference_place place;
    struct reference ref;
    bool is_there;

    *ret = BUILDER_BASE_UNKNOWN;
    if (reference_parse(image, &ref, err) < 0)
        return -1;
    place = reference_where(&ref, j->b->config, j->workspace, j->shared);
    if (place == REFERENCE_FORBIDDEN || place == REFERENCE_FOREIGN)
        return 0;
    if (bases_find(j->bases, ref.full, &is_there, &found, err) < 0)
        return -1;
    if (is_there && strchr(ref.full, '@'))
        *ret = BUILDER_BASE_CURRENT;
    else if (is_there && describe_place(j->b->config, &ref, ret_place))
        *ret = BUILDER_BASE_ASK;
    return 0;
}

int builder_base_came_as(const struct builder_job *j, const char *image, const char *digest,
                         bool *ret, struct error *err)
{
    struct bases_image found;

    *ret = false;
    if (bases_find_named(j, image, ret, &found, err) < 0)
        return -1;
    return *ret ? bases_came_as(j->bases, &found, digest, ret, err) : 0;
}
