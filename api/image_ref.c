/* api/image_ref — see the header. */
#include "api/image_ref.h"

#include <string.h>

bool image_ref_parse(const char *segment, struct image_ref *ret)
{
    const char *colon = strchr(segment, ':');
    size_t len = colon ? (size_t)(colon - segment) : strlen(segment);

    if (len >= sizeof(ret->name))
        return false;
    memcpy(ret->name, segment, len);
    ret->name[len] = '\0';
    ret->tag = colon ? colon + 1 : NULL;
    return true;
}
