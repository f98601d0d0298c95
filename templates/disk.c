/* templates/disk — a served volume is read and written.
 *
 * A block is where its bit says: in the overlay, or else in the revision.  Reads take no lock, as a
 * bit is set after its block is written.  Writes take turns, since a block that is written in part
 * for the first time is first read, and must not undo another's write. */
#include "templates/disk.h"

#include <string.h>

static int check_range(const struct template_disk *d, uint64_t offset, uint64_t len,
                       struct error *err)
{
    if (offset <= d->info.size && len <= d->info.size - offset)
        return 0;
    return error_set(err, ERR_SYSTEM, "byte %llu is past the end of the volume",
                     (unsigned long long)(offset + len));
}

/* ---- reading ---- */

/* What the revision has there; zeros after it. */
static int read_below(struct template_disk *d, uint64_t offset, void *data, size_t len,
                      struct error *err)
{
    const uint64_t end = d->info.image_size;
    size_t n = offset >= end ? 0 : end - offset < len ? (size_t)(end - offset) : len;

    memset((char *)data + n, 0, len - n);
    return n ? disk_cache_read(&d->cache, offset, data, n, err) : 0;
}

/* Bytes from offset on, at most len, that are all here or all below. */
static uint64_t like_run(const struct template_disk *d, uint64_t offset, uint64_t len,
                         bool *ret_here)
{
    const uint64_t first = offset / OVERLAY_BLOCK;
    const uint64_t end = (offset + len + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;
    uint64_t blocks, bytes;

    *ret_here = false;
    if (!disk_has_overlay(d))
        return len;
    /* Bits may be set meanwhile, but those of a run are never taken back. */
    blocks = bits_run(&d->overlay.written, first, end);
    *ret_here = bits_get(&d->overlay.written, first);
    if (blocks == 0 || (*ret_here && bits_run(&d->overlay.written, first, first + blocks) < blocks))
        blocks = 1;
    bytes = (first + blocks) * OVERLAY_BLOCK - offset;
    return bytes < len ? bytes : len;
}

int template_disk_read(struct template_disk *d, uint64_t offset, void *data, size_t len,
                       struct error *err)
{
    if (check_range(d, offset, len, err) < 0)
        return -1;
    while (len > 0) {
        bool here;
        size_t n = (size_t)like_run(d, offset, len, &here);

        if ((here ? overlay_read(&d->overlay, offset, data, n, err)
                  : read_below(d, offset, data, n, err)) < 0)
            return -1;
        data = (char *)data + n;
        offset += n;
        len -= n;
    }
    return 0;
}

/* Of blocks below: whole blocks that are zero, or some that may not be. */
static int extent_below(struct template_disk *d, uint64_t offset, uint64_t len, uint64_t *ret_len,
                        bool *ret_zero, struct error *err)
{
    const uint64_t end = d->info.image_size;
    uint64_t at = offset, next;

    *ret_zero = offset >= end;
    *ret_len = len;
    if (offset >= end)
        return 0;
    while (at < end && at - offset < len) {
        uint64_t n = 0, whole;
        bool zero = false;

        if (template_revision_extent(d->revision, at, &n, &zero, err) < 0)
            return -1;
        next = at + n;
        whole = zero ? next / OVERLAY_BLOCK * OVERLAY_BLOCK
                     : (next + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK * OVERLAY_BLOCK;
        zero = zero && whole > at;
        if (!zero && whole <= at)
            whole = (at / OVERLAY_BLOCK + 1) * OVERLAY_BLOCK;
        if (at == offset)
            *ret_zero = zero;
        else if (zero != *ret_zero)
            break;
        at = whole;
    }
    *ret_len = at - offset < len ? at - offset : len;
    return 0;
}

int template_disk_extent(struct template_disk *d, uint64_t offset, uint64_t len, uint64_t *ret_len,
                         bool *ret_zero, struct error *err)
{
    bool here;

    if (len == 0 || check_range(d, offset, len, err) < 0)
        return len ? -1 : error_set(err, ERR_SYSTEM, "an extent of no bytes");
    len = like_run(d, offset, len, &here);
    if (!here)
        return extent_below(d, offset, len, ret_len, ret_zero, err);
    overlay_extent(&d->overlay, offset, len, ret_len, ret_zero);
    return 0;
}

/* ---- writing ---- */

/* Data, or zeros where that is NULL, into a part of one block. */
static int write_part(struct template_disk *d, uint64_t offset, const void *data, size_t len,
                      struct error *err)
{
    const uint64_t block = offset / OVERLAY_BLOCK;
    unsigned char whole[OVERLAY_BLOCK];
    unsigned char *part = whole + offset % OVERLAY_BLOCK;

    if (bits_get(&d->overlay.written, block))
        return data ? overlay_put(&d->overlay, offset, data, len, err)
                    : overlay_put_zeros(&d->overlay, offset, len, err);
    if (read_below(d, block * OVERLAY_BLOCK, whole, sizeof(whole), err) < 0)
        return -1;
    if (data)
        memcpy(part, data, len);
    else
        memset(part, 0, len);
    if (overlay_put(&d->overlay, block * OVERLAY_BLOCK, whole, sizeof(whole), err) < 0)
        return -1;
    overlay_take(&d->overlay, block, 1);
    return 0;
}

static int write_whole(struct template_disk *d, uint64_t offset, const void *data, uint64_t len,
                       struct error *err)
{
    if ((data ? overlay_put(&d->overlay, offset, data, (size_t)len, err)
              : overlay_put_zeros(&d->overlay, offset, len, err)) < 0)
        return -1;
    overlay_take(&d->overlay, offset / OVERLAY_BLOCK, len / OVERLAY_BLOCK);
    return 0;
}

static int write_locked(struct template_disk *d, uint64_t offset, const void *data, uint64_t len,
                        struct error *err)
{
    int result = 0;

    while (len > 0 && result == 0) {
        uint64_t in_block = offset % OVERLAY_BLOCK;
        uint64_t n = len / OVERLAY_BLOCK * OVERLAY_BLOCK;

        if (in_block || n == 0) {
            n = OVERLAY_BLOCK - in_block < len ? OVERLAY_BLOCK - in_block : len;
            result = write_part(d, offset, data, (size_t)n, err);
        } else {
            result = write_whole(d, offset, data, n, err);
        }
        data = data ? (const char *)data + n : NULL;
        offset += n;
        len -= n;
    }
    return result;
}

static int write_range(struct template_disk *d, uint64_t offset, const void *data, uint64_t len,
                       struct error *err)
{
    int result;

    if (check_range(d, offset, len, err) < 0)
        return -1;
    if (!disk_has_overlay(d))
        return error_set(err, ERR_INPUT, "the volume has no overlay: it cannot be written");
    (void)pthread_mutex_lock(&d->overlay.mutex);
    result = write_locked(d, offset, data, len, err);
    (void)pthread_mutex_unlock(&d->overlay.mutex);
    return result;
}

int template_disk_write(struct template_disk *d, uint64_t offset, const void *data, size_t len,
                        struct error *err)
{
    return write_range(d, offset, data, len, err);
}

int template_disk_zero(struct template_disk *d, uint64_t offset, uint64_t len, struct error *err)
{
    return write_range(d, offset, NULL, len, err);
}

int template_disk_flush(struct template_disk *d, struct error *err)
{
    return disk_has_overlay(d) ? overlay_flush(&d->overlay, err) : 0;
}
