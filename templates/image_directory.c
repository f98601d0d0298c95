/* templates/image_directory — the content of a directory: entries in the order of their names,
 * filling one block after the other. */
#include <ext2fs/ext2fs.h>
#include <string.h>

#include "templates/bytes.h"
#include "templates/image.h"

struct filling {
    struct build *build;
    const struct run *run; /* where the blocks are */
    uint32_t taken;        /* of the run */
    unsigned char block[IMAGE_BLOCK];
    uint32_t used; /* bytes */
    uint32_t last; /* where the last entry begins */
};

static uint8_t type_of(const struct node *n)
{
    return n->type == NODE_DIRECTORY ? EXT2_FT_DIR
           : n->type == NODE_SYMLINK ? EXT2_FT_SYMLINK
                                     : EXT2_FT_REG_FILE;
}

/* The last entry reaches to the end of the block. */
static int flush(struct filling *f, struct error *err)
{
    uint16_t length = (uint16_t)(IMAGE_BLOCK - f->last);

    memcpy(f->block + f->last + 4, &length, sizeof(length));
    if (image_write_block(f->build, f->run->block + f->taken, f->block, err) < 0)
        return -1;
    if (++f->taken == f->run->count) {
        f->run++;
        f->taken = 0;
    }
    memset(f->block, 0, sizeof(f->block));
    f->used = f->last = 0;
    return 0;
}

static int add(struct filling *f, uint32_t inode, uint8_t type, const char *name, size_t len,
               struct error *err)
{
    uint16_t size = (uint16_t)((8 + len + 3) & ~(size_t)3);

    if (f->used + size > IMAGE_BLOCK && flush(f, err) < 0)
        return -1;
    f->last = f->used;
    bytes_put32(f->block + f->last, inode);
    memcpy(f->block + f->last + 4, &size, sizeof(size));
    f->block[f->last + 6] = (unsigned char)len;
    f->block[f->last + 7] = type;
    memcpy(f->block + f->last + 8, name, len);
    f->used += size;
    return 0;
}

int image_write_directory(struct build *b, uint32_t node, const struct run *runs, size_t n_runs,
                          struct error *err)
{
    const struct tree *t = b->tree;
    const struct node *d = &t->nodes[node];
    struct filling f = {.build = b, .run = runs};

    (void)n_runs;
    if (add(&f, d->inode, EXT2_FT_DIR, ".", 1, err) < 0 ||
        add(&f, t->nodes[d->parent].inode, EXT2_FT_DIR, "..", 2, err) < 0)
        return -1;
    for (uint32_t i = 0; i < d->n_children; i++) {
        uint32_t child = t->order[d->child + i];
        const struct node *n = &t->nodes[child];
        const struct node *target = n->type == NODE_HARDLINK ? &t->nodes[n->data] : n;

        if (add(&f, target->inode, type_of(target), nodes_name(t, child), n->name_len, err) < 0)
            return -1;
    }
    return flush(&f, err);
}
