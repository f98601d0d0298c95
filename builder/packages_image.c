/* builder/packages_image — the packages that an image shows: of each file the uppermost layer's,
 * where the file is there to be seen.
 *
 * What is hidden by a layer above need not be understood here: the kernel's overlay shows whether a
 * path is there, and a layer above that has something of that path has replaced it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/packages.h"

struct layers {
    int *fds;
    json_t **said;
    size_t n;
};

struct image {
    struct layers layers;
    struct stack_view view;
    json_t *seen; /* paths that are decided */
    json_t *list; /* the packages */
    json_t *os;   /* NULL: not known */
    bool cut;
};

static void image_release(struct image *i)
{
    for (size_t k = 0; k < i->layers.n; k++) {
        if (i->layers.fds && i->layers.fds[k] >= 0)
            close(i->layers.fds[k]);
        if (i->layers.said)
            json_decref(i->layers.said[k]);
    }
    free(i->layers.fds);
    free(i->layers.said);
    stack_view_release(&i->view);
    json_decref(i->seen);
    json_decref(i->list);
    json_decref(i->os);
}

static int open_layers(struct image *i, const struct cache *c, const struct packages_layer *layers,
                       size_t n, struct error *err)
{
    struct layers *l = &i->layers;

    l->fds = malloc((n + 1) * sizeof(*l->fds));
    l->said = calloc(n + 1, sizeof(json_t *));
    if (!l->fds || !l->said)
        return error_set(err, ERR_SYSTEM, "list packages: out of memory");
    for (; l->n < n; l->n++) {
        const struct packages_layer *from = &layers[l->n];

        if (packages_of_layer(c, from->name, from->path, &l->said[l->n], err) < 0)
            return -1;
        if (fs_open_dir(AT_FDCWD, from->path, &l->fds[l->n], err) < 0) {
            json_decref(l->said[l->n]);
            return -1;
        }
    }
    return 0;
}

/* ---- which files ---- */

/* Whether there is something at the path, by no link; *ret_file: whether it is a file. */
static bool is_there(int root, const char *path, bool *ret_file)
{
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    CLEANUP_CLOSE int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    *ret_file = S_ISREG(st.st_mode);
    return true;
}

/* Whether what the image shows at the path is the file of that layer. */
static bool is_shown(const struct image *i, size_t layer, const char *path)
{
    bool file = false;

    if (!is_there(i->view.fd, path, &file) || !file)
        return false;
    for (size_t k = layer + 1; k < i->layers.n; k++)
        if (is_there(i->layers.fds[k], path, &file))
            return false;
    return true;
}

/* ---- what they say ---- */

static void add_packages(struct image *i, const char *path, const json_t *packages)
{
    const json_t *one;
    size_t k;

    json_array_foreach (packages, k, one) {
        json_t *o;

        if (json_array_size(i->list) >= PACKAGES_MAX) {
            i->cut = true;
            return;
        }
        o = json_copy((json_t *)one);
        json_object_set_new_nocheck(o, "path", json_string_nocheck(path));
        json_array_append_new(i->list, o);
    }
}

/* Of the two that there may be, that in /etc is the one that counts (os-release(5)). */
static void take_os(struct image *i, const char *path, json_t *os)
{
    if (i->os && strncmp(path, "etc/", 4) != 0)
        return;
    json_decref(i->os);
    i->os = json_incref(os);
}

static void take_file(struct image *i, const char *path, const json_t *said)
{
    json_t *os = json_object_get(said, "os");

    i->cut = i->cut || json_is_true(json_object_get(said, "cut"));
    if (json_is_object(os))
        take_os(i, path, os);
    add_packages(i, path, json_object_get(said, "packages"));
}

static void take_layer(struct image *i, size_t layer)
{
    const json_t *files = json_object_get(i->layers.said[layer], "files");
    const char *path;
    json_t *said;

    i->cut = i->cut || json_is_true(json_object_get(i->layers.said[layer], "cut"));
    json_object_foreach ((json_t *)files, path, said) {
        if (json_object_get(i->seen, path))
            continue;
        json_object_set_new_nocheck(i->seen, path, json_true());
        if (is_shown(i, layer, path))
            take_file(i, path, said);
    }
}

/* ---- in order ---- */

static int compare_packages(const void *a, const void *b)
{
    static const char *const keys[] = {"type", "name", "version", "path"};
    int order = 0;

    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]) && order == 0; k++) {
        const char *x = json_string_value(json_object_get(*(json_t *const *)a, keys[k]));
        const char *y = json_string_value(json_object_get(*(json_t *const *)b, keys[k]));

        order = strcmp(x ? x : "", y ? y : "");
    }
    return order;
}

static json_t *sorted(const json_t *list)
{
    size_t n = json_array_size(list);
    CLEANUP_FREE json_t **v = calloc(n + 1, sizeof(json_t *));
    json_t *ret = v ? json_array() : NULL;

    for (size_t k = 0; v && k < n; k++)
        v[k] = json_array_get(list, k);
    if (v)
        qsort(v, n, sizeof(json_t *), compare_packages);
    for (size_t k = 0; ret && k < n; k++)
        json_array_append(ret, v[k]);
    return ret;
}

static int write_image(const struct image *i, struct buf *out, struct error *err)
{
    json_auto_t *o = json_pack("{s:o?, s:O*, s:b}", "packages", sorted(i->list), "os", i->os, "cut",
                               (int)i->cut);
    CLEANUP_FREE char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    if (!text)
        return error_set(err, ERR_SYSTEM, "list packages: out of memory");
    buf_adds(out, text);
    return buf_check(out, "the list of packages", err);
}

int packages_of_image(const struct cache *c, const struct packages_layer *layers, size_t n,
                      const struct stack *files, bool userxattr, struct buf *out, struct error *err)
{
    CLEANUP(image_release) struct image i = {.view = {.fd = -1}};

    i.seen = json_object();
    i.list = json_array();
    if (!i.seen || !i.list)
        return error_set(err, ERR_SYSTEM, "list packages: out of memory");
    if (open_layers(&i, c, layers, n, err) < 0 || stack_view(files, userxattr, &i.view, err) < 0)
        return -1;
    for (size_t k = n; k-- > 0;)
        take_layer(&i, k);
    return write_image(&i, out, err);
}
