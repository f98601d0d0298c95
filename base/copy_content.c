/* base/copy_content — see the header. */
#include "base/copy_content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fs.h"

#define BLOCK (128U << 10)

static int copy_by_hand(int from, int to, off_t at, off_t end, struct error *err)
{
    CLEANUP_FREE char *block = malloc(BLOCK);

    if (!block)
        return error_set(err, ERR_SYSTEM, "out of memory");
    while (at < end) {
        size_t want = end - at < (off_t)BLOCK ? (size_t)(end - at) : BLOCK;
        ssize_t n = pread(from, block, want, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "read");
        if (n == 0)
            return 0;
        if (lseek(to, at, SEEK_SET) < 0)
            return error_errno(err, errno, "seek");
        if (fs_write_all(to, block, (size_t)n, err) < 0)
            return -1;
        at += n;
    }
    return 0;
}

/* From at to end; the kernel does it where it can. */
static int copy_range(int from, int to, off_t at, off_t end, struct error *err)
{
    while (at < end) {
        off_t in = at, out = at;
        ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
            return error_errno(err, errno, "write");
        if (n <= 0) /* not between these filesystems, or it says nothing is there */
            return copy_by_hand(from, to, at, end, err);
        at += n;
    }
    return 0;
}

static int copy_sparse(int from, int to, off_t size, struct error *err)
{
    off_t at = 0;

    while (at < size) {
        off_t data = lseek(from, at, SEEK_DATA), hole;

        if (data < 0 && errno == ENXIO)
            break;
        hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return copy_range(from, to, at, size, err);
        if (copy_range(from, to, data, hole < size ? hole : size, err) < 0)
            return -1;
        at = hole;
    }
    return 0;
}

int copy_content(int from, int to, const struct stat *st, const char *path, struct error *err)
{
    bool sparse = st->st_blocks < st->st_size / 512;
    int result;

    if (st->st_size == 0)
        return 0;
    if (st->st_size > (off_t)BLOCK && ioctl(to, FICLONE, from) == 0)
        return 0;
    if (sparse && ftruncate(to, st->st_size) < 0)
        return error_errno(err, errno, "copy %s", path);
    if (st->st_size <= (off_t)BLOCK && !sparse)
        result = copy_by_hand(from, to, 0, st->st_size, err);
    else if (sparse)
        result = copy_sparse(from, to, st->st_size, err);
    else
        result = copy_range(from, to, 0, st->st_size, err);
    return result < 0 ? error_wrap(err, "copy %s", path) : 0;
}
