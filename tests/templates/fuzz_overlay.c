/* Any bytes as the overlay of a volume (its checksum made right, if the input says so): it is
 * refused with a reason, or reads as its bitmap says, and what is written to it is there after it
 * was opened again. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "fixture.h"
#include "templates/bytes.h"
#include "templates/overlay_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WINDOW 65536u /* bytes of the volume that are looked at */

enum { RIGHT_SUM = 1, RIGHT_REVISION = 2 };

struct target {
    struct template_store *store;
    struct template_pack_report report;
};

/* Made once: it is the same for every input, and takes longer than one. */
static struct target *target(void)
{
    static struct target t;
    struct buf tar = BUF_INIT(1u << 20);
    struct error err = ERROR_INIT;

    if (t.store)
        return &t;
    tar_make(&tar, 3, 12, 9000, 0, 0);
    if (template_store_open_memory(&(struct template_options){.threads = 1}, &t.store, &err) < 0 ||
        pack_tar(t.store, "t", &tar, &t.report, &err) < 0)
        abort();
    buf_release(&tar);
    return &t;
}

/* The input is a byte of flags, the header's summed part, the bitmap's first page, and blocks. */
static int make_file(const struct target *t, const uint8_t *data, size_t size)
{
    unsigned char page[OVERLAY_BLOCK] = {0};
    const unsigned flags = size ? data[0] : 0;
    struct bytes b = {.p = data + (size > 0), .left = size - (size > 0)};
    size_t head = b.left < HEADER_SUMMED ? b.left : HEADER_SUMMED;
    size_t bits;
    int fd = memfd_create("overlay", MFD_CLOEXEC);

    memcpy(page, bytes_take(&b, head), head);
    if (flags & RIGHT_REVISION) {
        memcpy(page, "KilnOvly\1", 9);
        bytes_put64(page + 24, 1);
        memset(page + 32, 0, TEMPLATE_NAME);
        page[32] = 't';
        memcpy(page + 96, t->report.digest, SHA256_HEX);
    }
    if (flags & RIGHT_SUM)
        digest_sha256(page, HEADER_SUMMED, page + HEADER_SUMMED);
    bits = b.left < OVERLAY_BLOCK ? b.left : OVERLAY_BLOCK;
    if (fd < 0 || fs_pwrite(fd, page, sizeof(page), 0) < 0 ||
        fs_pwrite(fd, bytes_take(&b, bits), bits, BITMAP_AT) < 0 ||
        fs_pwrite(fd, b.p, b.left, BLOCKS_AT) < 0)
        abort();
    return fd;
}

/* The names that it gives become parts of paths. */
static void check_header(const char *path)
{
    struct overlay o;
    struct error err = ERROR_INIT;
    bool there = false;

    if (overlay_open(path, &o, &there, &err) < 0) {
        if (err.kind == ERR_NONE || err.msg[0] == '\0')
            abort();
        return;
    }
    if (!there || strchr(o.header.ref.name, '/') || strchr(o.header.holder, '/') ||
        o.header.ref.name[0] == '\0' || o.header.holder[0] == '\0')
        abort();
    overlay_release(&o);
}

static struct template_disk *open_disk(const struct target *t, const char *path)
{
    struct template_disk_request req = {.overlay = path};
    struct template_disk *d = NULL;
    struct error err = ERROR_INIT;

    if (template_disk_open(t->store, &req, &d, &err) == 0)
        return d;
    if (err.kind == ERR_NONE || err.msg[0] == '\0')
        abort();
    return NULL;
}

static void read_window(struct template_disk *d, unsigned char *data, size_t len)
{
    struct error err = ERROR_INIT;

    if (template_disk_read(d, 0, data, len, &err) < 0)
        abort(); /* nothing of the store is damaged */
    for (uint64_t at = 0, n = 0; at < len; at += n) {
        bool zero = false;

        if (template_disk_extent(d, at, len - at, &n, &zero, &err) < 0 || n == 0)
            abort();
        for (uint64_t i = 0; zero && i < n; i++)
            if (data[at + i])
                abort();
    }
}

/* Odd places, so that blocks are written in part; the last byte too. */
static void use(const struct target *t, const char *path)
{
    CLEANUP_FREE unsigned char *before = calloc(1, WINDOW), *after = calloc(1, WINDOW);
    struct template_disk *d = open_disk(t, path);
    struct error err = ERROR_INIT;
    uint64_t size;
    size_t len;

    if (!d)
        return;
    size = template_disk_info(d)->size;
    len = size < WINDOW ? (size_t)size : WINDOW;
    read_window(d, before, len);
    for (size_t at = 77; at + 6000 < len; at += 20011) {
        memset(before + at, 'w', 6000);
        if (template_disk_write(d, at, before + at, 6000, &err) < 0)
            abort();
    }
    if (template_disk_zero(d, size - 1, 1, &err) < 0 || template_disk_flush(d, &err) < 0)
        abort();
    if (size - 1 < len)
        before[size - 1] = 0;
    template_disk_free(d);
    d = open_disk(t, path);
    if (!d)
        abort();
    read_window(d, after, len);
    if (memcmp(before, after, len) != 0)
        abort();
    template_disk_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct target *t = target();
    char path[40];
    int fd = make_file(t, data, size);

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    check_header(path);
    use(t, path);
    close(fd);
    return 0;
}
