/* backup/restore — the files of a backup, written anew, each piece by its checksum. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/manifest.h"
#include "backup/vault.h"
#include "base/fs.h"

struct restoring {
    struct backup_vault *vault;
    const struct backup_progress *progress;
    int root; /* -1: nothing is written */
    unsigned char *room;
    int fd; /* the file that is being written; -1: none */
    uint64_t at;
    char path[BACKUP_PATH];
};

/* Holes at the end are given it here, as its size. */
static int end_file(struct restoring *r, struct error *err)
{
    const int fd = r->fd;

    r->fd = -1;
    if (fd < 0)
        return 0;
    if (ftruncate(fd, (off_t)r->at) < 0 || fsync(fd) < 0) {
        (void)error_errno(err, errno, "write %s", r->path);
        close(fd);
        return -1;
    }
    return close(fd) < 0 ? error_errno(err, errno, "write %s", r->path) : 0;
}

static int make_directory(struct restoring *r, const struct manifest_entry *e, struct error *err)
{
    if (r->root < 0)
        return 0;
    if (mkdirat(r->root, e->path, e->mode) < 0)
        return error_errno(err, errno, "make directory %s", e->path);
    return fs_sync_parent(r->root, e->path, err);
}

static int begin_file(struct restoring *r, const struct manifest_entry *e, struct error *err)
{
    r->at = 0;
    (void)snprintf(r->path, sizeof(r->path), "%s", e->path);
    if (r->root < 0)
        return 0;
    r->fd = openat(r->root, e->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, e->mode);
    if (r->fd < 0)
        return error_errno(err, errno, "make %s", e->path);
    return fs_sync_parent(r->root, e->path, err);
}

static int write_piece(struct restoring *r, const void *data, size_t len, struct error *err)
{
    if (r->fd >= 0 && fs_pwrite(r->fd, data, len, r->at) < 0)
        return error_errno(err, errno, "write %s", r->path);
    r->at += len;
    if (r->progress)
        r->progress->report(r->progress->self, len);
    return 0;
}

static int take_piece(struct restoring *r, const struct manifest_entry *e, struct error *err)
{
    if (e->kind == MANIFEST_BYTES)
        return write_piece(r, e->bytes, (size_t)e->size, err);
    if (e->kind == MANIFEST_ZEROS) {
        r->at += e->size;
        return 0;
    }
    if (vault_get(r->vault, e->hex, r->room, (size_t)e->size, err) < 0)
        return error_wrap(err, "%s", r->path);
    return write_piece(r, r->room, (size_t)e->size, err);
}

static int take_entry(void *self, const struct manifest_entry *e, struct error *err)
{
    struct restoring *r = self;

    if (e->kind == MANIFEST_CHUNK || e->kind == MANIFEST_ZEROS || e->kind == MANIFEST_BYTES)
        return take_piece(r, e, err);
    if (end_file(r, err) < 0)
        return -1;
    if (e->kind == MANIFEST_DIRECTORY)
        return make_directory(r, e, err);
    return e->kind == MANIFEST_FILE ? begin_file(r, e, err) : 0;
}

int backup_restore(struct backup_vault *v, const char *name, int dirfd,
                   const struct backup_progress *progress, struct error *err)
{
    CLEANUP_FILE FILE *file = NULL;
    CLEANUP_FREE unsigned char *room = malloc(BACKUP_CHUNK);
    struct restoring r = {.vault = v, .progress = progress, .root = dirfd, .room = room, .fd = -1};
    const struct manifest_sink sink = {.entry = take_entry, .self = &r};
    int result;

    if (!room)
        return error_set(err, ERR_SYSTEM, "restore: out of memory");
    if (vault_open_manifest(v, name, &file, err) < 0)
        return -1;
    result = manifest_parse(file, &sink, err);
    cleanup_close(&r.fd);
    return result < 0 ? error_wrap(err, "backup %s", name) : 0;
}
