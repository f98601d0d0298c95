/* dockerfile/paths — cleaned by text alone: symlinks of an image are not known here. */
#include "dockerfile/paths.h"

#include <fnmatch.h>
#include <string.h>

#define STARS_MAX        4 /* in a pattern, as matching may try all their combinations */
#define PATTERN_PATH_MAX 4096

const char *path_clean(struct arena *a, const char *dir, const char *path)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf in = BUF_INIT(1 << 20);

    if (*path != '/')
        buf_addf(&in, "%s/", dir);
    buf_adds(&in, path);
    for (const char *p = buf_str(&in); *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && memcmp(p, "..", 2) == 0) {
            while (out.len > 0 && out.data[--out.len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && *p == '.')) {
            buf_addc(&out, '/');
            buf_add(&out, p, n);
        }
        p += n + (p[n] == '/');
    }
    return out.len ? arena_string(a, out.data, out.len) : "/";
}

const char *path_after_workdir(struct arena *a, const char *workdir,
                               const struct dockerfile_instruction *i)
{
    const char *path = i->words.v[0];

    if (strchr(path, '$') || (*path != '/' && !workdir))
        return NULL;
    return path_clean(a, workdir ? workdir : "/", path);
}

bool path_is_known_directory(const char *path)
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

const char *path_landing(struct arena *a, const struct path_copy *c, const char *source,
                         const char *file)
{
    const char *below = below_source(source, file);

    if (!below)
        return NULL;
    if (c->keeps_path)
        return path_clean(a, c->to, file + 1);
    if (*below)
        return path_clean(a, c->to, below + 1);
    return c->into ? path_clean(a, c->to, strrchr(file, '/') + 1) : c->to;
}
