/* templates/entry_path — see the header. */
#include "templates/entry_path.h"

#include <stdarg.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"

#define REMEDY "rename or remove it and make the archive again"

int entry_refuse(struct error *err, enum error_kind kind, const char *name, const char *fmt, ...)
{
    char text[sizeof(err->msg)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(err, kind, "entry %s: %s", text_show(name).text, text);
}

static int check_component(const char *name, const char *part, size_t len, struct error *err)
{
    if (len == 2 && memcmp(part, "..", 2) == 0)
        return entry_refuse(err, ERR_INPUT, name,
                            "the name leads out of the template with \"..\"; " REMEDY);
    if (len > ENTRY_COMPONENT_MAX)
        return entry_refuse(
            err, ERR_LIMIT, name,
            "a name in it is %zu bytes long, and 255 is the most that ext4 takes; " REMEDY, len);
    return 0;
}

int entry_path(const char *name, const struct template_limits *limits, char ret[PATH_MAX],
               struct error *err)
{
    char path[PATH_MAX];
    const char *part;
    unsigned parts = 0;
    size_t at = 0, len;

    if (strlen(name) >= PATH_MAX)
        return entry_refuse(err, ERR_LIMIT, name, "the path is longer than %d bytes; " REMEDY,
                            PATH_MAX - 1);
    if (name[0] == '/')
        return entry_refuse(err, ERR_INPUT, name,
                            "the name is an absolute path; make the archive from within the "
                            "folder");
    for (const char *rest = name; path_next(&rest, &part, &len); parts++) {
        if (check_component(name, part, len, err) < 0)
            return -1;
        if (at > 0)
            path[at++] = '/';
        memcpy(path + at, part, len);
        at += len;
    }
    if (parts > limits->depth_max + 1)
        return entry_refuse(err, ERR_LIMIT, name, "it is %u folders deep, the limit is %u; " REMEDY,
                            parts - 1, limits->depth_max);
    path[at] = '\0';
    memcpy(ret, path, at + 1);
    return 0;
}
