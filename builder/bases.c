/* builder/bases — see the header.
 *
 * Layers are looked through from the top: the first one that has the path, or hides it (a whiteout
 * is a character device 0/0, an opaque directory has an attribute), decides. */
#include "builder/bases.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/reference.h"
#include "builder/state.h"

#define INDEX_MAX  (64 << 20)
#define CONFIG_MAX (8 << 20)
#define LAYERS_MAX 500 /* of one image: an overlay takes no more */

/* NULL in *ret: there is no such file. */
static int read_index(const char *dir, const char *what, json_t **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(INDEX_MAX);
    char path[PATH_MAX];

    *ret = NULL;
    if (snprintf(path, sizeof(path), "%s/overlay-%s/%s.json", dir, what, what) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "read the base store: path too long");
    if (access(path, F_OK) < 0)
        return 0;
    if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return -1;
    *ret = json_loadb(buf_str(&text), text.len, 0, NULL);
    if (!json_is_array(*ret)) {
        json_decref(*ret);
        *ret = NULL;
        return error_set(err, ERR_SYSTEM, "read %s: it is not what buildah writes", path);
    }
    return 0;
}

/* A name with a digest is that of any tag of the repository whose image has the digest, as buildah
 * understands it too. */
static bool is_name_of(const json_t *image, const char *have, const char *name)
{
    const char *at = strchr(name, '@');
    const char *digest = json_string_value(json_object_get(image, "digest"));
    size_t n = reference_name_length(name);

    if (strcmp(have, name) == 0)
        return true;
    return at && digest && strcmp(at + 1, digest) == 0 && reference_name_length(have) == n &&
           memcmp(have, name, n) == 0;
}

static bool has_name(const json_t *image, const char *name)
{
    const json_t *names = json_object_get(image, "names");
    const json_t *n;
    size_t i;

    json_array_foreach (names, i, n)
        if (json_is_string(n) && is_name_of(image, json_string_value(n), name))
            return true;
    return false;
}

static bool read_image(const json_t *image, struct bases_image *ret)
{
    const char *id = json_string_value(json_object_get(image, "id"));
    const char *layer = json_string_value(json_object_get(image, "layer"));
    const char *digest = json_string_value(json_object_get(image, "digest"));

    if (!digest_is_hex(id) || (layer && !digest_is_hex(layer)) || !digest_is_sha256(digest))
        return false;
    (void)snprintf(ret->id, sizeof(ret->id), "%s", id);
    (void)snprintf(ret->layer, sizeof(ret->layer), "%s", layer ? layer : "");
    (void)snprintf(ret->digest, sizeof(ret->digest), "%s", digest);
    return true;
}

int bases_find(const char *dir, const char *name, bool *ret_found, struct bases_image *ret,
               struct error *err)
{
    json_auto_t *images = NULL;
    const json_t *image;
    size_t i;

    if (read_index(dir, "images", &images, err) < 0)
        return -1;
    *ret_found = false;
    json_array_foreach (images, i, image) {
        if (!has_name(image, name))
            continue;
        *ret_found = read_image(image, ret);
        return 0;
    }
    return 0;
}

int bases_find_named(const struct builder_job *j, const char *name, bool *ret_found,
                     struct bases_image *ret, struct error *err)
{
    struct reference ref;

    if (reference_parse(name, &ref, err) < 0)
        return -1;
    return bases_find(j->bases, ref.full, ret_found, ret, err);
}

/* containers/image keeps the index, too, each manifest as a datum "manifest-<its digest>". */
int bases_came_as(const char *dir, const struct bases_image *image, const char *digest, bool *ret,
                  struct error *err)
{
    json_auto_t *images = NULL;
    const json_t *o;
    char key[BUILDER_DIGEST + 16];
    size_t i;

    *ret = strcmp(image->digest, digest) == 0;
    if (*ret)
        return 0;
    if (read_index(dir, "images", &images, err) < 0)
        return -1;
    (void)snprintf(key, sizeof(key), "manifest-%s", digest);
    json_array_foreach (images, i, o) {
        const char *id = json_string_value(json_object_get(o, "id"));

        if (id && strcmp(id, image->id) == 0)
            *ret = json_object_get(json_object_get(o, "big-data-digests"), key) != NULL;
    }
    return 0;
}

int bases_config(const char *dir, const struct bases_image *image, struct buf *out,
                 struct error *err)
{
    CLEANUP(buf_release) struct buf name = BUF_INIT(256);
    CLEANUP(buf_release) struct buf path = BUF_INIT(PATH_MAX);
    char key[80], hex[SHA256_HEX];

