/* builder/currency — whether a base that was fetched before has to be fetched again.
 *
 * A pull costs a jail and a start of buildah, mostly to learn that nothing has changed.  Where the
 * operator has named who answers for an image — a mirror, or our own registry — that one can be
 * asked directly.  Other registries cannot: what their names resolve to has to be looked at from
 * inside the jail, and they may want credentials. */
#include <string.h>

#include "builder/bases.h"
#include "builder/location.h"
#include "builder/reference.h"
#include "builder/state.h"

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
    else if (is_there && location_is_configured(j->b->config, &ref) &&
             location_find(j->b->config, &ref, ret_place))
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
