/* builder/location — where an image really is: at a mirror, or at the registry in its name. */
#ifndef BUILDER_LOCATION_H
#define BUILDER_LOCATION_H

#include "builder/reference.h"

/* False: it would be too long for any registry. */
bool location_find(const struct builder_config *config, const struct reference *ref,
                   struct builder_base_place *ret);

/* Whether the configuration says so, by a mirror or as the registry that is pushed to. */
bool location_is_configured(const struct builder_config *config, const struct reference *ref);

#endif
