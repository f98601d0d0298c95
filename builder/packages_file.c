/* builder/packages_file — which files name packages, and what one of them says. */
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/packages.h"

#define SMALL_MAX (1U << 20) /* bytes of a file about one package */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "x.dist-info/METADATA", "x.egg-info/PKG-INFO", "x.egg-info". */
static bool is_python(const char *path)
{
    return text_ends(path, ".dist-info/METADATA") || text_ends(path, ".egg-info/PKG-INFO") ||
           text_ends(path, ".egg-info");
}

/* "node_modules/name/package.json", "node_modules/@scope/name/package.json", at any depth. */
static bool is_npm(const char *path)
{
    const char *last = NULL;
    const char *rest;

    if (!text_ends(path, "/package.json"))
        return false;
    for (const char *p = strstr(path, "node_modules/"); p; p = strstr(p + 1, "node_modules/"))
        if (p == path || p[-1] == '/')
            last = p;
    if (!last)
        return false;
    rest = last + strlen("node_modules/");
    if (*rest == '@')
        rest += strcspn(rest, "/") + 1;
    return strcmp(rest + strcspn(rest, "/"), "/package.json") == 0;
}

static bool is_dpkg(const char *path)
{
    static const char parts[] = "var/lib/dpkg/status.d/";

    return strcmp(path, "var/lib/dpkg/status") == 0 ||
           (text_starts(path, parts) && !text_ends(path, ".md5sums"));
}

static bool is_rpm(const char *path)
{
    static const char *const names[] = {"rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages",
                                        "Packages.db", NULL};

    return (text_starts(path, "var/lib/rpm/") || text_starts(path, "usr/lib/sysimage/rpm/")) &&
           text_is_among(base_name(path), names);
}

enum packages_file packages_file_of(const char *path, bool executable)
{
    static const char *const apk[] = {"lib/apk/db/installed", "usr/lib/apk/db/installed", NULL};
    static const char *const os[] = {"etc/os-release", "usr/lib/os-release", NULL};

    if (is_dpkg(path))
        return PACKAGES_FILE_DPKG;
    if (text_is_among(path, apk))
        return PACKAGES_FILE_APK;
    if (text_is_among(path, os))
        return PACKAGES_FILE_OS;
    if (is_python(path))
        return PACKAGES_FILE_PYTHON;
    if (is_npm(path))
        return PACKAGES_FILE_NPM;
    if (is_rpm(path))
        return PACKAGES_FILE_RPM;
    return executable ? PACKAGES_FILE_PROGRAM : PACKAGES_FILE_NONE;
}

/* ---- one file ---- */

static void read_text(enum packages_file kind, const struct buf *text, struct packages *out)
{
    if (kind == PACKAGES_FILE_NPM)
        packages_read_npm(buf_str(text), text->len, out);
    else
        packages_read_control(kind, buf_str(text), text->len, out);
}

static json_t *read_os(const struct buf *text)
{
    struct packages_os os;

    packages_read_os(buf_str(text), text->len, &os);
    return json_pack("{s:{s:s, s:s}}", "os", "id", os.id, "version", os.version);
}

static json_t *describe(const struct packages *p, bool cut)
{
    json_t *o = json_object();

    json_object_set(o, "packages", p->list);
    if (cut)
        json_object_set_new(o, "cut", json_true());
    return o;
}

json_t *packages_read_file(enum packages_file kind, int fd)
{
    const bool small = kind != PACKAGES_FILE_DPKG && kind != PACKAGES_FILE_APK;
    CLEANUP(buf_release) struct buf text = BUF_INIT(small ? SMALL_MAX : PACKAGES_FILE_MAX);
    CLEANUP(packages_release) struct packages found = {.list = NULL};
    struct error ignored = ERROR_INIT;

    if (packages_init(&found, PACKAGES_MAX, &ignored) < 0)
        return NULL;
    if (kind == PACKAGES_FILE_PROGRAM) {
        packages_read_go(fd, &found);
        return json_array_size(found.list) ? describe(&found, found.cut) : NULL;
    }
    if (kind == PACKAGES_FILE_RPM) {
        packages_read_rpm(fd, &found);
        return describe(&found, found.cut);
    }
    if (fs_read_fd(fd, &text, &ignored) < 0)
        return describe(&found, true);
    if (kind == PACKAGES_FILE_OS)
        return read_os(&text);
    read_text(kind, &text, &found);
    return describe(&found, found.cut);
}