    /* A datum whose name is not plain lies under "=" and the name in base64. */
    (void)snprintf(key, sizeof(key), "sha256:%s", image->id);
    digest_base64(key, strlen(key), &name);
    buf_addf(&path, "%s/overlay-images/%s/=%s", dir, image->id, buf_str(&name));
    if (buf_check(&path, "the path of an image's config", err) < 0 ||
        fs_read_file(AT_FDCWD, buf_str(&path), out, err) < 0)
        return -1;
    digest_sha256_hex(buf_str(out), out->len, hex);
    if (strcmp(hex, image->id) != 0)
        return error_set(err, ERR_SYSTEM, "read %s: its digest is sha256:%s", buf_str(&path), hex);
    return 0;
}

/* ---- files ---- */

enum sight { SIGHT_NOTHING, SIGHT_PROGRAM, SIGHT_OTHER };

static bool is_opaque(int fd)
{
    static const char *const names[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
    char value[2];

    for (size_t i = 0; i < 2; i++)
        if (fgetxattr(fd, names[i], value, sizeof(value)) == 1 && value[0] == 'y')
            return true;
    return false;
}

/* What one layer says about a path: it holds it, hides it, or neither. */
static enum sight look_in_layer(int root, const char *path)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
    char part[PATH_MAX];

    for (size_t at = 1;; at++) {
        size_t n = at + strcspn(path + at, "/");
        CLEANUP_CLOSE int fd = -1;
        struct stat st;
        bool last = path[n] == '\0';

        (void)snprintf(part, sizeof(part), "%.*s", (int)n, path);
        fd = (int)syscall(SYS_openat2, root, part, &how, sizeof(how));
        if (fd < 0)
            return errno == ENOENT ? SIGHT_NOTHING : SIGHT_OTHER;
        if (fstat(fd, &st) < 0)
            return SIGHT_OTHER;
        if (last)
            return S_ISREG(st.st_mode) && (st.st_mode & 0111) ? SIGHT_PROGRAM : SIGHT_OTHER;
        if (!S_ISDIR(st.st_mode))
            return SIGHT_OTHER; /* a whiteout, or a symlink that leads somewhere else */
        at = n;
    }
}

