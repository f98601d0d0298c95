/* builder/cache_remote — see the header. */
#include "builder/cache_remote.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/cache_measure.h"
#include "builder/cache_mount.h"
#include "builder/events.h"

#define LOST_MAX 2 /* steps whose files could not be had, before no more are tried */

int cache_remote_open(struct cache_remote *r, int *ret_document, struct error *err)
{
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->bringing, NULL);
    return cache_link_open(&r->link, ret_document, err);
}

void cache_remote_close(struct cache_remote *r)
{
    cache_index_release(&r->index);
    free(r->away);
    cache_link_close(&r->link);
}

/* Whether it is not worth looking for more of what the registry has. */
static bool is_hopeless(const struct cache_remote *r)
{
    return r->silent || r->n_lost > LOST_MAX;
}

void cache_remote_give_up(struct cache_remote *r)
{
    if (is_hopeless(r))
        cache_index_release(&r->index);
    else
        cache_index_forget(&r->index, r->lost);
    r->asked = true;
    r->n_away = 0;
    atomic_store(&r->failed, false);
}

static void warn(const char *what, const struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    struct builder_event note = {
        .kind = BUILDER_EVENT_NOTE, .stage = BUILDER_NO_STAGE, .step = BUILDER_NO_STEP};

    buf_addf(&text, "warning: %s is left aside: %s", what, err->msg);
    note.text = buf_str(&text);
    events_say(&note);
}

/* ---- what has a name ---- */

static int get(struct cache_remote *r, const char *name, struct buf *ret, bool *ret_found,
               struct error *err)
{
    CLEANUP(buf_release) struct buf what = BUF_INIT(200);
    CLEANUP_CLOSE int fd = memfd_create("answer", MFD_CLOEXEC);

    buf_addf(&what, "get %s", name);
    if (fd < 0)
        return error_errno(err, errno, "make a memory file");
    if (cache_link_ask(&r->link, buf_str(&what), fd, ret_found, err) < 0)
        return -1;
    if (!*ret_found)
        return 0;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewind a memory file");
    return fs_read_fd(fd, ret, err);
}

/* ---- the index ---- */

/* Under the lock. */
static void load_index(struct cache_remote *r)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CACHE_INDEX_BYTES);
    struct error err = ERROR_INIT;
    bool found = false;

    r->asked = true;
    if (get(r, BUILDER_REMOTE_STEPS, &text, &found, &err) == 0 &&
        (!found || cache_index_read(buf_str(&text), text.len, &r->index, &err) == 0))
        return;
    cache_index_release(&r->index);
    warn("the cache in the registry", &err);
}

static bool is_here(const struct cache *c, const struct cache_record *r)
{
    return !r->diff[0] || faccessat(c->diffs, r->diff, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool cache_remote_find(struct cache_remote *r, const struct cache *c, const char *key, bool whole,
                       struct cache_record *ret)
{
    const struct cache_entry *entry = NULL;

    if (r->link.fd < 0)
        return false;
    pthread_mutex_lock(&r->lock);
    if (!r->asked)
        load_index(r);
    entry = cache_index_find(&r->index, key);
    if (entry && whole && entry->record.diff[0] && !entry->record.has_layer)
        entry = NULL;
    if (entry) {
        *ret = entry->record;
        ret->away = !is_here(c, ret);
        ret->has_layer =
            ret->has_layer && ret->away; /* else it is made of the files that are here */
    }
    pthread_mutex_unlock(&r->lock);
    return entry != NULL;
}

bool cache_remote_layer(struct cache_remote *r, const char *key, struct layer *ret)
{
    const struct cache_entry *entry;

    if (r->link.fd < 0)
        return false;
    pthread_mutex_lock(&r->lock);
    if (!r->asked)
        load_index(r);
    entry = cache_index_find(&r->index, key);
    if (entry && !entry->record.has_layer)
        entry = NULL;
    if (entry)
        *ret = entry->record.layer;
    pthread_mutex_unlock(&r->lock);
    return entry != NULL;
}

/* ---- files ---- */

static int add_away(struct cache_remote *r, const struct cache_away *a, struct error *err)
{
    if (r->n_away == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 32;
        struct cache_away *grown = realloc(r->away, cap * sizeof(*grown));

        if (!grown)
            return error_set(err, ERR_SYSTEM, "note a step: out of memory");
        r->away = grown;
        r->cap = cap;
    }
    r->away[r->n_away++] = *a;
    return 0;
}

int cache_remote_expect(struct cache_remote *r, const struct stack *files,
                        const struct cache_record *record, struct error *err)
{
    const struct cache_away a = {.number = files->lowers[files->n - 1], .record = *record};
    int result;

    pthread_mutex_lock(&r->lock);
    result = add_away(r, &a, err);
    pthread_mutex_unlock(&r->lock);
    return result;
}

/* Which of a stack's is away; false: it is here. */
static bool find_away(struct cache_remote *r, unsigned number, struct cache_record *ret)
{
    bool found = false;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_away && !found; i++) {
        found = r->away[i].number == number && !r->away[i].is_here;
        if (found)
            *ret = r->away[i].record;
    }
    pthread_mutex_unlock(&r->lock);
    return found;
}

/* Another stage may have the same step in its stack, by another number. */
static void note_here(struct cache_remote *r, const char *diff)
{
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_away; i++)
        if (strcmp(r->away[i].record.diff, diff) == 0)
            r->away[i].is_here = true;
    pthread_mutex_unlock(&r->lock);
}

