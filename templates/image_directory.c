/* templates/image_directory — the content of a directory: what fits into a block in the order of
 * the names, more than that in the order of an index (image_index). */
#include <ext2fs/ext2fs.h>
#include <string.h>

#include "templates/bytes.h"
#include "templates/image.h"

uint32_t image_entry_size(size_t name_len)
{
    return (uint32_t)(8 + name_len + 3) & ~3u;
}

static bool fits_a_block(const struct tree *t, const struct node *d)
{
    uint32_t used = image_entry_size(1) + image_entry_size(2);

    for (uint32_t i = 0; i < d->n_children && used <= IMAGE_BLOCK; i++)
        used += image_entry_size(t->nodes[t->order[d->child + i]].name_len);
    return used <= IMAGE_BLOCK;
}

int image_directory_blocks(const struct tree *t, uint32_t node, uint32_t *ret, struct error *err)
{
    struct image_index x;

    *ret = 1;
    if (fits_a_block(t, &t->nodes[node]))
        return 0;
    if (image_index_plan(t, node, &x, err) < 0)
        return -1;
    *ret = 1 + x.n_leaves + x.n_nodes;
    image_index_release(&x);
    return 0;
}

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

static int write_block(struct filling *f, struct error *err)
{
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

/* The last entry reaches to the end of the block. */
static void end_entries(struct filling *f)
{
    uint16_t length = (uint16_t)(IMAGE_BLOCK - f->last);

    memcpy(f->block + f->last + 4, &length, sizeof(length));
}

static void add(struct filling *f, uint32_t inode, uint8_t type, const char *name, size_t len)
{
    uint16_t size = (uint16_t)image_entry_size(len);

    f->last = f->used;
    bytes_put32(f->block + f->last, inode);
    memcpy(f->block + f->last + 4, &size, sizeof(size));
    f->block[f->last + 6] = (unsigned char)len;
    f->block[f->last + 7] = type;
    memcpy(f->block + f->last + 8, name, len);
    f->used += size;
}

static void add_child(struct filling *f, const struct node *d, uint32_t i)
{
    const struct tree *t = f->build->tree;
    const uint32_t child = t->order[d->child + i];
    const struct node *n = &t->nodes[child];
    const struct node *target = n->type == NODE_HARDLINK ? &t->nodes[n->data] : n;

    add(f, target->inode, type_of(target), nodes_name(t, child), n->name_len);
}

/* The block with the root is begun. */
static int write_index(struct filling *f, const struct node *d, const struct image_index *x,
                       struct error *err)
{
    image_index_put_root(x, f->block);
    if (write_block(f, err) < 0)
        return -1;
    for (uint32_t leaf = 0; leaf < x->n_leaves; leaf++) {
        for (uint32_t i = x->leaves[leaf].first; i < x->leaves[leaf + 1].first; i++)
            add_child(f, d, x->entries[i].child);
        end_entries(f);
        if (write_block(f, err) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        image_index_put_node(x, i, f->block);
        if (write_block(f, err) < 0)
            return -1;
    }
    return 0;
}

int image_write_directory(struct build *b, uint32_t node, const struct run *runs, struct error *err)
{
    const struct node *d = &b->tree->nodes[node];
    struct filling f = {.build = b, .run = runs};
    struct image_index x;
    int result;

    add(&f, d->inode, EXT2_FT_DIR, ".", 1);
    add(&f, b->tree->nodes[d->parent].inode, EXT2_FT_DIR, "..", 2);
    if (fits_a_block(b->tree, d)) {
        for (uint32_t i = 0; i < d->n_children; i++)
            add_child(&f, d, i);
        end_entries(&f);
        return write_block(&f, err);
    }
    end_entries(&f);
    if (image_index_plan(b->tree, node, &x, err) < 0)
        return -1;
    result = write_index(&f, d, &x, err);
    image_index_release(&x);
    return result;
}
