/* Any bytes as a revision's root (its checksum made right) and as a node of it: entries cover what
 * they should, or it is an error. */
#include <string.h>

#include "templates/bytes.h"
#include "templates/revision_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int follow(void *self, uint64_t offset, const struct entry *e, struct error *err)
{
    uint64_t *at = self;

    (void)err;
    if (offset != *at || e->len == 0)
        abort();
    *at += entry_span(e, offset);
    return 0;
}

static void read_node(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    uint64_t at = IMAGE_BLOCK;

    if (node_walk(data, size, IMAGE_BLOCK, 100 * (uint64_t)IMAGE_BLOCK, follow, &at, &err) == 0 &&
        at != 100 * (uint64_t)IMAGE_BLOCK)
        abort();
}

static void read_root(const uint8_t *data, size_t size)
{
    const struct hasher h = {.bits = 128};
    CLEANUP_FREE unsigned char *copy = malloc(size + 1);
    CLEANUP(buf_release) struct buf again = BUF_INIT(REVISION_FILE_MAX);
    struct revision_root root;
    struct error err = ERROR_INIT;

    memcpy(copy, data, size);
    if (size >= 16)
        bytes_put64(copy + size - 8, hasher_checksum(&h, copy, size - 8));
    if (revision_read(&h, copy, size, &root, &err) == 0 &&
        (revision_write(&h, &root, &again, &err) < 0 || again.len != size ||
         memcmp(again.data, copy, size) != 0))
        abort(); /* what is read is not all there is */
    free(root.nodes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_root(data, size);
    read_node(data, size);
    return 0;
}