/* A directory on the way hides what lower layers have below it. */
static bool hides_lower(int root, const char *path)
{
    char part[PATH_MAX];

    for (size_t n = 1 + strcspn(path + 1, "/"); path[n]; n += 1 + strcspn(path + n + 1, "/")) {
        CLEANUP_CLOSE int fd = -1;

        (void)snprintf(part, sizeof(part), "%.*s", (int)n - 1, path + 1);
        fd = openat(root, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return false;
        if (is_opaque(fd))
            return true;
    }
    return false;
}

static int open_layer(const char *dir, const char *id, int *ret_fd, struct error *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/overlay/%s/diff", dir, id) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "read the base store: path too long");
    return fs_open_dir(AT_FDCWD, path, ret_fd, err);
}

static const json_t *layer_of(const json_t *layers, const char *id)
{
    const json_t *layer;
    size_t i;

    json_array_foreach (layers, i, layer) {
        const char *its_id = json_string_value(json_object_get(layer, "id"));

        if (its_id && strcmp(its_id, id) == 0)
            return layer;
    }
    return NULL;
}

static const char *parent_of(const json_t *layers, const char *id)
{
    const char *parent = json_string_value(json_object_get(layer_of(layers, id), "parent"));

    return digest_is_hex(parent) ? parent : NULL;
}

int bases_has_program(const char *dir, const struct bases_image *image, const char *path, bool *ret,
                      struct error *err)
{
    json_auto_t *layers = NULL;
    const char *id = image->layer[0] ? image->layer : NULL;

    if (strlen(path) >= PATH_MAX || read_index(dir, "layers", &layers, err) < 0)
        return -1;
    *ret = false;
    for (int n = 0; id && n < LAYERS_MAX; n++) {
        CLEANUP_CLOSE int fd = -1;
        enum sight sight;

        if (open_layer(dir, id, &fd, err) < 0)
            return -1;
        sight = look_in_layer(fd, path);
        if (sight != SIGHT_NOTHING || hides_lower(fd, path)) {
            *ret = sight == SIGHT_PROGRAM;
            return 0;
        }
        id = parent_of(layers, id);
    }
    return 0;
}

/* ---- layers ---- */

static bool read_layer(const json_t *layer, struct bases_layer *ret)
{
    const char *id = json_string_value(json_object_get(layer, "id"));
    const char *diff_id = json_string_value(json_object_get(layer, "diff-digest"));
    const char *digest = json_string_value(json_object_get(layer, "compressed-diff-digest"));
    json_int_t size = json_integer_value(json_object_get(layer, "compressed-size"));

    if (!digest_is_hex(id) || !digest_is_sha256(diff_id) || !digest_is_sha256(digest) || size <= 0)
        return false;
    (void)snprintf(ret->id, sizeof(ret->id), "%s", id);
    (void)snprintf(ret->diff_id, sizeof(ret->diff_id), "%s", diff_id);
    (void)snprintf(ret->digest, sizeof(ret->digest), "%s", digest);
    ret->size = (uint64_t)size;
    return true;
}

int bases_layers(const char *dir, const struct bases_image *image, struct bases_layer **ret,
                 size_t *ret_n, struct error *err)
{
    json_auto_t *layers = NULL;
    CLEANUP_FREE struct bases_layer *list = calloc(LAYERS_MAX, sizeof(*list));
    const char *id = image->layer[0] ? image->layer : NULL;
    size_t n = 0;

    if (!list)
        return error_set(err, ERR_SYSTEM, "read the base store: out of memory");
    if (read_index(dir, "layers", &layers, err) < 0)
        return -1;
    for (; id; id = parent_of(layers, id)) {
        if (n == LAYERS_MAX || !read_layer(layer_of(layers, id), &list[n]))
            return error_set(err, ERR_SYSTEM, "read the base store: layer %.12s is not as expected",
                             id);
        n++;
    }
    for (size_t i = 0; i < n / 2; i++) {
        struct bases_layer swapped = list[i];

        list[i] = list[n - 1 - i];
        list[n - 1 - i] = swapped;
    }
    *ret = TAKE(list);
    *ret_n = n;
    return 0;
}

int bases_layer_of(const char *dir, const char *diff_id, struct bases_layer *ret, struct error *err)
{
    json_auto_t *layers = NULL;
    const json_t *layer;
    struct bases_layer found;
    size_t i;

    if (read_index(dir, "layers", &layers, err) < 0)
        return -1;
    json_array_foreach (layers, i, layer)
        if (read_layer(layer, &found) && strcmp(found.diff_id, diff_id) == 0) {
            *ret = found;
            return 0;
        }
    return error_set(err, ERR_SYSTEM, "read the base store: it has no layer %s", diff_id);
}

/* "sha256:A.compressed" says that A is the tar of a blob that lies beside it. */
void bases_trim_blobs(const char *dir)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error ignored = ERROR_INIT;
    CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/" BASES_BLOBS, dir) >= (int)sizeof(path) ||
        fs_open_dir(AT_FDCWD, path, &fd, &ignored) < 0 || fs_list(fd, ".", &names, &ignored) < 0)
        return; /* it only costs room */
    for (size_t i = 0; i < names.n; i++) {
        char *dot = strchr(names.v[i], '.');

        if (!dot || dot == names.v[i])
            continue;
        (void)unlinkat(fd, names.v[i], 0);
        if (strcmp(dot, ".compressed") != 0)
            continue;
        *dot = '\0';
        (void)unlinkat(fd, names.v[i], 0);
    }
}

/* ---- for the builder's users ---- */

void builder_base_release(struct builder_base *b)
{
    buf_release(&b->config);
}

static int describe(const struct builder_job *j, const struct bases_image *image,
                    const char *const *programs, struct builder_base *ret, struct error *err)
{
    if (bases_config(j->bases, image, &ret->config, err) < 0)
        return -1;
    (void)snprintf(ret->digest, sizeof(ret->digest), "%s", image->digest);
    for (; *programs && !ret->program; programs++) {
        bool has;

        if (bases_has_program(j->bases, image, *programs, &has, err) < 0)
            return -1;
        if (has)
            ret->program = *programs;
    }
    return 0;
}

int builder_base_find(const struct builder_job *j, const char *name, const char *const *programs,
                      bool *ret_found, struct builder_base *ret, struct error *err)
{
    struct builder_base base = {.config = BUF_INIT(CONFIG_MAX)};
    struct bases_image image;

    if (bases_find_named(j, name, ret_found, &image, err) < 0)
        return -1;
    if (*ret_found && describe(j, &image, programs, &base, err) < 0) {
        builder_base_release(&base);
        return -1;
    }
    *ret = base;
    return 0;
}
