/* templates/image — the ext4 file system that a tree becomes.
 *
 * Only metadata is written, into a file of holes as long as the image; contents get blocks, and
 * come later, from wherever they are.  The layout is a function of the finished tree alone: inodes
 * and contents in canonical order, one file after the other, so that equal trees give equal images
 * and the image can be hashed while contents are read.
 *
 *   block 0…   superblock, descriptors, bitmaps, inode tables, journal, directories, link targets
 *   then       contents, around the superblock copies and the tables of later groups
 *   then       attribute blocks, and some that are free */
#ifndef TEMPLATES_IMAGE_H
#define TEMPLATES_IMAGE_H

#include "templates/revision_file.h"
#include "templates/tree.h"

/* A piece of a file's content, in blocks. */
struct run {
    uint64_t block; /* of the image */
    uint64_t from;  /* of the file */
    uint32_t count;
    bool last; /* of its file */
};

struct image {
    int fd; /* metadata at their places; borrowed */
    uint64_t n_blocks;
    unsigned char *written; /* a bit for each block: it is metadata */
    struct run *runs;       /* of the files that are in more than one piece, in canonical order */
    size_t n_runs;
    size_t cap_runs;
};

/* node.block of a file: its first block, or RUNS_FLAG and the index of the first of its runs.  A
 * file without blocks has 0. */
#define RUNS_FLAG (UINT64_C(1) << 63)

/* fd: an empty file to write to.  Sets inode and block in the nodes.  ERR_LIMIT when ext4 cannot
 * hold it. */
MUST_CHECK int image_build(struct tree *t, int fd, struct image *ret, struct error *err);
void image_release(struct image *m);

static inline bool image_is_written(const struct image *m, uint64_t block)
{
    return m->written[block / 8] >> (block % 8) & 1;
}

/* ---- between the files of the image ---- */

/* libext2fs, known to image*.c, to ext2_channel.c and to disk_tar.c. */
struct struct_ext2_filsys;
struct build {
    struct tree *tree;
    struct image *image;
    struct struct_ext2_filsys *fs;
    uint64_t cursor;       /* the first block that may be free */
    uint64_t dir_blocks;   /* planned */
    uint64_t other_blocks; /* link targets, extents, attributes */
    uint64_t data_blocks;
    uint32_t inodes;
    unsigned char *gathered; /* IMAGE_GATHER blocks */
    uint64_t gathered_at;    /* the first of n_gathered */
    uint32_t n_gathered;
};
#define IMAGE_GATHER 64u

/* image_io: an io_manager that writes to image->fd. */
struct struct_io_manager;
struct image_io {
    struct image *image;
    char name[40]; /* what to call the file system, for ext2fs_initialize */
};
const struct struct_io_manager *image_io_manager(void);
void image_io_init(struct image_io *io, struct image *image);
/* Blocks that follow each other are gathered, and are in the file after image_write_gathered. */
MUST_CHECK int image_write_block(struct build *b, uint64_t block, const void *data,
                                 struct error *err);
MUST_CHECK int image_write_gathered(struct build *b, struct error *err);
MUST_CHECK int image_write_blocks(struct build *b, uint64_t block, const void *data, uint32_t n,
                                  struct error *err);

/* image_plan: what it takes, and an empty file system of that size. */
MUST_CHECK int image_plan(struct build *b, struct image_io *io, struct error *err);
/* Name and hash seed of every image. */
extern const unsigned char image_uuid[16];

/* A run of at most count free blocks, marked as used.  ERR_LIMIT when none is left. */
MUST_CHECK int image_take_blocks(struct build *b, uint64_t count, uint64_t *ret_block,
                                 uint32_t *ret_count, struct error *err);

/* image_index: the tree of a directory's names, by their hashes. */
struct indexed {
    uint32_t hash;
    uint32_t child; /* of the directory */
};
struct leaf {
    uint32_t first; /* in entries */
    uint32_t hash;  /* from which on it has names */
};
struct image_index {
    struct indexed *entries;
    struct leaf *leaves; /* n_leaves + 1: where the last one ends */
    uint32_t n_leaves, n_nodes;
};
/* ERR_LIMIT when there are more names than ext4 can index.  ret is the caller's to release. */
MUST_CHECK int image_index_plan(const struct tree *t, uint32_t node, struct image_index *ret,
                                struct error *err);
void image_index_release(struct image_index *x);
/* Into a block with the entries "." and "..". */
void image_index_put_root(const struct image_index *x, unsigned char block[IMAGE_BLOCK]);
void image_index_put_node(const struct image_index *x, uint32_t i,
                          unsigned char block[IMAGE_BLOCK]);

/* image_directory: content of all directories.  One of more than one block is indexed. */
uint32_t image_entry_size(size_t name_len);
MUST_CHECK int image_directory_blocks(const struct tree *t, uint32_t node, uint32_t *ret,
                                      struct error *err);
MUST_CHECK int image_write_directory(struct build *b, uint32_t node, const struct run *runs,
                                     struct error *err);

/* image_inode: places of contents, and the inode tables. */
MUST_CHECK int image_write_inodes(struct build *b, struct error *err);

int image_failed(struct error *err, long code, const char *what);

#endif
