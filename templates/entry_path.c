/* templates/entry_path — see the header. */
#include "templates/entry_path.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"

#define REMEDY "rename or remove it and make the archive again"

static size_t printable(const char *s, size_t len)
{
    if (text_has_control(s, 1) || *s == '"' || *s == '\\')
        return 0;
    for (size_t n = 1; n <= 4 && n <= len; n++)
        if (text_is_utf8(s, n))
            return n;
    return 0;
}

struct entry_shown entry_show(const char *name)
{
    struct entry_shown shown;
    char *const room = shown.text + sizeof(shown.text) - sizeof("\\xNN...\"");
    size_t len = strlen(name);
    char *p = shown.text;

    *p++ = '"';
    while (len > 0 && p < room - 4) {
        size_t n = printable(name, len);

        if (n > 0)
            p = mempcpy(p, name, n);
        else
            p += snprintf(p, sizeof("\\xNN"), "\\x%02x", (unsigned char)*name);
        n = n > 0 ? n : 1;
        name += n;
        len -= n;
    }
    (void)snprintf(p, sizeof("...\""), "%s", len > 0 ? "...\"" : "\"");
    return shown;
}

int entry_refuse(struct error *err, enum error_kind kind, const char *name, const char *fmt, ...)
{
    char text[sizeof(err->msg)];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(err, kind, "entry %s: %s", entry_show(name).text, text);
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
    unsigned parts = 0;
    size_t at = 0;

    if (strlen(name) >= PATH_MAX)
        return entry_refuse(err, ERR_LIMIT, name, "the path is longer than %d bytes; " REMEDY,
                            PATH_MAX - 1);
    if (name[0] == '/')
        return entry_refuse(err, ERR_INPUT, name,
                            "the name is an absolute path; make the archive from within the "
                            "folder");
    for (const char *part = name; *part;) {
        size_t len = strcspn(part, "/");

        if (len > 0 && !(len == 1 && *part == '.')) {
            if (check_component(name, part, len, err) < 0)
                return -1;
            if (at > 0)
                path[at++] = '/';
            memcpy(path + at, part, len);
            at += len;
            parts++;
        }
        part += len;
        part += *part == '/';
    }
    if (parts > limits->depth_max + 1)
        return entry_refuse(err, ERR_LIMIT, name, "it is %u folders deep, the limit is %u; " REMEDY,
                            parts - 1, limits->depth_max);
    path[at] = '\0';
    memcpy(ret, path, at + 1);
    return 0;
}
