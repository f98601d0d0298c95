/* templates/image_plan — how large the file system must be, and making it, empty.
 *
 * The size follows from the tree: its blocks, what ext4 needs to describe so many, a journal, and a
 * little that is free.  What ext4 needs depends on the size, so the plan is made again until it
 * fits; a file system of 1 GB has ten groups and that is soon done. */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <string.h>

#include "templates/ext2_channel.h"
#include "templates/image.h"

#define INODE_SIZE      256u
#define BYTES_PER_INODE 16384u /* mke2fs's ratio: a grown volume gets its inodes by it */
#define INODES_FREE     128u
#define GROUP_INODES    32000u /* a block has 32768 bits; their number is rounded */
#define GROUP_BLOCKS    32768u
#define GROUP_MIN       4096u   /* of the last one: its inode table, and some */
#define JOURNAL_SMALL   4096u   /* blocks: 16 MiB, zeros in the store */
#define LARGE_IMAGE     262144u /* blocks from which mke2fs's own choice is taken */
#define FREE_MIN        256u    /* blocks */
#define TIME            1       /* of the file system's making: the same for all */

/* Name and hash seed of every image: a volume is told apart by its file, not by its UUID, and equal
 * contents give equal images. */
const unsigned char image_uuid[16] = {0x6b, 0x69, 0x6c, 0x6e, 0x76, 0x6f, 0x4c, 0x75,
                                      0xad, 0x65, 0x74, 0x65, 0x6d, 0x70, 0x6c, 0x74};

/* ---- what the tree takes ---- */

static uint64_t blocks_of(uint64_t bytes)
{
    return (bytes + IMAGE_BLOCK - 1) / IMAGE_BLOCK;
}

/* A piece is at most 32768 blocks long, and every group may hold something that splits it. */
static uint64_t extent_blocks(uint64_t blocks, uint64_t segments)
{
    uint64_t extents = segments * 2 + blocks / 16384 + 2;

    return extents <= 4 ? 0 : extents / 340 + 2 + extents / 100000;
}

static void add_file(struct build *b, const struct node *n)
{
    const struct extra *x = &b->tree->extras[n->extra];
    uint64_t blocks = 0;

    if (n->extra == 0 || !x->sparse)
        blocks = blocks_of(n->size);
    else
        for (uint32_t i = 0; i < x->n_segments; i++) {
            const struct segment *s = &b->tree->segments[x->segments + i];

            blocks += blocks_of(s->offset + s->len) - s->offset / IMAGE_BLOCK;
        }
    b->data_blocks += blocks;
    b->other_blocks += extent_blocks(blocks, n->extra ? x->n_segments : 0);
}

static int measure(struct build *b, struct error *err)
{
    const struct tree *t = b->tree;

    b->inodes = EXT2_GOOD_OLD_FIRST_INO - 1;
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        const struct node *n = &t->nodes[i];
        uint32_t blocks = 0;

        b->inodes += n->type != NODE_HARDLINK;
        b->other_blocks += n->extra && t->extras[n->extra].n_xattrs ? 1 : 0;
        if (n->type == NODE_DIRECTORY && image_directory_blocks(t, i, &blocks, err) < 0)
            return -1;
        b->dir_blocks += blocks;
        if (n->type == NODE_SYMLINK && n->size >= EXT2_N_BLOCKS * 4)
            b->other_blocks++;
        if (n->type == NODE_FILE)
            add_file(b, n);
    }
    return 0;
}

/* ---- an empty file system ---- */

int image_failed(struct error *err, long code, const char *what)
{
    return error_set(err, ERR_SYSTEM, "%s: %s", what, ext2_text(code));
}

static void set_features(struct ext2_super_block *s)
{
    s->s_rev_level = EXT2_DYNAMIC_REV;
    s->s_log_block_size = 2;
    s->s_log_cluster_size = 2;
    s->s_inode_size = INODE_SIZE;
    s->s_log_groups_per_flex = 4;
    s->s_feature_compat = EXT3_FEATURE_COMPAT_HAS_JOURNAL | EXT2_FEATURE_COMPAT_EXT_ATTR |
                          EXT2_FEATURE_COMPAT_RESIZE_INODE | EXT2_FEATURE_COMPAT_DIR_INDEX;
    s->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
                            EXT4_FEATURE_INCOMPAT_FLEX_BG;
    s->s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
                             EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
                             EXT4_FEATURE_RO_COMPAT_GDT_CSUM | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
                             EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE;
}

static void set_identity(ext2_filsys fs)
{
    struct ext2_super_block *s = fs->super;

    fs->now = TIME;
    s->s_mkfs_time = s->s_lastcheck = s->s_wtime = TIME;
    memcpy(s->s_uuid, image_uuid, sizeof(s->s_uuid));
    memcpy(s->s_hash_seed, image_uuid, sizeof(s->s_hash_seed));
    s->s_def_hash_version = EXT2_HASH_HALF_MD4;
    s->s_flags |= EXT2_FLAGS_UNSIGNED_HASH;
    s->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
    s->s_max_mnt_count = -1;
    s->s_checkinterval = 0;
    s->s_r_blocks_count = 0;
    s->s_creator_os = EXT2_OS_LINUX;
}

