/* templates/disk_export — the image of a served volume, to a file or a pipe. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "templates/disk.h"

#define PIECE (1u << 20)

struct output {
    int fd;
    bool sparse;
};

static int put(const struct output *out, uint64_t at, const unsigned char *data, size_t len,
               struct error *err)
{
    if (!out->sparse)
        return fs_write_all(out->fd, data, len, err);
    return fs_pwrite(out->fd, data, len, at) < 0 ? error_errno(err, errno, "write the image") : 0;
}

static int copy_piece(struct template_disk *d, const struct output *out, uint64_t at,
                      unsigned char *data, uint64_t *ret_len, struct error *err)
{
    const uint64_t left = d->info.size - at;
    bool zero = false;

    if (template_disk_extent(d, at, left, ret_len, &zero, err) < 0)
        return -1;
    if (zero && out->sparse)
        return 0;
    *ret_len = *ret_len < PIECE ? *ret_len : PIECE;
    if (zero)
        memset(data, 0, (size_t)*ret_len);
    else if (template_disk_read(d, at, data, (size_t)*ret_len, err) < 0)
        return -1;
    return put(out, at, data, (size_t)*ret_len, err);
}

int template_disk_export_raw(struct template_disk *d, int fd,
                             const struct template_progress *progress, struct error *err)
{
    CLEANUP_FREE unsigned char *data = malloc(PIECE);
    struct output out = {.fd = fd};
    struct stat st;

    if (!data)
        return error_set(err, ERR_SYSTEM, "export a volume: out of memory");
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "export a volume");
    out.sparse = S_ISREG(st.st_mode) && st.st_size == 0;
    if (out.sparse && ftruncate(fd, (off_t)d->info.size) < 0)
        return error_errno(err, errno, "write the image");
    for (uint64_t at = 0, n = 0; at < d->info.size; at += n) {
        if (copy_piece(d, &out, at, data, &n, err) < 0)
            return -1;
        if (progress)
            progress->report(progress->self, TEMPLATE_WRITING, at + n, d->info.size);
    }
    return 0;
}
