/* templates/volume — a revision becomes a plain file.
 *
 * Threads take nodes in turn, and each writes what its node covers: chunks at their places, zeros
 * not at all.  The file has its name when it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "templates/reach.h"

#define MB            (UINT64_C(1) << 20)
#define THREADS_MAX   16
#define WRITE_SIZE    (512u << 10)
#define RESIZE        "/sbin/resize2fs"
#define RESIZE_TIME   (600 * INT64_C(1000)) /* ms */
#define VOLUME_MB_MAX (UINT64_C(16) << 20)

struct writing {
    const struct view *view;
    const struct revision_root *root;
    const struct template_volume_request *req;
    int fd;
    atomic_size_t next;    /* node */
    pthread_mutex_t mutex; /* over what follows */
    uint64_t done;
    bool failed;
    struct error error;
};

/* What one thread collects before it writes. */
struct strip {
    struct writing *w;
    struct reader reader;
    unsigned char *data;
    uint64_t at;
    size_t len;
};

static int flush(struct strip *s, struct error *err)
{
    if (fs_pwrite(s->w->fd, s->data, s->len, s->at) < 0)
        return error_errno(err, errno, "write the volume");
    s->len = 0;
    return 0;
}

static int write_entry(void *self, uint64_t offset, const struct entry *e, struct error *err)
{
    struct strip *s = self;
    const unsigned char *data = NULL;
    uint32_t len;

    if (e->zero)
        return 0;
    if (reader_address(&s->reader, e->address, &data, &len, err) < 0)
        return -1;
    if (len != e->len)
        return error_set(err, ERR_SYSTEM, "a chunk has %u bytes, and the revision says %llu", len,
                         (unsigned long long)e->len);
    /* A gap of less than a block is a file's end: zeros, written along. */
    if (s->len > 0 &&
        (offset < s->at + s->len || offset - s->at - s->len >= IMAGE_BLOCK ||
         offset - s->at + len > WRITE_SIZE) &&
        flush(s, err) < 0)
        return -1;
    if (s->len == 0)
        s->at = offset;
    memset(s->data + s->len, 0, (size_t)(offset - s->at) - s->len);
    memcpy(s->data + (offset - s->at), data, len);
    s->len = (size_t)(offset - s->at) + len;
    return 0;
}

static int write_node(struct strip *s, size_t i, unsigned char *node, struct error *err)
{
    const struct node_ref *ref = &s->w->root->nodes[i];
    const unsigned char *data = NULL;
    uint32_t len;

    if (reader_address(&s->reader, ref->address, &data, &len, err) < 0)
        return -1;
    if (len > NODE_MAX)
        return error_set(err, ERR_SYSTEM, "a node of the revision is too long");
    memcpy(node, data, len); /* chunks that are read push it out of the reader */
    if (node_walk(node, len, ref->start, ref[1].start, write_entry, s, err) < 0)
        return -1;
    return flush(s, err);
}

static void advance(struct writing *w, uint64_t bytes)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->done += bytes;
    if (w->req->progress)
        w->req->progress->report(w->req->progress->self, TEMPLATE_WRITING, w->done,
                                 w->root->info.image_size);
    (void)pthread_mutex_unlock(&w->mutex);
}

static int write_nodes(struct strip *s, struct error *err)
{
    struct writing *w = s->w;
    CLEANUP_FREE unsigned char *node = malloc(NODE_MAX);

    if (!node || !(s->data = malloc(WRITE_SIZE + CHUNK_MAX)))
        return error_set(err, ERR_SYSTEM, "write the volume: out of memory");
    for (size_t i = atomic_fetch_add(&w->next, 1); i < w->root->n_nodes;
         i = atomic_fetch_add(&w->next, 1)) {
        if (w->req->cancel && cancel_is_thrown(w->req->cancel))
            return error_set(err, ERR_INPUT, "write the volume: cancelled");
        if (write_node(s, i, node, err) < 0)
            return -1;
        advance(w, w->root->nodes[i + 1].start - w->root->nodes[i].start);
    }
    return 0;
}

