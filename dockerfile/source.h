/* dockerfile/source — the files of a context, as detection and checks ask for them.
 *
 * Paths are relative to the context's root, parted by "/", without "." and "..".  A symlink is
 * followed with the context as its root, so nothing outside is ever seen. */
#ifndef DOCKERFILE_SOURCE_H
#define DOCKERFILE_SOURCE_H

#include <stdbool.h>

#include "base/argv.h"
#include "base/buf.h"

#define SOURCE_FILE_MAX (4 << 20) /* bytes of a file that is read: a large lock file has 2 MB */
#define SOURCE_LIST_MAX 10000     /* names of one directory that are looked at */

enum source_kind { SOURCE_NONE, SOURCE_FILE, SOURCE_DIRECTORY };

struct dockerfile_source {
    /* What is at path; other kinds of files are NONE. */
    int (*kind)(void *self, const char *path, enum source_kind *ret, struct error *err);
    /* Appends a regular file's content to out; *ret_found false, and out untouched, when there is
     * none.  ERR_LIMIT: larger than out's ceiling. */
    int (*read)(void *self, const char *path, struct buf *out, bool *ret_found, struct error *err);
    /* The names in a directory ("": the root) in byte order, those of directories with a "/" at
     * the end; none for what is no directory.  ERR_LIMIT: more than SOURCE_LIST_MAX. */
    int (*list)(void *self, const char *dir, struct argv *ret_names, struct error *err);
    void *self;
};

/* The tree below a directory; *dirfd is borrowed and must outlive the source. */
struct dockerfile_source dockerfile_source_directory(const int *dirfd);

/* The twin in memory: files in any order, directories being what their paths imply. */
struct dockerfile_source_file {
    const char *path;
    const char *text;
};
struct dockerfile_source_files {
    const struct dockerfile_source_file *v;
    size_t n;
};
struct dockerfile_source dockerfile_source_memory(const struct dockerfile_source_files *files);

#endif
