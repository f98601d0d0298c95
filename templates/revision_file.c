/* templates/revision_file — see the header. */
#include "templates/revision_file.h"

#include "templates/bytes.h"

static const char magic[8] = {'K', 'i', 'l', 'n', 'R', 'e', 'v', '\1'};

/* A node ends after one entry in 128, and after NODE_ENTRIES_MAX at last.  Where depends on the
 * entry alone, so that a change moves the ends behind it along. */
#define END_BITS 7

/* ---- entries ---- */

void entry_add(struct buf *node, const struct entry *e)
{
    unsigned char address[ADDRESS_SIZE];

    bytes_add_varint(node, e->len << 2 | (e->pad ? 2u : 0u) | (e->zero ? 1u : 0u));
    if (e->zero)
        return;
    address_put(address, e->address);
    buf_add(node, address, sizeof(address));
}

uint64_t entry_span(const struct entry *e, uint64_t offset)
{
    uint64_t end = offset + e->len;

    return e->pad ? (end + IMAGE_BLOCK - 1) / IMAGE_BLOCK * IMAGE_BLOCK - offset : e->len;
}

bool entry_ends_node(const struct entry *e, size_t n)
{
    uint64_t mixed = (e->address.low ^ e->address.high ^ e->len) * UINT64_C(0x9e3779b97f4a7c15);

    return n >= NODE_ENTRIES_MAX || (!e->zero && mixed >> (64 - END_BITS) == 0);
}

static int bad_node(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "a node of the revision is not one");
}

int node_walk(const void *data, size_t len, uint64_t start, uint64_t end,
              int (*each)(void *self, uint64_t offset, const struct entry *e, struct error *err),
              void *self, struct error *err)
{
    struct bytes b = {.p = data, .left = len};

    for (size_t n = 0; b.left > 0; n++) {
        uint64_t head = bytes_take_varint(&b);
        struct entry e = {.zero = head & 1, .pad = head & 2, .len = head >> 2};
        const unsigned char *address = e.zero ? NULL : bytes_take(&b, ADDRESS_SIZE);

        if (b.bad || n >= NODE_ENTRIES_MAX || e.len == 0 || e.len > end - start ||
            entry_span(&e, start) > end - start)
            return bad_node(err);
        if (address)
            e.address = address_get(address);
        if (each(self, start, &e, err) < 0)
            return -1;
        start += entry_span(&e, start);
    }
    return start == end ? 0 : bad_node(err);
}

/* ---- roots ---- */

/* The numbers of a root, in the order of the file. */
#define NUMBERS 13
static void numbers_of(struct template_revision_info *i, uint64_t *ret[NUMBERS])
{
    uint64_t *all[NUMBERS] = {(uint64_t *)&i->created,
                              &i->image_size,
                              &i->content_size,
                              &i->files,
                              &i->directories,
                              &i->symlinks,
                              &i->default_size_mb,
                              &i->bytes_added,
                              &i->bytes_new,
                              &i->bytes_shared,
                              &i->bytes_zero,
                              &i->chunks,
                              &i->min_size};

    memcpy(ret, all, sizeof(all));
}

static int digest_from_hex(const char *hex, unsigned char out[SHA256_SIZE])
{
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        unsigned value;

        if (sscanf(hex + 2 * i, "%2x", &value) != 1)
            return -1;
        out[i] = (unsigned char)value;
    }
    return 0;
}

int revision_write(const struct hasher *h, const struct revision_root *root, struct buf *out,
                   struct error *err)
{
    struct template_revision_info info = root->info;
    unsigned char digest[SHA256_SIZE], address[ADDRESS_SIZE];
    uint64_t *numbers[NUMBERS];

    if (digest_from_hex(info.digest, digest) < 0)
        return error_set(err, ERR_SYSTEM, "write the revision: it has no digest");
    buf_add(out, magic, sizeof(magic));
    numbers_of(&info, numbers);
    for (size_t i = 0; i < NUMBERS; i++)
        bytes_add_varint(out, *numbers[i]);
    buf_add(out, digest, sizeof(digest));
    bytes_add_varint(out, root->n_nodes);
    for (size_t i = 0; i < root->n_nodes; i++) {
        bytes_add_varint(out, root->nodes[i + 1].start - root->nodes[i].start);
        address_put(address, root->nodes[i].address);
        buf_add(out, address, sizeof(address));
    }
    bytes_add64(out, hasher_checksum(h, buf_str(out), out->len));
    return buf_check(out, "the revision", err);
}

static int damaged(struct error *err, const char *what)
{
    return error_set(err, ERR_SYSTEM, "the revision's file is damaged: %s", what);
}

static int read_nodes(struct bytes *b, struct revision_root *ret, struct error *err)
{
    uint64_t n = bytes_take_varint(b);
    uint64_t start = 0;

    if (b->bad || n > b->left / (ADDRESS_SIZE + 1))
        return damaged(err, "it has fewer nodes than it says");
    ret->nodes = calloc(n + 1, sizeof(*ret->nodes));
    if (!ret->nodes)
        return error_set(err, ERR_SYSTEM, "read the revision: out of memory");
    ret->n_nodes = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t span = bytes_take_varint(b);
        const unsigned char *address = bytes_take(b, ADDRESS_SIZE);

        if (!address || span == 0 || span > ret->info.image_size - start)
            return damaged(err, "its nodes are longer than the image");
        ret->nodes[i] = (struct node_ref){.start = start, .address = address_get(address)};
        start += span;
    }
    ret->nodes[n].start = start;
    if (start != ret->info.image_size || b->left != 0)
        return damaged(err, "its nodes are not as long as the image");
    return 0;
}

int revision_read(const struct hasher *h, const void *data, size_t len, struct revision_root *ret,
                  struct error *err)
{
    struct bytes b = {.p = data, .left = len};
    uint64_t *numbers[NUMBERS];
    const unsigned char *p;

    *ret = (struct revision_root){.n_nodes = 0};
    if (len < sizeof(magic) + 8 || memcmp(data, magic, sizeof(magic)) != 0)
        return damaged(err, "it does not begin as one of version 1");
    b.left -= 8;
    if (bytes_get64(b.p + b.left) != hasher_checksum(h, data, b.left))
        return damaged(err, "its bytes are not those that were written");
    (void)bytes_take(&b, sizeof(magic));
    numbers_of(&ret->info, numbers);
    for (size_t i = 0; i < NUMBERS; i++)
        *numbers[i] = bytes_take_varint(&b);
    p = bytes_take(&b, SHA256_SIZE);
    if (!p || ret->info.image_size > IMAGE_MAX || ret->info.image_size % IMAGE_BLOCK != 0)
        return damaged(err, "its numbers are impossible");
    digest_hex(p, SHA256_SIZE, ret->info.digest);
    return read_nodes(&b, ret, err);
}
