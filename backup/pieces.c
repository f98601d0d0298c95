/* backup/pieces — see the header.
 *
 * A file is cut at multiples of BACKUP_CHUNK, so that a volume of which little has changed has
 * mostly chunks that are there. */
#include "backup/pieces.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/manifest.h"
#include "base/fs.h"

struct cutter {
    struct backup_vault *vault;
    struct pieces *out;
    unsigned char *room; /* BACKUP_CHUNK bytes */
    uint64_t zeros;      /* before what is read next */
};

static bool is_zero(const unsigned char *data, size_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

static void flush_zeros(struct cutter *c)
{
    if (c->zeros)
        buf_addf(&c->out->lines, "zeros %llu\n", (unsigned long long)c->zeros);
    c->zeros = 0;
}

static int add(struct cutter *c, const unsigned char *data, size_t len, struct error *err)
{
    char hex[SHA256_HEX];
    bool is_new;

    if (is_zero(data, len)) {
        c->zeros += len;
        return 0;
    }
    flush_zeros(c);
    c->out->bytes += len;
    if (c->out->size <= MANIFEST_TEXT) {
        buf_adds(&c->out->lines, "text ");
        digest_base64(data, len, &c->out->lines);
        buf_addc(&c->out->lines, '\n');
        return 0;
    }
    if (vault_put(c->vault, data, len, hex, &is_new, err) < 0)
        return -1;
    c->out->added += is_new ? len : 0;
    buf_addf(&c->out->lines, "chunk %s %zu\n", hex, len);
    return 0;
}

/* Where the next data is from there on, at a multiple of BACKUP_CHUNK. */
static uint64_t skip_hole(int fd, uint64_t at, uint64_t size)
{
    const off_t data = lseek(fd, (off_t)at, SEEK_DATA);

    if (data < 0)
        return errno == ENXIO ? size : at; /* no more data; or it cannot be told */
    return (uint64_t)data / BACKUP_CHUNK * BACKUP_CHUNK;
}

static int cut(struct cutter *c, int fd, const struct backup_progress *progress, bool *ret_stable,
               struct error *err)
{
    const uint64_t size = c->out->size;

    for (uint64_t at = 0; at < size;) {
        const uint64_t next = skip_hole(fd, at, size);
        const size_t len = (size_t)(size - next < BACKUP_CHUNK ? size - next : BACKUP_CHUNK);
        ssize_t n;

        c->zeros += next - at;
        at = next;
        if (len == 0)
            break;
        n = fs_pread(fd, c->room, len, at);
        if (n < 0)
            return error_errno(err, errno, "read");
        *ret_stable = n == (ssize_t)len;
        if (!*ret_stable)
            return 0;
        if (add(c, c->room, len, err) < 0)
            return -1;
        at += len;
        if (progress)
            progress->report(progress->self, len);
    }
    flush_zeros(c);
    return buf_check(&c->out->lines, "a file's list of chunks", err);
}

int pieces_read(struct backup_vault *v, int fd, const struct backup_progress *progress,
                struct pieces *ret, bool *ret_stable, struct error *err)
{
    CLEANUP_FREE unsigned char *room = malloc(BACKUP_CHUNK);
    struct cutter c = {.vault = v, .out = ret, .room = room};
    struct stat st;

    if (!room)
        return error_set(err, ERR_SYSTEM, "out of memory");
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at it");
    buf_clear(&ret->lines);
    ret->size = (uint64_t)st.st_size;
    ret->bytes = ret->added = 0;
    *ret_stable = true;
    return cut(&c, fd, progress, ret_stable, err);
}
