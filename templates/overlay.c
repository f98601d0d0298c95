/* templates/overlay — blocks are read, written and flushed; see the header. */
#include "templates/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "templates/bytes.h"
#include "templates/overlay_layout.h"

#define ZEROS (64u << 10)

int overlay_pread(int fd, uint64_t at, void *data, size_t len, struct error *err)
{
    const ssize_t got = fs_pread(fd, data, len, at);

    if (got < 0)
        return error_errno(err, errno, "read the overlay");
    memset((char *)data + got, 0, len - (size_t)got);
    return 0;
}

int overlay_pwrite(int fd, uint64_t at, const void *data, size_t len, struct error *err)
{
    return fs_pwrite(fd, data, len, at) < 0 ? error_errno(err, errno, "write the overlay") : 0;
}

int overlay_read(const struct overlay *o, uint64_t offset, void *data, size_t len,
                 struct error *err)
{
    return overlay_pread(o->fd, BLOCKS_AT + offset, data, len, err);
}

void overlay_extent(const struct overlay *o, uint64_t offset, uint64_t len, uint64_t *ret_len,
                    bool *ret_zero)
{
    off_t at = (off_t)(BLOCKS_AT + offset);
    off_t data = lseek(o->fd, at, SEEK_DATA);
    off_t next;

    *ret_zero = data > at || (data < 0 && errno == ENXIO);
    next = *ret_zero ? data : lseek(o->fd, at, SEEK_HOLE);
    *ret_len = next > at && (uint64_t)(next - at) < len ? (uint64_t)(next - at) : len;
}

int overlay_put(struct overlay *o, uint64_t offset, const void *data, size_t len, struct error *err)
{
    return overlay_pwrite(o->fd, BLOCKS_AT + offset, data, len, err);
}

int overlay_put_zeros(struct overlay *o, uint64_t offset, uint64_t len, struct error *err)
{
    static const unsigned char zeros[ZEROS];

    if (fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(BLOCKS_AT + offset),
                  (off_t)len) == 0)
        return 0;
    if (errno != EOPNOTSUPP)
        return error_errno(err, errno, "write zeros to the overlay");
    while (len > 0) {
        size_t n = len < ZEROS ? (size_t)len : ZEROS;

        if (overlay_put(o, offset, zeros, n, err) < 0)
            return -1;
        offset += n;
        len -= n;
    }
    return 0;
}

void overlay_take(struct overlay *o, uint64_t block, uint64_t count)
{
    for (uint64_t end = block + count; block < end;) {
        uint64_t page_end = (block / PAGE_BITS + 1) * PAGE_BITS;
        uint64_t n = (end < page_end ? end : page_end) - block;

        if (bits_run(&o->written, block, block + n) < n || !bits_get(&o->written, block)) {
            bits_set(&o->written, block, n);
            o->dirty[block / PAGE_BITS] = true;
        }
        block += n;
    }
}

/* ---- flushing ---- */

struct snapshot {
    size_t *pages;
    uint64_t *words;
    size_t n;
};

/* What the bitmap says of blocks that are written by now. */
static int take_snapshot(struct overlay *o, struct snapshot *ret, struct error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_dirty; i++)
        n += o->dirty[i];
    *ret = (struct snapshot){.n = n};
    ret->pages = calloc(n + 1, sizeof(*ret->pages));
    ret->words = calloc(n + 1, OVERLAY_BLOCK);
    if (!ret->pages || !ret->words)
        return error_set(err, ERR_SYSTEM, "flush the overlay: out of memory");
    n = 0;
    for (size_t i = 0; i < o->n_dirty; i++) {
        if (!o->dirty[i])
            continue;
        for (size_t k = 0; k < PAGE_WORDS; k++)
            ret->words[n * PAGE_WORDS + k] = htole64(o->written.words[i * PAGE_WORDS + k]);
        ret->pages[n++] = i;
        o->dirty[i] = false;
    }
    return 0;
}

/* Blocks first, then the bits that say they are there. */
static int write_snapshot(struct overlay *o, const struct snapshot *s, struct error *err)
{
    if (fdatasync(o->fd) < 0)
        return error_errno(err, errno, "sync the overlay");
    for (size_t i = 0; i < s->n; i++)
        if (overlay_pwrite(o->fd, BITMAP_AT + s->pages[i] * OVERLAY_BLOCK,
                           s->words + i * PAGE_WORDS, OVERLAY_BLOCK, err) < 0)
            return -1;
    if (s->n > 0 && fdatasync(o->fd) < 0)
        return error_errno(err, errno, "sync the overlay");
    return 0;
}

static int flush_once(struct overlay *o, struct error *err)
{
    struct snapshot s = {.n = 0};
    int result;

    (void)pthread_mutex_lock(&o->mutex);
    result = take_snapshot(o, &s, err);
    (void)pthread_mutex_unlock(&o->mutex);
    if (result == 0) {
        result = write_snapshot(o, &s, err);
        /* After a sync that was refused the kernel may call lost pages clean. */
        o->broken = result < 0;
    }
    free(s.pages);
    free(s.words);
    return result;
}

int overlay_flush(struct overlay *o, struct error *err)
{
    int result;

    (void)pthread_mutex_lock(&o->flushing);
    result = o->broken ? error_set(err, ERR_SYSTEM,
                                   "the overlay's disk refused an earlier flush: writes may be "
                                   "lost; end the server and check the disk")
                       : flush_once(o, err);
    (void)pthread_mutex_unlock(&o->flushing);
    return result;
}
