/* builder/cache_mount — see the header. */
#include "builder/cache_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/cache_key.h"

#define VERSION   1
#define DEEPEST   128
#define FILES_MAX 1000000

/* ---- what is said of it ---- */

int cache_mount_read(const char *text, size_t len, struct cache_mount *ret, struct error *err)
{
    json_auto_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const char *mark = json_string_value(json_object_get(root, "mark"));

    *ret = (struct cache_mount){.mark = ""};
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !digest_is_hex(mark) ||
        !cache_layer_read(json_object_get(root, "layer"), &ret->layer) ||
        ret->layer.size > LAYER_TAR_SIZE_MAX || ret->layer.tar_size > LAYER_TAR_SIZE_MAX ||
        ret->layer.entries > LAYER_ENTRIES_MAX)
        return error_set(err, ERR_INPUT, "not the description of a cache mount");
    memcpy(ret->mark, mark, sizeof(ret->mark));
    return 0;
}

json_t *cache_mount_json(const struct cache_mount *m)
{
    return json_pack("{s:i, s:s, s:o}", "version", VERSION, "mark", m->mark, "layer",
                     cache_layer_json(&m->layer));
}

/* ---- its mark ---- */

struct walk {
    struct cache_key key;
    uint64_t bytes;
    size_t files;
};

static int look_at(struct walk *w, int dir, const char *name, unsigned depth, struct error *err);

static int look_in(struct walk *w, int dir, unsigned depth, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (depth > DEEPEST)
        return error_set(err, ERR_LIMIT, "it is deeper than %d directories", DEEPEST);
    if (fs_list(dir, ".", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (look_at(w, dir, names.v[i], depth, err) < 0)
            return -1;
    cache_key_add_word(&w->key, NULL);
    return 0;
}

/* Whole seconds are what a layer keeps; those of a directory change by unpacking into it. */
static int look_at(struct walk *w, int dir, const char *name, unsigned depth, struct error *err)
{
    CLEANUP_CLOSE int below = -1;
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at %.100s", name);
    if (++w->files > FILES_MAX)
        return error_set(err, ERR_LIMIT, "it has more than %d files", FILES_MAX);
    cache_key_add_word(&w->key, name);
    cache_key_add_number(&w->key, st.st_mode);
    if (S_ISDIR(st.st_mode)) {
        if (fs_open_dir(dir, name, &below, err) < 0)
            return -1;
        return look_in(w, below, depth + 1, err);
    }
    cache_key_add_number(&w->key, st.st_size);
    cache_key_add_number(&w->key, st.st_mtim.tv_sec);
    w->bytes += (uint64_t)st.st_size;
    return 0;
}

int cache_mount_mark(int dir, char ret[SHA256_HEX], uint64_t *ret_bytes, struct error *err)
{
    struct walk w = {.bytes = 0};
    int r = cache_key_begin(&w.key, "mark of a cache mount 1", NULL, err);

    if (r == 0)
        r = look_in(&w, dir, 0, err);
    if (r == 0) {
        cache_key_end(&w.key, ret);
        *ret_bytes = w.bytes;
    }
    cache_key_release(&w.key);
    return r;
}
