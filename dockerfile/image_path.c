/* dockerfile/image_path — cleaned by text alone: symlinks of an image are not known here. */
#include "dockerfile/image_path.h"

#include <fnmatch.h>
#include <string.h>

#include "base/path.h"

#define PATH_BYTES       (1 << 20) /* a line of a Dockerfile is shorter */
#define STARS_MAX        4         /* in a pattern, as matching may try all their combinations */
#define PATTERN_PATH_MAX 4096

const char *image_path_clean(struct arena *a, const char *dir, const char *path)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(PATH_BYTES);

    path_join(&out, *path == '/' ? "" : dir, path);
    return arena_string(a, buf_str(&out), out.len);
}

const char *image_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

const char *image_path_workdir(struct arena *a, const char *workdir,
                               const struct dockerfile_instruction *i)
{
    const char *path = i->words.v[0];

    if (strchr(path, '$') || (*path != '/' && !workdir))
        return NULL;
    return image_path_clean(a, workdir ? workdir : "/", path);
}

bool image_path_is_directory(const char *path)
{
    static const char *const directories[] = {"/",    "/bin",  "/sbin",          "/usr/bin",
                                              "/opt", "/root", "/usr/local/bin", "/usr/sbin",
                                              "/tmp", "/home", "/usr/local/sbin"};

    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        if (strcmp(path, directories[i]) == 0)
            return true;
    return false;
}

/* pattern is absolute, and so is the file whose first n bytes are looked at. */
static bool matches(const char *pattern, const char *file, size_t n)
{
    char prefix[PATTERN_PATH_MAX];
    size_t stars = 0;

    for (const char *p = pattern; *p; p++)
        stars += *p == '*';
    if (stars > STARS_MAX || n >= sizeof(prefix))
        return false;
    memcpy(prefix, file, n);
    prefix[n] = '\0';
    return fnmatch(pattern, prefix, FNM_PATHNAME) == 0;
}

/* What is left of file below the source: "" when the source names the file itself, "/rest" when it
 * names a directory above it; NULL when it does neither. */
static const char *below_source(const char *source, const char *file)
{
    size_t n = strlen(source);

    if (strcmp(source, "/") == 0)
        return file;
    if (strncmp(file, source, n) == 0 && (file[n] == '/' || !file[n]))
        return file + n;
    if (!strpbrk(source, "*?["))
        return NULL;
    for (n = 1 + strcspn(file + 1, "/"); n > 1; n += 1 + strcspn(file + n + 1, "/")) {
        if (matches(source, file, n))
            return file + n;
        if (!file[n])
            break;
    }
    return NULL;
}

const char *image_path_landing(struct arena *a, const struct image_path_copy *c, const char *source,
                               const char *file)
{
    const char *below = below_source(source, file);

    if (!below)
        return NULL;
    if (c->keeps_path)
        return image_path_clean(a, c->to, file + 1);
    if (*below)
        return image_path_clean(a, c->to, below + 1);
    return c->into ? image_path_clean(a, c->to, strrchr(file, '/') + 1) : c->to;
}
