/* templates/image_inode — places for contents, and an inode for each node.
 *
 * libext2fs would read and write a whole block for every inode; here a stretch of the table is
 * filled and written at once.  Block lists are extent trees
 * (Documentation/filesystems/ext4/ifork.rst). */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <string.h>
#include <sys/stat.h>

#include "templates/image.h"

#define EXTENT_MAX   32768u /* blocks of one extent */
#define PER_BLOCK    ((IMAGE_BLOCK - sizeof(struct ext3_extent_header)) / sizeof(struct ext3_extent))
#define IN_INODE     4u
#define FAST_SYMLINK (EXT2_N_BLOCKS * 4)

struct placed {
    struct run *runs;
    size_t n, cap;
    uint64_t blocks; /* of contents and of the extent tree */
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "make the image: out of memory");
}

/* ---- blocks ---- */

int image_take_blocks(struct build *b, uint64_t count, uint64_t *ret_block, uint32_t *ret_count,
                      struct error *err)
{
    blk64_t last = ext2fs_blocks_count(b->fs->super) - 1;
    blk64_t first = 0, end = 0;

    if (count > EXTENT_MAX)
        count = EXTENT_MAX;
    if (b->cursor > last ||
        ext2fs_find_first_zero_block_bitmap2(b->fs->block_map, b->cursor, last, &first))
        return error_set(err, ERR_LIMIT, "make the image: its blocks do not suffice");
    if (count > last - first + 1)
        count = last - first + 1;
    if (count > 1 &&
        ext2fs_find_first_set_block_bitmap2(b->fs->block_map, first, first + count - 1, &end) == 0)
        count = end - first;
    ext2fs_block_alloc_stats_range(b->fs, first, (blk_t)count, 1);
    b->cursor = first + count;
    *ret_block = first;
    *ret_count = (uint32_t)count;
    return 0;
}

static int add_run(struct placed *p, struct run run, struct error *err)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct run *runs = reallocarray(p->runs, cap, sizeof(*runs));

        if (!runs)
            return out_of_memory(err);
        p->runs = runs;
        p->cap = cap;
    }
    p->runs[p->n++] = run;
    p->blocks += run.count;
    return 0;
}

static int place(struct build *b, struct placed *p, uint64_t from, uint64_t count,
                 struct error *err)
{
    while (count > 0) {
        struct run run = {.from = from};

        if (image_take_blocks(b, count, &run.block, &run.count, err) < 0 ||
            add_run(p, run, err) < 0)
            return -1;
        from += run.count;
        count -= run.count;
    }
    return 0;
}

/* Segments that share a block are one. */
static int place_segments(struct build *b, struct placed *p, const struct extra *x,
                          struct error *err)
{
    uint64_t next = 0; /* the first block of the file that has no place yet */

    for (uint32_t i = 0; i < x->n_segments; i++) {
        const struct segment *s = &b->tree->segments[x->segments + i];
        uint64_t from = s->offset / IMAGE_BLOCK;
        uint64_t end = (s->offset + s->len + IMAGE_BLOCK - 1) / IMAGE_BLOCK;

        from = from < next ? next : from;
        if (end > from && place(b, p, from, end - from, err) < 0)
            return -1;
        next = end > next ? end : next;
    }
    return 0;
}

static int place_content(struct build *b, const struct node *n, uint32_t index, struct placed *p,
                         struct error *err)
{
    const struct extra *x = &b->tree->extras[n->extra];
    uint32_t blocks = 0;

    p->n = 0;
    p->blocks = 0;
    if (n->type == NODE_DIRECTORY)
        return image_directory_blocks(b->tree, index, &blocks, err) < 0
                   ? -1
                   : place(b, p, 0, blocks, err);
    if (n->type == NODE_SYMLINK)
        return n->size < FAST_SYMLINK ? 0 : place(b, p, 0, 1, err);
    if (n->extra && x->sparse)
        return place_segments(b, p, x, err);
    return place(b, p, 0, (n->size + IMAGE_BLOCK - 1) / IMAGE_BLOCK, err);
}

