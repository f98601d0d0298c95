/* builder/layer_unpack — a blob becomes a diff directory: names, whiteouts, and whether it was the
 * right blob. */
#include "builder/layer_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/text.h"
#include "builder/layer_tree.h"

#define WHITEOUT   ".wh."
#define META       ".wh..wh." /* of AUFS, which the form comes from; all but one mean nothing now */
#define OPAQUE     ".wh..wh..opq"
#define DIGEST_LEN 71

static void release_tree(struct layer_tree *t)
{
    layer_tree_release(t);
}

/* "./a//b/" is a/b; "/" is the root, "". */
static int clean_path(const char *name, char ret[PATH_MAX], struct error *err)
{
    size_t len = 0;

    for (const char *p = name; *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && p[0] == '.' && p[1] == '.')
            return error_set(err, ERR_INPUT, "it leads out of the layer");
        if (n > NAME_MAX || len + n + 2 > PATH_MAX)
            return error_set(err, ERR_LIMIT, "it is longer than a path can be");
        if (n > 0 && !(n == 1 && *p == '.')) {
            if (len > 0)
                ret[len++] = '/';
            memcpy(ret + len, p, n);
            len += n;
        }
        p += n;
        p += *p == '/';
    }
    ret[len] = '\0';
    return 0;
}

/* Removes the last component; "" when there was one only. */
static void cut_name(char *path)
{
    char *slash = strrchr(path, '/');

    *(slash ? slash : path) = '\0';
}

/* path's name begins with ".wh.". */
static int unpack_mark(struct layer_tree *t, char path[PATH_MAX], struct error *err)
{
    char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *hidden = name + strlen(WHITEOUT);

    if (strcmp(name, OPAQUE) == 0) {
        cut_name(path);
        return layer_tree_make_opaque(t, path, err);
    }
    if (text_starts(name, META))
        return 0;
    if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return error_set(err, ERR_INPUT, "it removes what is no name");
    memmove(name, hidden, strlen(hidden) + 1);
    return layer_tree_white_out(t, path, err);
}

static int unpack_member(struct layer_tree *t, const struct layer_member *m, struct layer_reader *r,
                         struct error *err)
{
    char path[PATH_MAX];
    char target[PATH_MAX] = "";
    const char *slash;

    if (clean_path(m->name, path, err) < 0)
        return -1;
    slash = strrchr(path, '/');
    if (text_starts(slash ? slash + 1 : path, WHITEOUT))
        return unpack_mark(t, path, err);
    if (m->type == TAR_HARDLINK && clean_path(m->target, target, err) < 0)
        return -1;
    return m->is_known ? layer_tree_put(t, path, target, m, r, err) : 0;
}

static int unpack_all(struct layer_reader *r, const struct layer_bounds *bounds,
                      struct layer_tree *t, struct layer *ret_seen, struct error *err)
{
    uint64_t entries = 0;

    for (;;) {
        struct layer_member m;
        bool end = false;

        if (layer_reader_next(r, &m, &end, err) < 0)
            return -1;
        if (end)
            break;
        if (++entries > bounds->entries)
            return error_set(err, ERR_LIMIT, "the layer has more than %" PRIu64 " entries",
                             bounds->entries);
        if (unpack_member(t, &m, r, err) < 0)
            return error_wrap(err, "%.500s", m.name);
    }
    if (layer_tree_finish(t, err) < 0 || layer_reader_end(r, ret_seen, err) < 0)
        return -1;
    ret_seen->entries = entries;
    return 0;
}

int layer_unpack_fd(int fd, const struct layer_bounds *bounds, bool userxattr, int diff,
                    struct layer *ret_seen, struct error *err)
{
    CLEANUP(layer_reader_freep) struct layer_reader *r = NULL;
    CLEANUP(release_tree) struct layer_tree t;

    layer_tree_init(&t, diff, userxattr);
    if (layer_reader_open(fd, bounds->tar_size, &r, err) < 0)
        return -1;
    return unpack_all(r, bounds, &t, ret_seen, err);
}

/* ---- the right blob ---- */

static int open_blob(int blobs, const struct layer *layer, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (!digest_is_sha256(layer->digest) || !digest_is_sha256(layer->diff_id))
        return error_set(err, ERR_INPUT, "its digest or diff_id is no sha256 digest");
    fd = openat(blobs, layer->digest + 7, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open its blob");
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != layer->size)
        return error_set(err, ERR_INPUT, "its blob has %lld bytes and not %" PRIu64,
                         (long long)st.st_size, layer->size);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int check(const struct layer *seen, const struct layer *layer, struct error *err)
{
    if (strcmp(seen->digest, layer->digest) != 0)
        return error_set(err, ERR_INPUT, "its blob is %s", seen->digest);
    if (strcmp(seen->diff_id, layer->diff_id) != 0)
        return error_set(err, ERR_INPUT, "its diff_id is %s and not %s", seen->diff_id,
                         layer->diff_id);
    if ((layer->tar_size && seen->tar_size != layer->tar_size) ||
        (layer->entries && seen->entries != layer->entries))
        return error_set(err, ERR_INPUT,
                         "it has %" PRIu64 " bytes in %" PRIu64 " entries, and not %" PRIu64
                         " in %" PRIu64,
                         seen->tar_size, seen->entries, layer->tar_size, layer->entries);
    return 0;
}

int layer_unpack(int blobs, const struct layer *layer, bool userxattr, int diff, struct error *err)
{
    const struct layer_bounds bounds = {
        .tar_size = layer->tar_size ? layer->tar_size : LAYER_TAR_SIZE_MAX,
        .entries = layer->entries ? layer->entries : LAYER_ENTRIES_MAX,
    };
    CLEANUP_CLOSE int fd = -1;
    struct layer seen;

    if (open_blob(blobs, layer, &fd, err) < 0 ||
        layer_unpack_fd(fd, &bounds, userxattr, diff, &seen, err) < 0 ||
        check(&seen, layer, err) < 0)
        return error_wrap(err, "unpack the layer %.80s", layer->digest);
    return 0;
}
