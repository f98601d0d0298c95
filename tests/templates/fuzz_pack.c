/* Any bytes as a pack, with checksums made right so that the parser is reached: nothing is read
 * outside of it. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "templates/bytes.h"
#include "templates/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The trailer's two sums are what the bytes have. */
static void make_right(const struct hasher *h, unsigned char *data, size_t size)
{
    unsigned char *t = data + size - PACK_TRAILER_SIZE;
    uint64_t tables = bytes_get64(t);

    if (tables <= size - PACK_TRAILER_SIZE)
        address_put(t + 16, hasher_address(h, data + tables, size - PACK_TRAILER_SIZE - tables));
    bytes_put64(t + 48, hasher_checksum(h, t, 48));
}

static void read_all(const struct hasher *h, struct pack *p)
{
    struct view view = {.hasher = h, .packs = p, .n_packs = 1};
    struct reader reader;
    struct error err = ERROR_INIT;

    (void)!pack_check_tables(h, p, &err);
    if (reader_init(&reader, &view, &err) < 0)
        abort();
    for (uint32_t i = 0; i < p->n_chunks && i < 1000; i++) {
        struct pack_chunk c = pack_chunk(p, i);
        const unsigned char *bytes = NULL;
        uint32_t row;

        (void)pack_find(p, c.address, &row);
        if (reader_chunk(&reader, p, &c, &bytes, &err) == 0 &&
            !hasher_verify(h, c.address, bytes, c.len))
            abort(); /* handed out what is not it */
    }
    reader_release(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hasher h = {.bits = 128};
    CLEANUP_FREE unsigned char *copy = malloc(size + 1);
    struct error err = ERROR_INIT;
    struct pack p;
    int fd = memfd_create("pack", MFD_CLOEXEC);

    memcpy(copy, data, size);
    if (size >= PACK_HEADER_SIZE + PACK_TRAILER_SIZE)
        make_right(&h, copy, size);
    if (fd < 0 || fs_write_all(fd, copy, size, &err) < 0)
        abort();
    if (pack_open(&h, "fuzz", fd, (struct pack_origin){.self = NULL}, &p, &err) < 0)
        return 0;
    read_all(&h, &p);
    pack_close(&p);
    return 0;
}