/* ---- extent trees ---- */

static void put_header(unsigned char *node, size_t entries, size_t max, unsigned depth)
{
    struct ext3_extent_header h = {.eh_magic = EXT3_EXT_MAGIC,
                                   .eh_entries = (uint16_t)entries,
                                   .eh_max = (uint16_t)max,
                                   .eh_depth = (uint16_t)depth};

    memcpy(node, &h, sizeof(h));
}

static void put_extents(unsigned char *node, const struct run *runs, size_t n, size_t max)
{
    put_header(node, n, max, 0);
    for (size_t i = 0; i < n; i++) {
        struct ext3_extent e = {.ee_block = (uint32_t)runs[i].from,
                                .ee_len = (uint16_t)runs[i].count,
                                .ee_start_hi = (uint16_t)(runs[i].block >> 32),
                                .ee_start = (uint32_t)runs[i].block};

        memcpy(node + sizeof(struct ext3_extent_header) + i * sizeof(e), &e, sizeof(e));
    }
}

/* runs: of nodes one level further down, by the first block of the file in each. */
static void put_indexes(unsigned char *node, const struct run *runs, size_t n, size_t max,
                        unsigned depth)
{
    put_header(node, n, max, depth);
    for (size_t i = 0; i < n; i++) {
        struct ext3_extent_idx e = {.ei_block = (uint32_t)runs[i].from,
                                    .ei_leaf = (uint32_t)runs[i].block,
                                    .ei_leaf_hi = (uint16_t)(runs[i].block >> 32)};

        memcpy(node + sizeof(struct ext3_extent_header) + i * sizeof(e), &e, sizeof(e));
    }
}

/* Writes n runs (depth 0) or nodes into as many blocks as that takes; *ret are those blocks. */
static int write_level(struct build *b, const struct run *runs, size_t n, unsigned depth,
                       struct placed *ret, struct error *err)
{
    for (size_t i = 0; i < n; i += PER_BLOCK) {
        size_t count = n - i < PER_BLOCK ? n - i : PER_BLOCK;
        unsigned char node[IMAGE_BLOCK] = {0};
        struct run at = {.from = runs[i].from};

        if (depth == 0)
            put_extents(node, runs + i, count, PER_BLOCK);
        else
            put_indexes(node, runs + i, count, PER_BLOCK, depth);
        if (image_take_blocks(b, 1, &at.block, &at.count, err) < 0 ||
            image_write_block(b, at.block, node, err) < 0 || add_run(ret, at, err) < 0)
            return -1;
    }
    return 0;
}

static int write_extents(struct build *b, struct placed *p, unsigned char *root, struct error *err)
{
    struct placed levels[2] = {{.n = 0}, {.n = 0}};
    const struct run *runs = p->runs;
    size_t n = p->n;
    unsigned depth = 0;
    int result = 0;

    while (n > IN_INODE && depth < 2 && result == 0) {
        result = write_level(b, runs, n, depth, &levels[depth], err);
        runs = levels[depth].runs;
        n = levels[depth].n;
        p->blocks += n;
        depth++;
    }
    if (result == 0 && n > IN_INODE)
        result = error_set(err, ERR_LIMIT, "make the image: a file has too many holes");
    if (result == 0 && depth == 0)
        put_extents(root, runs, n, IN_INODE);
    else if (result == 0)
        put_indexes(root, runs, n, IN_INODE, depth);
    free(levels[0].runs);
    free(levels[1].runs);
    return result;
}

/* ---- inodes ---- */

static uint16_t links_of(const struct tree *t, const struct node *n)
{
    uint32_t links = 2;

    if (n->type != NODE_DIRECTORY)
        return (uint16_t)n->links;
    for (uint32_t i = 0; i < n->n_children; i++)
        links += t->nodes[t->order[n->child + i]].type == NODE_DIRECTORY;
    return links >= EXT2_LINK_MAX ? 1 : (uint16_t)links;
}

