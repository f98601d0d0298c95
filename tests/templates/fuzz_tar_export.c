/* A volume whose guest wrote anything to it: the input patches the image of a small template, and
 * its files are exported as a tar, or it is an error with a reason. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "fixture.h"
#include "templates/bytes.h"
#include "templates/revision_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum where { SUPERBLOCK, DESCRIPTORS, INODES, ANYWHERE };

#define PATCHES_MAX 64

struct target {
    struct template_store *store;
    uint64_t image_size;
    uint64_t inodes_at; /* bytes */
};

/* Made once: it is the same for every input, and takes longer than one. */
static struct target *target(void)
{
    static struct target t;
    struct template_pack_report report;
    struct template_revision *r = NULL;
    struct buf tar = BUF_INIT(1u << 20);
    struct error err = ERROR_INIT;
    unsigned char descriptor[64];

    if (t.store)
        return &t;
    tar_make(&tar, 3, 12, 9000, 0, 0);
    if (template_store_open_memory(&(struct template_options){.threads = 1}, &t.store, &err) < 0 ||
        pack_tar(t.store, "t", &tar, &report, &err) < 0 ||
        template_revision_open(t.store, &report.ref, &r, &err) < 0 ||
        template_revision_read(r, IMAGE_BLOCK, descriptor, sizeof(descriptor), &err) < 0)
        abort();
    t.image_size = report.image_size;
    t.inodes_at = (uint64_t)bytes_get32(descriptor + 8) * IMAGE_BLOCK;
    template_revision_free(r);
    buf_release(&tar);
    return &t;
}

/* Where the offset of a patch counts from, so that what has a meaning is met often. */
static uint64_t place_of(const struct target *t, uint8_t kind, uint32_t offset)
{
    switch ((enum where)(kind % 4)) {
    case SUPERBLOCK:
        return 1024 + offset % 1024;
    case DESCRIPTORS:
        return IMAGE_BLOCK + offset % 64;
    case INODES:
        return t->inodes_at + offset % (64 * 256);
    case ANYWHERE:
        break;
    }
    return offset % t->image_size;
}

/* Kind, offset of four bytes, length, bytes; and the next. */
static void patch(const struct target *t, struct template_disk *d, const uint8_t *data, size_t size)
{
    struct bytes b = {.p = data, .left = size};
    struct error err = ERROR_INIT;

    for (unsigned i = 0; i < PATCHES_MAX; i++) {
        const unsigned char *head = bytes_take(&b, 6);
        size_t len = head ? head[5] % 32u + 1 : 0;
        const unsigned char *bytes = bytes_take(&b, len);
        uint64_t at = head ? place_of(t, head[0], bytes_get32(head + 1)) : 0;

        if (!bytes)
            return;
        if (at + len <= t->image_size && template_disk_write(d, at, bytes, len, &err) < 0)
            abort();
    }
}

static void export(struct template_disk *d)
{
    CLEANUP_CLOSE int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct error err = ERROR_INIT;

    if (out < 0)
        abort();
    if (template_disk_export_tar(d, out, NULL, &err) < 0 &&
        (err.kind == ERR_NONE || err.kind == ERR_REMOTE || err.msg[0] == '\0'))
        abort(); /* a failure without a reason */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct target *t = target();
    char overlay[] = "/dev/shm/kiln-fuzz-XXXXXX";
    struct template_disk_request req = {.ref = {"t", 1}, .overlay = overlay};
    struct template_disk *d = NULL;
    struct error err = ERROR_INIT;

    if (!mkdtemp(overlay) || rmdir(overlay) < 0 || template_disk_open(t->store, &req, &d, &err) < 0)
        abort();
    patch(t, d, data, size);
    export(d);
    template_disk_free(d);
    if (template_disk_remove(t->store, overlay, &err) < 0)
        abort();
    return 0;
}