static void reserve_inodes(ext2_filsys fs)
{
    for (ext2_ino_t i = EXT2_BAD_INO; i < EXT2_FIRST_INODE(fs->super); i++)
        if (i != EXT2_ROOT_INO)
            ext2fs_inode_alloc_stats2(fs, i, 1, 0);
    ext2fs_mark_ib_dirty(fs);
}

static int make_tables(ext2_filsys fs, uint64_t blocks, struct error *err)
{
    int journal = blocks < LARGE_IMAGE ? (int)JOURNAL_SMALL : ext2fs_default_journal_size(blocks);
    errcode_t code;

    code = ext2fs_allocate_tables(fs);
    if (code)
        return image_failed(err, code, "lay out the image's tables");
    for (dgrp_t i = 0; i < fs->group_desc_count; i++)
        ext2fs_bg_flags_set(fs, i, EXT2_BG_INODE_ZEROED);
    reserve_inodes(fs);
    code = ext2fs_create_resize_inode(fs);
    if (code)
        return image_failed(err, code, "write what the image needs to grow");
    code = ext2fs_add_journal_inode2(fs, (blk_t)journal, 1, EXT2_MKJOURNAL_NO_MNT_CHECK);
    return code ? image_failed(err, code, "make the image's journal") : 0;
}

/* *ret_missing: blocks that would be needed besides; 0: it fits, and fs is there. */
static int try_size(struct build *b, struct image_io *io, uint64_t blocks, uint64_t *ret_missing,
                    struct error *err)
{
    struct ext2_super_block param = {.s_blocks_count = 0};
    uint64_t inodes = blocks / (BYTES_PER_INODE / IMAGE_BLOCK);
    uint64_t need = b->dir_blocks + b->other_blocks + b->data_blocks;
    uint64_t wanted = need + (need / 128 > FREE_MIN ? need / 128 : FREE_MIN);
    uint64_t there;
    errcode_t code;

    set_features(&param);
    ext2fs_blocks_count_set(&param, blocks);
    if (inodes < (uint64_t)b->inodes + INODES_FREE)
        inodes = (uint64_t)b->inodes + INODES_FREE;
    param.s_inodes_count = (uint32_t)inodes;
    free(b->image->written);
    b->image->n_blocks = blocks;
    b->image->written = calloc(1, blocks / 8 + 1);
    if (!b->image->written)
        return error_set(err, ERR_SYSTEM, "make the image: out of memory");
    if (ftruncate(b->image->fd, 0) < 0)
        return error_errno(err, errno, "make the image");
    code = ext2fs_initialize(io->name, EXT2_FLAG_64BITS, &param,
                             (io_manager)(uintptr_t)image_io_manager(), &b->fs);
    if (code == EXT2_ET_TOO_MANY_INODES)
        return error_set(err, ERR_LIMIT, "the archive has more entries than ext4 has inodes for");
    if (code)
        return image_failed(err, code, "make an ext4 image");
    set_identity(b->fs);
    if (make_tables(b->fs, blocks, err) < 0)
        return -1;
    there = ext2fs_free_blocks_count(b->fs->super);
    *ret_missing = there < wanted ? wanted - there : 0;
    return 0;
}

int image_plan(struct build *b, struct image_io *io, struct error *err)
{
    uint64_t blocks, groups, missing = 1;

    if (measure(b, err) < 0)
        return -1;
    blocks = b->dir_blocks + b->other_blocks + b->data_blocks + 2 * JOURNAL_SMALL;
    /* A group has one bitmap block for its inodes.  Hundreds of thousands of empty files take
     * groups that are empty, too, and cost the store nothing. */
    groups = ((uint64_t)b->inodes + INODES_FREE) / GROUP_INODES + 1;
    if (groups > 1 && blocks < (groups - 1) * GROUP_BLOCKS + GROUP_MIN)
        blocks = (groups - 1) * GROUP_BLOCKS + GROUP_MIN;
    for (unsigned tries = 0; missing > 0; tries++) {
        if (tries > 0)
            blocks += missing + missing / 64;
        if (b->fs)
            ext2fs_free(b->fs);
        b->fs = NULL;
        /* ext4 drops a last group too short for its own tables. */
        if (blocks % GROUP_BLOCKS != 0 && blocks % GROUP_BLOCKS < 1024)
            blocks += 1024;
        if (blocks > IMAGE_MAX / IMAGE_BLOCK || tries > 100)
            return error_set(
                err, ERR_LIMIT,
                "the image would have %llu MB and %u inodes: more than ext4 with 4 KiB blocks "
                "holds",
                (unsigned long long)(blocks * IMAGE_BLOCK / 1000000), b->inodes);
        if (try_size(b, io, blocks, &missing, err) < 0)
            return -1;
    }
    b->image->n_blocks = ext2fs_blocks_count(b->fs->super);
    return 0;
}