/* Seconds since 1970 in 34 bits: the lower 32, and two more beside the nanoseconds. */
static void put_time(const struct node *n, uint32_t *low, uint32_t *extra)
{
    int64_t seconds = n->mtime;
    int64_t epoch;

    if (seconds < INT32_MIN)
        seconds = INT32_MIN;
    if (seconds > INT64_C(0x37fffffff))
        seconds = INT64_C(0x37fffffff);
    *low = (uint32_t)seconds;
    epoch = (seconds - (int32_t)*low) >> 32;
    *extra = n->nsec << 2 | (uint32_t)(epoch & 3);
}

static void fill_inode(struct build *b, const struct node *n, const struct placed *p,
                       struct ext2_inode_large *ret)
{
    static const uint16_t types[] = {[NODE_DIRECTORY] = LINUX_S_IFDIR,
                                     [NODE_FILE] = LINUX_S_IFREG,
                                     [NODE_SYMLINK] = LINUX_S_IFLNK};
    const struct run *last = n->type == NODE_DIRECTORY ? &p->runs[p->n - 1] : NULL;
    uint64_t size = last ? (last->from + last->count) * IMAGE_BLOCK : n->size;
    uint64_t sectors = p->blocks * (IMAGE_BLOCK / 512);

    ret->i_mode = (uint16_t)(types[n->type] | (n->type == NODE_SYMLINK ? 0777 : n->mode));
    ret->i_uid = (uint16_t)n->uid;
    ret->osd2.linux2.l_i_uid_high = (uint16_t)(n->uid >> 16);
    ret->i_gid = (uint16_t)n->gid;
    ret->osd2.linux2.l_i_gid_high = (uint16_t)(n->gid >> 16);
    ret->i_size = (uint32_t)size;
    ret->i_size_high = (uint32_t)(size >> 32);
    ret->i_blocks = (uint32_t)sectors;
    ret->osd2.linux2.l_i_blocks_hi = (uint16_t)(sectors >> 32);
    ret->i_links_count = links_of(b->tree, n);
    ret->i_extra_isize = (uint16_t)(sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE);
    put_time(n, &ret->i_mtime, &ret->i_mtime_extra);
    ret->i_atime = ret->i_ctime = ret->i_crtime = ret->i_mtime;
    ret->i_atime_extra = ret->i_ctime_extra = ret->i_crtime_extra = ret->i_mtime_extra;
}

static int keep_runs(struct build *b, struct node *n, const struct placed *p, struct error *err)
{
    struct image *m = b->image;

    n->block = 0;
    if (n->type != NODE_FILE || p->n == 0)
        return 0;
    if (p->n == 1 && p->runs[0].from == 0) {
        n->block = p->runs[0].block;
        return 0;
    }
    if (m->n_runs + p->n > m->cap_runs) {
        size_t cap = (m->n_runs + p->n) * 2;
        struct run *runs = reallocarray(m->runs, cap, sizeof(*runs));

        if (!runs)
            return out_of_memory(err);
        m->runs = runs;
        m->cap_runs = cap;
    }
    n->block = RUNS_FLAG | m->n_runs;
    memcpy(m->runs + m->n_runs, p->runs, p->n * sizeof(*p->runs));
    m->n_runs += p->n;
    m->runs[m->n_runs - 1].last = true;
    return 0;
}

/* Content that is metadata, and the list of blocks. */
static int write_content(struct build *b, uint32_t index, struct placed *p,
                         struct ext2_inode_large *inode, struct error *err)
{
    struct node *n = &b->tree->nodes[index];
    const char *target = b->tree->names.data + n->data;
    unsigned char block[IMAGE_BLOCK] = {0};

    if (n->type == NODE_SYMLINK && n->size < FAST_SYMLINK) {
        memcpy(inode->i_block, target, n->size);
        return 0;
    }
    inode->i_flags = EXT4_EXTENTS_FL;
    if (n->type == NODE_DIRECTORY && p->blocks > 1)
        inode->i_flags |= EXT2_INDEX_FL;
    if (write_extents(b, p, (unsigned char *)inode->i_block, err) < 0)
        return -1;
    if (n->type == NODE_SYMLINK) {
        memcpy(block, target, n->size);
        return image_write_block(b, p->runs[0].block, block, err);
    }
    return n->type == NODE_DIRECTORY ? image_write_directory(b, index, p->runs, err) : 0;
}

