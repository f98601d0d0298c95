/* templates/volume — a revision becomes a plain file: by a clone, else chunk by chunk
 * (volume_fill). The file has its name when it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "templates/catalog.h"
#include "templates/volume_fill.h"

#define MB            (UINT64_C(1) << 20)
#define THREADS_MAX   16
#define RESIZE        "/sbin/resize2fs"
#define RESIZE_TIME   (600 * INT64_C(1000)) /* ms */
#define VOLUME_MB_MAX (UINT64_C(16) << 20)

struct making {
    struct template_store *store;
    const struct revision_root *root;
    const struct template_volume_request *req;
    int fd;
};

static int write_image(const struct making *m, struct error *err)
{
    struct view view;
    struct volume_filling what = {.view = &view,
                                  .root = m->root,
                                  .fd = m->fd,
                                  .threads = store_threads(m->store, THREADS_MAX),
                                  .progress = m->req->progress,
                                  .cancel = m->req->cancel};
    int result;

    if (ftruncate(m->fd, (off_t)m->root->info.image_size) < 0)
        return error_errno(err, errno, "write the volume");
    if (view_open(m->store, true, &view, err) < 0)
        return -1;
    result = volume_fill(&what, err);
    view_release(&view);
    return result;
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

static int clone_from_store(const struct making *m, bool *ret_cloned, struct error *err)
{
    CLEANUP_CLOSE int raw = -1;
    char name[REVISION_NAME];
    struct stat st;

    *ret_cloned = false;
    catalog_name(&m->root->info.ref, name);
    if (storage_open(m->store->storage, AREA_RAW, name, &raw, err) < 0)
        return -1;
    if (raw < 0 || fstat(raw, &st) < 0 || (uint64_t)st.st_size != m->root->info.image_size)
        return 0;
    *ret_cloned = ioctl(m->fd, FICLONE, raw) == 0;
    return 0;
}

/* A store without the clone is as good, but slower: failing here is no failure. */
static void clone_to_store(const struct making *m)
{
    struct storage_file f = STORAGE_FILE_INIT;
    struct error ignored = ERROR_INIT;
    char name[REVISION_NAME];

    catalog_name(&m->root->info.ref, name);
    if (storage_create(m->store->storage, &f, &ignored) == 0 && ioctl(f.fd, FICLONE, m->fd) == 0)
        (void)!storage_commit(m->store->storage, &f, AREA_RAW, name, &ignored);
    storage_discard(m->store->storage, &f);
}

static int fill(struct making *m, const char *path, uint64_t size, bool *ret_cloned,
                struct error *err)
{
    if (clone_from_store(m, ret_cloned, err) < 0)
        return -1;
    if (!*ret_cloned) {
        if (write_image(m, err) < 0)
            return -1;
        clone_to_store(m);
    }
    if (size == m->root->info.image_size)
        return 0;
    if (ftruncate(m->fd, (off_t)size) < 0)
        return error_errno(err, errno, "grow the volume");
    return grow(m->req, path, err);
}

static int already_there(const char *path, struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "%s is there already: remove it, or choose another name for the volume", path);
}

static int create(struct making *m, uint64_t size, bool *ret_cloned, struct error *err)
{
    const char *path = m->req->path;
    char temporary[PATH_MAX], random[9];
    int result;

    digest_random_name(random, 8);
    if (snprintf(temporary, sizeof(temporary), "%s.tmp-%s", path, random) >= (int)sizeof(temporary))
        return error_set(err, ERR_INPUT, "the volume's path is too long");
    m->fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (m->fd < 0)
        return error_errno(err, errno, "create %s", temporary);
    result = fill(m, temporary, size, ret_cloned, err);
    close(m->fd);
    if (result == 0 && renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
        result = errno == EEXIST ? already_there(path, err)
                                 : error_errno(err, errno, "name the volume %s", path);
    if (result < 0)
        (void)unlink(temporary);
    return result;
}

static int make_volume(struct making *m, struct template_volume_report *ret, struct error *err)
{
    bool cloned = false;
    uint64_t size = 0;

    if (final_size(m->root, m->req->size_mb, &size, err) < 0 || create(m, size, &cloned, err) < 0)
        return -1;
    *ret = (struct template_volume_report){
        .ref = m->root->info.ref, .size = size, .reflinked = cloned};
    return 0;
}

int template_volume_create(struct template_store *s, const struct template_volume_request *req,
                           struct template_volume_report *ret, struct error *err)
{
    struct revision_root root = {.n_nodes = 0};
    struct template_ref ref = req->ref;
    struct making m = {.store = s, .root = &root, .req = req, .fd = -1};
    int result;

    if (access(req->path, F_OK) == 0)
        return already_there(req->path, err);
    if (catalog_resolve(s, &ref, err) < 0)
        return -1;
    result = catalog_load(s, &ref, &root, err);
    if (result == 0)
        result = make_volume(&m, ret, err);
    free(root.nodes);
    return result;
}
