/* uploads/entry_name — see the header. */
#include "uploads/entry_name.h"

#include <stdarg.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"

#define REMEDY "rename or remove it and upload again"

int entry_name_refuse(struct error *err, enum error_kind kind, const char *name, const char *fmt,
                      ...)
{
    char text[sizeof(err->msg)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(err, kind, "archive entry %s: %s", text_show(name).text, text);
}

static int check_component(const char *name, const char *part, size_t len,
                           const struct upload_limits *limits, struct error *err)
{
    if (len == 2 && memcmp(part, "..", 2) == 0)
        return entry_name_refuse(err, ERR_INPUT, name,
                                 "the name leads out of the archive with \"..\"; " REMEDY);
    if (len > limits->name_max)
        return entry_name_refuse(err, ERR_LIMIT, name,
                                 "a name in it is %zu bytes long, the limit is %zu; " REMEDY, len,
                                 limits->name_max);
    return 0;
}

static int check_bytes(const char *name, const struct upload_limits *limits, struct error *err)
{
    size_t len = strlen(name);

    if (len == 0)
        return entry_name_refuse(err, ERR_INPUT, name,
                                 "an entry has no name; make the archive again");
    if (len > limits->path_max || len >= PATH_MAX)
        return entry_name_refuse(err, ERR_LIMIT, name,
                                 "the path is %zu bytes long, the limit is %zu; " REMEDY, len,
                                 limits->path_max);
    if (!text_is_utf8(name, len))
        return entry_name_refuse(err, ERR_INPUT, name, "the name is not UTF-8; " REMEDY);
    if (text_has_control(name, len))
        return entry_name_refuse(err, ERR_INPUT, name,
                                 "the name holds a control character; " REMEDY);
    if (name[0] == '/')
        return entry_name_refuse(err, ERR_INPUT, name,
                                 "the name is an absolute path; make the archive from within the "
                                 "folder and upload again");
    return 0;
}

int entry_name_to_path(const char *name, const struct upload_limits *limits,
                       char ret_path[PATH_MAX], bool *ret_slash, struct error *err)
{
    char path[PATH_MAX];
    const char *part;
    unsigned parts = 0;
    size_t at = 0, len;

    if (check_bytes(name, limits, err) < 0)
        return -1;
    for (const char *rest = name; path_next(&rest, &part, &len); parts++) {
        if (check_component(name, part, len, limits, err) < 0)
            return -1;
        if (at > 0)
            path[at++] = '/';
        memcpy(path + at, part, len);
        at += len;
    }
    if (parts > 0 && parts - 1 > limits->depth_max)
        return entry_name_refuse(err, ERR_LIMIT, name,
                                 "it is %u folders deep, the limit is %u; " REMEDY, parts - 1,
                                 limits->depth_max);
    path[at] = '\0';
    memcpy(ret_path, path, at + 1);
    *ret_slash = text_ends(name, "/");
    return 0;
}

bool entry_name_target_escapes(const char *path, const char *target)
{
    const char *name;
    long depth = 0;
    size_t len;

    if (target[0] == '/')
        return true;
    for (; *path; path++)
        depth += *path == '/';
    while (path_next(&target, &name, &len)) {
        depth += len == 2 && memcmp(name, "..", 2) == 0 ? -1 : 1;
        if (depth < 0)
            return true;
    }
    return false;
}

bool entry_name_is_target(const char *target, size_t len)
{
    return len > 0 && len < PATH_MAX && !text_has_control(target, len) && text_is_utf8(target, len);
}
