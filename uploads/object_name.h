/* uploads/object_name — the names that may stand in a URL, a signature and a file name alike. */
#ifndef UPLOADS_OBJECT_NAME_H
#define UPLOADS_OBJECT_NAME_H

#include <stdbool.h>
#include <string.h>

/* One or more of [A-Za-z0-9_-].  So no such name holds a separator, a dot or a line end. */
static inline bool object_name_is_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

    return name && *name && name[strspn(name, allowed)] == '\0';
}

#endif
