/* builder/location — see the header.  "127.0.0.1:5000/mirror" for "docker.io" has
 * "docker.io/library/alpine:3.20" in its repository "mirror/library/alpine". */
#include "builder/location.h"

#include <string.h>

struct location {
    size_t prefix; /* bytes of the name that it stands for; 0: nothing is configured */
    const char *authority;
    bool insecure;
};

/* The longest prefix wins, as with buildah (containers-registries.conf(5)); the registry that is
 * pushed to stands for itself. */
static struct location find_configured(const struct builder_config *c, const struct reference *ref)
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

bool location_is_configured(const struct builder_config *config, const struct reference *ref)
{
    return find_configured(config, ref).prefix > 0;
}

/* Docker Hub answers at another name than its own. */
static struct location find_outside(const struct reference *ref)
{
    const bool hub = strcmp(ref->host, "docker.io") == 0;

    return (struct location){strlen(ref->host), hub ? "registry-1.docker.io" : ref->host, false};
}

bool location_find(const struct builder_config *config, const struct reference *ref,
                   struct builder_base_place *ret)
{
    struct location at = find_configured(config, ref);
    const size_t name = reference_name_length(ref->full);
    const char *path;
    int n;

    if (!at.prefix)
        at = find_outside(ref);
    if (name < at.prefix) /* the prefix has a tag */
        return false;
    path = at.authority + strcspn(at.authority, "/");
    n = snprintf(ret->url, sizeof(ret->url), "%s://%.*s", at.insecure ? "http" : "https",
                 (int)(path - at.authority), at.authority);
    if (n >= (int)sizeof(ret->url))
        return false;
    n = snprintf(ret->repository, sizeof(ret->repository), "%s%.*s", path, (int)(name - at.prefix),
                 ref->full + at.prefix);
    if (n >= (int)sizeof(ret->repository) || ret->repository[0] != '/')
        return false;
    memmove(ret->repository, ret->repository + 1, (size_t)n);
    return snprintf(ret->tag, sizeof(ret->tag), "%s", ref->full + name + 1) < (int)sizeof(ret->tag);
}