/* Blocks of an inode table that are being filled. */
#define TABLE_BLOCKS 64u
struct table {
    unsigned char *data;
    uint64_t at;      /* the first of n blocks */
    uint32_t n, used; /* up to where something was put */
};

static int table_flush(struct build *b, struct table *t, struct error *err)
{
    return t->used ? image_write_blocks(b, t->at, t->data, t->used, err) : 0;
}

/* From a block on, as much of its group's table as there is room for. */
static int table_load(struct build *b, struct table *t, uint64_t at, uint32_t left,
                      struct error *err)
{
    errcode_t code;

    if (table_flush(b, t, err) < 0)
        return -1;
    t->at = at;
    t->n = left < TABLE_BLOCKS ? left : TABLE_BLOCKS;
    t->used = 0;
    code = io_channel_read_blk64(b->fs->io, at, (int)t->n, t->data);
    return code ? image_failed(err, code, "read the inode table") : 0;
}

static int put_inode(struct build *b, struct table *t, uint32_t number,
                     const struct ext2_inode_large *inode, struct error *err)
{
    const uint32_t per_group = b->fs->super->s_inodes_per_group;
    const uint32_t size = EXT2_INODE_SIZE(b->fs->super);
    const uint32_t per_block = IMAGE_BLOCK / size;
    const uint32_t place = (number - 1) % per_group;
    const uint64_t at = ext2fs_inode_table_loc(b->fs, (number - 1) / per_group) + place / per_block;

    if ((at < t->at || at >= t->at + t->n) &&
        table_load(b, t, at, b->fs->inode_blocks_per_group - place / per_block, err) < 0)
        return -1;
    memcpy(t->data + (at - t->at) * IMAGE_BLOCK + (size_t)(place % per_block) * size, inode,
           sizeof(*inode));
    if (t->used < at - t->at + 1)
        t->used = (uint32_t)(at - t->at + 1);
    return 0;
}

static int write_inode(struct build *b, struct table *t, struct placed *p, uint32_t index,
                       struct error *err)
{
    struct node *n = &b->tree->nodes[index];
    struct ext2_inode_large inode = {.i_mode = 0};

    if (place_content(b, n, index, p, err) < 0 || keep_runs(b, n, p, err) < 0 ||
        write_content(b, index, p, &inode, err) < 0)
        return -1;
    fill_inode(b, n, p, &inode);
    ext2fs_inode_alloc_stats2(b->fs, n->inode, 1, n->type == NODE_DIRECTORY);
    return put_inode(b, t, n->inode, &inode, err);
}

static void number_inodes(struct tree *t, uint32_t next)
{
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        struct node *n = &t->nodes[t->preorder[i]];

        if (n->type != NODE_HARDLINK)
            n->inode = t->preorder[i] == 0 ? EXT2_ROOT_INO : next++;
    }
}

int image_write_inodes(struct build *b, struct error *err)
{
    struct tree *tree = b->tree;
    struct placed p = {.n = 0};
    struct table t = {.data = malloc((size_t)TABLE_BLOCKS * IMAGE_BLOCK)};
    int result = t.data ? 0 : out_of_memory(err);

    number_inodes(tree, EXT2_FIRST_INODE(b->fs->super));
    /* Directories and links first, so that they lie together before all contents. */
    for (int files = 0; files < 2; files++)
        for (uint32_t i = 0; i < tree->n_nodes && result == 0; i++) {
            uint8_t type = tree->nodes[tree->preorder[i]].type;

            if (type != NODE_HARDLINK && (type == NODE_FILE) == files)
                result = write_inode(b, &t, &p, tree->preorder[i], err);
        }
    if (result == 0)
        result = table_flush(b, &t, err);
    if (result == 0)
        result = image_write_gathered(b, err);
    free(t.data);
    free(p.runs);
    return result;
}
