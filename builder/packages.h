/* builder/packages — the packages that are in an image, as the databases of package managers and
 * the binaries of Go name them.  Nothing of the image is run.
 *
 *   packages.c          the list
 *   packages_control.c  "Key: value" texts: dpkg, apk, Python's metadata, os-release
 *   packages_npm.c      package.json
 *   packages_go.c       what Go writes into its binaries
 *   packages_rpm*.c     rpm's databases (builder/packages_rpm.h)
 *   packages_file.c     which files these are, and reading one
 *   packages_layer.c    those of a layer, kept in the cache
 *   packages_image.c    those of an image
 *
 * All of it reads what an upload or an image says, in the jail.  What is malformed is left out;
 * what goes beyond a limit is left out, too, and the list then says that it is not whole. */
#ifndef BUILDER_PACKAGES_H
#define BUILDER_PACKAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "builder/cache.h"
#include "builder/stack.h"

#define PACKAGES_MAX      50000       /* of an image */
#define PACKAGES_WORD_MAX 256         /* bytes of a name, a version, … */
#define PACKAGES_TEXT_MAX 1024        /* bytes of a license, which may be one of many */
#define PACKAGES_FILE_MAX (64U << 20) /* bytes of a database */

/* One package; "" where it is not said. */
struct package {
    const char *type; /* of a package URL: "deb", "apk", "rpm", "pypi", "npm", "golang" */
    const char *name, *version, *architecture;
    const char *license, *vendor; /* as the package says it */
};

struct packages {
    json_t *list; /* {"type", "name", "version", "architecture", "license", "vendor"}, those that
                     are said */
    size_t max;
    bool cut; /* there was more */
};

MUST_CHECK int packages_init(struct packages *p, size_t max, struct error *err);
void packages_release(struct packages *p);

/* Adds one whose name and version are words; a license that is no text is dropped. */
void packages_add(struct packages *p, const struct package *package);

/* ---- what is read: each adds to out ---- */

enum packages_file {
    PACKAGES_FILE_NONE,
    PACKAGES_FILE_DPKG,
    PACKAGES_FILE_APK,
    PACKAGES_FILE_PYTHON,
    PACKAGES_FILE_NPM,
    PACKAGES_FILE_OS, /* os-release */
    PACKAGES_FILE_RPM,
    PACKAGES_FILE_PROGRAM, /* an executable file, which may be of Go */
};

/* By a path relative to the root, and whether the file may be executed. */
enum packages_file packages_file_of(const char *path, bool executable);

/* Of DPKG, APK and PYTHON. */
void packages_read_control(enum packages_file kind, const char *text, size_t len,
                           struct packages *out);
void packages_read_npm(const char *text, size_t len, struct packages *out);
/* An ELF file of Go 1.18 or later that has its section headers (debug/buildinfo of Go's library).
 */
void packages_read_go(int fd, struct packages *out);

/* Whichever form of rpm's database it is. */
void packages_read_rpm(int fd, struct packages *out);

/* ID and VERSION_ID of os-release(5); "" where there is none. */
struct packages_os {
    char id[64], version[64];
};
void packages_read_os(const char *text, size_t len, struct packages_os *ret);

/* What one file says: {"packages": […], "cut", "os": {"id", "version"}}, those that there are;
 * NULL: nothing, it is not read.  fd is borrowed. */
json_t *packages_read_file(enum packages_file kind, int fd);

/* ---- layers and images ---- */

/* Those of a diff: an object of the above by path.  From the cache, where they lie under this name
 * once they were read.  To be given to json_decref. */
MUST_CHECK int packages_of_layer(const struct cache *c, const char *name, const char *diff,
                                 json_t **ret, struct error *err);

struct packages_layer {
    const char *name; /* in the cache: 64 hex digits */
    const char *path; /* of its diff, absolute */
};

/* Those of the image that these layers make, the lowest first; files is what they show together.
 * Appends JSON: {"os": {"id", "version"}, "cut", "packages": [{…, "path"}]}. */
MUST_CHECK int packages_of_image(const struct cache *c, const struct packages_layer *layers,
                                 size_t n, const struct stack *files, bool userxattr,
                                 struct buf *out, struct error *err);

#endif