static int fetch(struct cache_remote *r, const struct layer *layer, int work, struct error *err)
{
    CLEANUP(buf_release) struct buf what = BUF_INIT(200);
    CLEANUP_CLOSE int fd =
        openat(work, layer->digest + 7, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool found = false;

    if (fd < 0)
        return error_errno(err, errno, "make room for a layer");
    buf_addf(&what, "blob %s %" PRIu64, layer->digest, layer->size);
    if (cache_link_ask(&r->link, buf_str(&what), fd, &found, err) < 0) {
        r->silent = true;
        return -1;
    }
    return found ? 0 : error_set(err, ERR_REMOTE, "the registry does not have %s", layer->digest);
}

/* A layer says nothing of its root: that is as in what it lies on. */
static int dress_root(int diff, const struct stack *files, size_t i, struct error *err)
{
    char below[STACK_PATH];
    struct stat st;

    if (i == 0)
        return 0;
    stack_path(files->lowers[i - 1], below);
    if (stat(below, &st) < 0 || fchown(diff, st.st_uid, st.st_gid) < 0 ||
        fchmod(diff, st.st_mode & 07777) < 0)
        return error_errno(err, errno, "make the root of a tree");
    return 0;
}

static int unpack(struct cache_remote *r, const struct cache_record *record, bool userxattr,
                  int work, int diff, struct error *err)
{
    if (!record->has_layer)
        return error_set(err, ERR_REMOTE, "its files were not kept");
    if (record->layer.entries == 0)
        return 0;
    if (fetch(r, &record->layer, work, err) < 0)
        return -1;
    return layer_unpack(work, &record->layer, userxattr, diff, err);
}

/* The blob stays, to be pushed to wherever it is not.  What the files take is another's word until
 * they are here. */
static int keep(const struct cache *c, const char *path, int work, struct cache_record *record,
                struct error *err)
{
    const char *blob = record->layer.digest + 7;
    CLEANUP_CLOSE int hold = -1;
    char diff[CACHE_PATH + 8];

    (void)snprintf(diff, sizeof(diff), "%s/diff", path);
    record->away = false;
    record->disk = cache_measure(AT_FDCWD, diff);
    if (cache_hold(c, &hold, err) < 0)
        return -1;
    if (record->layer.entries && renameat(work, blob, c->blobs, blob) < 0)
        return error_errno(err, errno, "keep a layer");
    if (cache_keep(c, path, record->diff, err) < 0)
        return -1;
    return cache_store(c, record->key, record, err);
}

static int bring_one(struct cache_remote *r, struct cache *c, const struct stack *files, size_t i,
                     struct cache_record *record, bool userxattr, atomic_uint *n_tmp,
                     struct error *err)
{
    CLEANUP_CLOSE int work = -1, diff = -1, dir = -1;
    struct error ignored = ERROR_INIT;
    char path[CACHE_PATH];

    if (cache_begin(c, atomic_fetch_add(n_tmp, 1), path, err) < 0 ||
        fs_open_dir(AT_FDCWD, path, &dir, err) < 0 || fs_open_dir(dir, "work", &work, err) < 0 ||
        fs_open_dir(dir, "diff", &diff, err) < 0 || dress_root(diff, files, i, err) < 0 ||
        unpack(r, record, userxattr, work, diff, err) < 0 || keep(c, path, work, record, err) < 0)
        return -1;
    (void)!fs_remove_tree(AT_FDCWD, path, &ignored);
    return 0;
}

static int bring(struct cache_remote *r, struct cache *c, const struct stack *files, bool userxattr,
                 atomic_uint *n_tmp, struct error *err)
{
    for (size_t i = 0; i < files->n; i++) {
        struct cache_record record;
        struct error why = ERROR_INIT;

        if (!find_away(r, files->lowers[i], &record))
            continue;
        if (!is_here(c, &record) &&
            bring_one(r, c, files, i, &record, userxattr, n_tmp, &why) < 0) {
            memcpy(r->lost, record.diff, sizeof(r->lost));
            r->n_lost++;
            atomic_store(&r->failed, true);
            warn(is_hopeless(r) ? "the cache in the registry" : "a step in the registry", &why);
            return error_set(err, ERR_REMOTE, "fetch a cached step: %s", why.msg);
        }
        note_here(r, record.diff);
    }
    return 0;
}

int cache_remote_bring(struct cache_remote *r, struct cache *c, const struct stack *files,
                       bool userxattr, atomic_uint *n_tmp, struct error *err)
{
    int result;

    if (r->link.fd < 0)
        return 0;
    pthread_mutex_lock(&r->bringing);
    result = bring(r, c, files, userxattr, n_tmp, err);
    pthread_mutex_unlock(&r->bringing);
    return result;
}

/* ---- cache mounts ---- */

static int restore(struct cache_remote *r, const char *name, bool userxattr, int work, int diff,
                   bool *ret_found, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CACHE_MOUNT_BYTES);
    CLEANUP(buf_release) struct buf what = BUF_INIT(200);
    struct cache_mount saved;

    buf_addf(&what, BUILDER_REMOTE_MOUNT "%s", name);
    if (get(r, buf_str(&what), &text, ret_found, err) < 0)
        return -1;
    if (!*ret_found)
        return 0;
    if (cache_mount_read(buf_str(&text), text.len, &saved, err) < 0)
        return -1;
    if (saved.layer.entries == 0)
        return 0;
    if (fetch(r, &saved.layer, work, err) < 0)
        return -1;
    return layer_unpack(work, &saved.layer, userxattr, diff, err);
}

bool cache_remote_mount(struct cache_remote *r, const char *name, bool userxattr, int work,
                        int diff)
{
    struct error err = ERROR_INIT;
    bool found = false;

    if (r->link.fd < 0 || !digest_is_hex(name))
        return false;
    if (restore(r, name, userxattr, work, diff, &found, &err) == 0)
        return found;
    warn("a saved cache mount", &err);
    return false;
}
