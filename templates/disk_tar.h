/* templates/disk_tar — a tar on its way, for disk_tar.c (which walks) and disk_tar_inode.c (which
 * writes one entry); these two and the image's files know libext2fs. */
#ifndef TEMPLATES_DISK_TAR_H
#define TEMPLATES_DISK_TAR_H

#include <archive.h>
#include <archive_entry.h>
#include <ext2fs/ext2fs.h>

#include "templates/disk.h"

#define TAR_PIECE (1u << 20)
#define TAR_ZEROS (1u << 30)

struct tar_writer {
    struct template_disk *disk;
    ext2_filsys fs;
    struct archive *archive;
    int fd;                      /* where the tar goes; borrowed */
    struct error lost;           /* a write to it that failed: no more are made */
    struct buf path;             /* of the entry, from the root, without a slash before it */
    ext2fs_inode_bitmap entered; /* directories */
    struct tar_link {
        ext2_ino_t inode;
        char *path; /* the first name of a file with several */
    } * links;      /* open addressing; cap is a power of two */
    size_t n_links, cap_links;
    unsigned char *piece; /* TAR_PIECE bytes */
    unsigned char *zeros; /* TAR_ZEROS bytes, mapped: a hole of TBs must not take long */
    const struct template_progress *progress;
    uint64_t done;    /* bytes of contents */
    struct error why; /* of a read that libext2fs asked for */
};

int tar_failed(struct tar_writer *w, long code, const char *what, struct error *err);
/* What libarchive, or the file below it, says of a write. */
MUST_CHECK int tar_check(struct tar_writer *w, la_ssize_t result, const char *what,
                         struct error *err);

/* One entry at w->path, with its content.  Not of a socket, which a tar cannot hold. */
MUST_CHECK int tar_write_inode(struct tar_writer *w, ext2_ino_t number,
                               struct ext2_inode_large *inode, struct error *err);

#endif
