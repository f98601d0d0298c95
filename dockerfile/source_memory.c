/* dockerfile/source_memory — files that are given as text: for tests, fuzzers, and plans of what
 * was never written to a disk. */
#include <string.h>

#include "dockerfile/source.h"

/* What follows "dir/" in path; NULL when path is not below dir. */
static const char *below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    if (n == 0)
        return path;
    return strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static int memory_kind(void *self, const char *path, enum source_kind *ret, struct error *err)
{
    const struct dockerfile_source_files *files = self;

    (void)err;
    *ret = *path ? SOURCE_NONE : SOURCE_DIRECTORY;
    for (size_t i = 0; i < files->n && *ret == SOURCE_NONE; i++) {
        if (strcmp(files->v[i].path, path) == 0)
            *ret = SOURCE_FILE;
        else if (below(files->v[i].path, path))
            *ret = SOURCE_DIRECTORY;
    }
    return 0;
}

static int memory_read(void *self, const char *path, struct buf *out, bool *ret_found,
                       struct error *err)
{
    const struct dockerfile_source_files *files = self;

    *ret_found = false;
    for (size_t i = 0; i < files->n && !*ret_found; i++) {
        if (strcmp(files->v[i].path, path) != 0)
            continue;
        buf_adds(out, files->v[i].text);
        if (buf_check(out, path, err) < 0)
            return error_wrap(err, "read %.200s", path);
        *ret_found = true;
    }
    return 0;
}

/* The same directory comes up once for each file below it. */
static void drop_repeated(struct argv *names)
{
    size_t kept = 0;

    for (size_t i = 0; i < names->n; i++) {
        if (kept > 0 && strcmp(names->v[kept - 1], names->v[i]) == 0)
            free(names->v[i]);
        else
            names->v[kept++] = names->v[i];
    }
    if (names->v)
        names->v[kept] = NULL;
    names->n = kept;
}

static int memory_list(void *self, const char *dir, struct argv *ret_names, struct error *err)
{
    const struct dockerfile_source_files *files = self;
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    for (size_t i = 0; i < files->n; i++) {
        const char *name = below(files->v[i].path, dir);
        size_t n = name ? strcspn(name, "/") : 0;

        if (n > 0)
            argv_pushf(&names, "%.*s", (int)(n + (name[n] == '/')), name);
    }
    if (names.failed)
        return error_set(err, ERR_SYSTEM, "list directory \"%.200s\": out of memory", dir);
    argv_sort(&names);
    drop_repeated(&names);
    if (names.n > SOURCE_LIST_MAX)
        return error_set(err, ERR_LIMIT, "list directory \"%.200s\": more than %d names", dir,
                         SOURCE_LIST_MAX);
    *ret_names = names;
    names = (struct argv)ARGV_INIT;
    return 0;
}

struct dockerfile_source dockerfile_source_memory(const struct dockerfile_source_files *files)
{
    return (struct dockerfile_source){
        .kind = memory_kind, .read = memory_read, .list = memory_list, .self = (void *)files};
}
