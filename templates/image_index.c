/* templates/image_index — the hash tree of a large directory
 * (Documentation/filesystems/ext4/directory.rst, "Hash Tree Directories").
 *
 * Entries lie in leaves in the order of their names' hashes; the root, and nodes between it and the
 * leaves where it does not suffice, say at which hash each leaf begins.  So the kernel finds a name
 * in two or three blocks.  The hash's seed is a constant, so the tree is a function of the names.
 *
 *   block 0    the root
 *   then       leaves, as full as can be
 *   then       nodes, if any */
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <string.h>

#include "templates/bytes.h"
#include "templates/image.h"

#define ROOT_INFO  24 /* in the root: behind "." and ".." */
#define ROOT_LIST  32
#define NODE_LIST  8 /* behind an entry that spans the block and is none */
#define ROW_SIZE   8 /* of a list; in the first, limit and count stand for the hash */
#define ROOT_LIMIT ((IMAGE_BLOCK - ROOT_LIST) / ROW_SIZE)
#define NODE_LIMIT ((IMAGE_BLOCK - NODE_LIST) / ROW_SIZE)

static int compare(const void *a, const void *b)
{
    const struct indexed *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    /* Children are numbered in the order of their names. */
    return x->child < y->child ? -1 : x->child > y->child;
}

static int hash_names(const struct tree *t, const struct node *d, struct image_index *x,
                      struct error *err)
{
    uint32_t seed[4];

    memcpy(seed, image_uuid, sizeof(seed));
    for (uint32_t i = 0; i < d->n_children; i++) {
        const uint32_t node = t->order[d->child + i];
        ext2_dirhash_t hash = 0;
        errcode_t code = ext2fs_dirhash(EXT2_HASH_HALF_MD4_UNSIGNED, nodes_name(t, node),
                                        t->nodes[node].name_len, seed, &hash, NULL);

        if (code)
            return image_failed(err, code, "index a directory");
        x->entries[i] = (struct indexed){.hash = hash, .child = i};
    }
    qsort(x->entries, d->n_children, sizeof(*x->entries), compare);
    return 0;
}

/* Where names of one hash go on in a further leaf, the lowest bit says so. */
static void cut_leaves(const struct tree *t, const struct node *d, struct image_index *x)
{
    uint32_t used = IMAGE_BLOCK;

    for (uint32_t i = 0; i < d->n_children; i++) {
        const uint32_t node = t->order[d->child + x->entries[i].child];
        const uint32_t size = image_entry_size(t->nodes[node].name_len);
        const bool goes_on = i > 0 && x->entries[i - 1].hash == x->entries[i].hash;

        if (used + size > IMAGE_BLOCK) {
            x->leaves[x->n_leaves++] =
                (struct leaf){.first = i, .hash = x->entries[i].hash | goes_on};
            used = 0;
        }
        used += size;
    }
    x->leaves[x->n_leaves] = (struct leaf){.first = d->n_children};
}

int image_index_plan(const struct tree *t, uint32_t node, struct image_index *ret,
                     struct error *err)
{
    const struct node *d = &t->nodes[node];

    *ret = (struct image_index){.n_leaves = 0};
    ret->entries = calloc((size_t)d->n_children + 1, sizeof(*ret->entries));
    ret->leaves = calloc((size_t)d->n_children + 1, sizeof(*ret->leaves));
    if (!ret->entries || !ret->leaves || hash_names(t, d, ret, err) < 0) {
        const bool failed = ret->entries && ret->leaves;

        image_index_release(ret);
        return failed ? -1 : error_set(err, ERR_SYSTEM, "make the image: out of memory");
    }
    cut_leaves(t, d, ret);
    if (ret->n_leaves > ROOT_LIMIT)
        ret->n_nodes = (ret->n_leaves + NODE_LIMIT - 1) / NODE_LIMIT;
    if (ret->n_nodes > ROOT_LIMIT) {
        image_index_release(ret);
        return error_set(err, ERR_LIMIT, "a directory of %u entries is larger than ext4 indexes",
                         d->n_children);
    }
    return 0;
}

void image_index_release(struct image_index *x)
{
    free(x->entries);
    free(x->leaves);
    *x = (struct image_index){.n_leaves = 0};
}

static void put_list_head(unsigned char *list, size_t limit, size_t count)
{
    bytes_put32(list, (uint32_t)(count << 16 | limit));
}

/* Leaves from `first` on, at most a node's full: how many. */
static uint32_t put_leaves(const struct image_index *x, uint32_t first, size_t limit,
                           unsigned char *list)
{
    uint32_t n = x->n_leaves - first;

    n = n < limit ? n : (uint32_t)limit;
    for (uint32_t i = 0; i < n; i++) {
        bytes_put32(list + (size_t)i * ROW_SIZE, x->leaves[first + i].hash);
        bytes_put32(list + (size_t)i * ROW_SIZE + 4, 1 + first + i);
    }
    put_list_head(list, limit, n);
    return n;
}

void image_index_put_root(const struct image_index *x, unsigned char block[IMAGE_BLOCK])
{
    const struct ext2_dx_root_info info = {.hash_version = EXT2_HASH_HALF_MD4,
                                           .info_length = sizeof(info),
                                           .indirect_levels = x->n_nodes > 0};
    unsigned char *list = block + ROOT_LIST;

    memcpy(block + ROOT_INFO, &info, sizeof(info));
    if (x->n_nodes == 0) {
        (void)put_leaves(x, 0, ROOT_LIMIT, list);
        return;
    }
    for (uint32_t i = 0; i < x->n_nodes; i++) {
        bytes_put32(list + (size_t)i * ROW_SIZE, x->leaves[(size_t)i * NODE_LIMIT].hash);
        bytes_put32(list + (size_t)i * ROW_SIZE + 4, 1 + x->n_leaves + i);
    }
    put_list_head(list, ROOT_LIMIT, x->n_nodes);
}

void image_index_put_node(const struct image_index *x, uint32_t i, unsigned char block[IMAGE_BLOCK])
{
    const uint16_t length = IMAGE_BLOCK;

    memset(block, 0, IMAGE_BLOCK);
    memcpy(block + 4, &length, sizeof(length));
    (void)put_leaves(x, i * (uint32_t)NODE_LIMIT, NODE_LIMIT, block + NODE_LIST);
}
