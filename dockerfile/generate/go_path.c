/* dockerfile/generate/go_path — see the header. */
#include "dockerfile/generate/go_path.h"

#include <string.h>

/* One part onto ret, whose length is *len: false when that leads out of the root. */
static bool add_part(const char *part, size_t n, char ret[GO_PATH_MAX], size_t *len)
{
    if (n == 0 || (n == 1 && part[0] == '.'))
        return true;
    if (n == 2 && memcmp(part, "..", 2) == 0) {
        if (*len == 0)
            return false;
        while (*len > 0 && ret[--*len] != '/')
            ;
        ret[*len] = '\0';
        return true;
    }
    if (*len + n + 2 > GO_PATH_MAX)
        return false;
    if (*len > 0)
        ret[(*len)++] = '/';
    memcpy(ret + *len, part, n);
    *len += n;
    ret[*len] = '\0';
    return true;
}

static bool add_parts(const char *path, char ret[GO_PATH_MAX], size_t *len)
{
    while (*path) {
        size_t n = strcspn(path, "/");

        if (!add_part(path, n, ret, len))
            return false;
        path += n + (path[n] == '/');
    }
    return true;
}

bool go_path_join(const char *base, const char *path, char ret[GO_PATH_MAX])
{
    size_t len = 0;

    ret[0] = '\0';
    return path[0] != '/' && add_parts(base, ret, &len) && add_parts(path, ret, &len);
}

bool go_path_is_plain(const char *path)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-";

    return *path && path[strspn(path, plain)] == '\0';
}
