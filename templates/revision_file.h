/* templates/revision_file — the format of a revision: a root with what is known of it, and nodes
 * that list its image from the first byte to the last.  Specified in docs/template-format.md. */
#ifndef TEMPLATES_REVISION_FILE_H
#define TEMPLATES_REVISION_FILE_H

#include "templates/address.h"
#include "templates/templates.h"

#define IMAGE_BLOCK       4096u
#define NODE_ENTRIES_MAX  1024u
#define NODE_MAX          (NODE_ENTRIES_MAX * 30)
#define IMAGE_MAX         (UINT64_C(1) << 44) /* 16 TiB: ext4 with 32-bit block numbers */
#define REVISION_FILE_MAX (256u << 20)

/* A piece of an image.  Each begins where the one before ended. */
struct entry {
    bool zero; /* and no address */
    bool pad;  /* zeros follow up to the next whole block */
    uint64_t len;
    struct address address;
};

struct node_ref {
    uint64_t start; /* byte of the image */
    struct address address;
};

struct revision_root {
    struct template_revision_info info; /* without ref */
    struct node_ref *nodes;             /* n_nodes + 1: the last one starts at the end */
    size_t n_nodes;
};

void entry_add(struct buf *node, const struct entry *e);

/* Bytes of the image that e covers when it begins at offset. */
uint64_t entry_span(const struct entry *e, uint64_t offset);

/* Whether a node ends after this entry, as the nth of it. */
bool entry_ends_node(const struct entry *e, size_t n);

/* Calls each for every entry.  ERR_SYSTEM when these are no entries that cover exactly the bytes
 * from start to end. */
MUST_CHECK int node_walk(const void *data, size_t len, uint64_t start, uint64_t end,
                         int (*each)(void *self, uint64_t offset, const struct entry *e,
                                     struct error *err),
                         void *self, struct error *err);

MUST_CHECK int revision_write(const struct hasher *h, const struct revision_root *root,
                              struct buf *out, struct error *err);
/* ret->nodes is the caller's to free, also on -1. */
MUST_CHECK int revision_read(const struct hasher *h, const void *data, size_t len,
                             struct revision_root *ret, struct error *err);

#endif
