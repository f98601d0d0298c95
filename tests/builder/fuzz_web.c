/* Any text as a URL: the name of its file is one name in one directory. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "builder/web.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_FREE char *url = len > 8192 ? NULL : strndup((const char *)data, len);
    char name[NAME_MAX + 1];

    if (!url)
        return 0;
    web_name(url, name);
    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        abort();
    return 0;
}