static void *write_some(void *self)
{
    struct writing *w = self;
    struct strip s = {.w = w};
    struct error err = ERROR_INIT;
    int result = reader_init(&s.reader, w->view, &err);

    if (result == 0) {
        result = write_nodes(&s, &err);
        reader_release(&s.reader);
    }
    free(s.data);
    if (result < 0) {
        atomic_store(&w->next, w->root->n_nodes);
        (void)pthread_mutex_lock(&w->mutex);
        if (!w->failed)
            w->error = err;
        w->failed = true;
        (void)pthread_mutex_unlock(&w->mutex);
    }
    return NULL;
}

static int write_image(struct template_store *s, struct writing *w, struct error *err)
{
    pthread_t threads[THREADS_MAX];
    unsigned n = store_threads(s, THREADS_MAX), started = 0;

    if (ftruncate(w->fd, (off_t)w->root->info.image_size) < 0)
        return error_errno(err, errno, "write the volume");
    while (started < n && pthread_create(&threads[started], NULL, write_some, w) == 0)
        started++;
    if (started == 0)
        (void)write_some(w);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    if (w->failed)
        *err = w->error;
    return w->failed ? -1 : 0;
}

/* ---- growing ---- */

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    (void)len;
    buf_addf(self, "%s%s", ((struct buf *)self)->len ? "; " : "", text);
}

static int grow(const struct template_volume_request *req, const char *path, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(buf_release) struct buf output = BUF_INIT(4096);
    const struct process_sink sink = {.line = keep_line, .self = &output};
    const struct process_request run = {.argv = &argv,
                                        .stdin_fd = -1,
                                        .timeout_ms = RESIZE_TIME,
                                        .cancel = req->cancel,
                                        .sink = &sink};
    struct process_end end;
    char how[PROCESS_TEXT];

    argv_push(&argv, req->resize_program ? req->resize_program : RESIZE, "-f", path, NULL);
    if (process_run(&run, &end, err) < 0)
        return error_wrap(err, "grow the volume (is e2fsprogs installed?)");
    if (process_succeeded(&end))
        return 0;
    process_describe(&end, how);
    return error_set(err, ERR_SYSTEM, "grow the volume: resize2fs %s: %s", how, buf_str(&output));
}

/* ---- the whole ---- */

static int final_size(const struct revision_root *root, uint64_t size_mb, uint64_t *ret,
                      struct error *err)
{
    const struct template_revision_info *i = &root->info;
    uint64_t need = (i->min_size + MB - 1) / MB;

    if (size_mb == 0)
        size_mb = i->default_size_mb;
    if (size_mb > VOLUME_MB_MAX)
        return error_set(err, ERR_LIMIT, "a volume has at most %llu MB",
                         (unsigned long long)VOLUME_MB_MAX);
    if (size_mb > 0 && size_mb < need)
        return error_set(err, ERR_LIMIT,
                         "a volume of %llu MB is too small for %s:%llu, which needs %llu MB: %llu "
                         "bytes of content and what the file system takes; ask for a size of %llu "
                         "or more",
                         (unsigned long long)size_mb, i->ref.name,
                         (unsigned long long)i->ref.revision, (unsigned long long)need,
                         (unsigned long long)i->content_size, (unsigned long long)need);
    *ret = size_mb ? size_mb * MB : i->image_size;
    return 0;
}

/* ---- clones ----
 *
 * Where the file system can share blocks between files, the first volume leaves a clone of itself
 * in the store, and those that follow are clones of that.  Where it cannot, nothing is kept. */

static int clone_from_store(struct template_store *s, struct writing *w, bool *ret_cloned,
                            struct error *err)
{
    CLEANUP_CLOSE int raw = -1;
    char name[REVISION_NAME];
    struct stat st;

    *ret_cloned = false;
    catalog_name(&w->root->info.ref, name);
    if (storage_open(s->storage, AREA_RAW, name, &raw, err) < 0)
        return -1;
    if (raw < 0 || fstat(raw, &st) < 0 || (uint64_t)st.st_size != w->root->info.image_size)
        return 0;
    *ret_cloned = ioctl(w->fd, FICLONE, raw) == 0;
    return 0;
}

/* A store without the clone is as good, but slower: failing here is no failure. */
static void clone_to_store(struct template_store *s, const struct writing *w)
{
    struct storage_file f = STORAGE_FILE_INIT;
    struct error ignored = ERROR_INIT;
    char name[REVISION_NAME];

    catalog_name(&w->root->info.ref, name);
    if (storage_create(s->storage, &f, &ignored) == 0 && ioctl(f.fd, FICLONE, w->fd) == 0)
        (void)!storage_commit(s->storage, &f, AREA_RAW, name, &ignored);
    storage_discard(s->storage, &f);
}

static int fill(struct template_store *s, struct writing *w, const char *path, uint64_t size,
                bool *ret_cloned, struct error *err)
{
    if (clone_from_store(s, w, ret_cloned, err) < 0)
        return -1;
    if (!*ret_cloned) {
        if (write_image(s, w, err) < 0)
            return -1;
        clone_to_store(s, w);
    }
    if (size == w->root->info.image_size)
        return 0;
    if (ftruncate(w->fd, (off_t)size) < 0)
        return error_errno(err, errno, "grow the volume");
    return grow(w->req, path, err);
}

static int already_there(const char *path, struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "%s is there already: remove it, or choose another name for the volume", path);
}

static int create(struct template_store *s, struct writing *w, uint64_t size, bool *ret_cloned,
                  struct error *err)
{
    const char *path = w->req->path;
    char temporary[PATH_MAX], random[9];
    int result;

    digest_random_name(random, 8);
    if (snprintf(temporary, sizeof(temporary), "%s.tmp-%s", path, random) >= (int)sizeof(temporary))
        return error_set(err, ERR_INPUT, "the volume's path is too long");
    w->fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w->fd < 0)
        return error_errno(err, errno, "create %s", temporary);
    result = fill(s, w, temporary, size, ret_cloned, err);
    close(w->fd);
    if (result == 0 && renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
        result = errno == EEXIST ? already_there(path, err)
                                 : error_errno(err, errno, "name the volume %s", path);
    if (result < 0)
        (void)unlink(temporary);
    return result;
}

static int make_volume(struct template_store *s, struct writing *w, struct revision_root *root,
                       struct template_volume_report *ret, struct error *err)
{
    struct view view;
    bool cloned = false;
    uint64_t size = 0;
    int result;

    if (final_size(root, w->req->size_mb, &size, err) < 0 || view_open(s, true, &view, err) < 0)
        return -1;
    w->view = &view;
    w->root = root;
    result = create(s, w, size, &cloned, err);
    view_release(&view);
    if (result == 0)
        *ret = (struct template_volume_report){
            .ref = root->info.ref, .size = size, .reflinked = cloned};
    return result;
}

int template_volume_create(struct template_store *s, const struct template_volume_request *req,
                           struct template_volume_report *ret, struct error *err)
{
    struct revision_root root = {.n_nodes = 0};
    struct template_ref ref = req->ref;
    struct writing w = {.req = req, .fd = -1};
    int result;

    if (access(req->path, F_OK) == 0)
        return already_there(req->path, err);
    if (catalog_resolve(s, &ref, err) < 0)
        return -1;
    (void)pthread_mutex_init(&w.mutex, NULL);
    result = catalog_load(s, &ref, &root, err);
    if (result == 0)
        result = make_volume(s, &w, &root, ret, err);
    free(root.nodes);
    (void)pthread_mutex_destroy(&w.mutex);
    return result;
}
