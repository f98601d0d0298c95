/* builder/layer_tar — the headers of a layer's tar: ustar, and pax records for what does not fit
 * there (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header").
 *
 * Times are whole seconds, and users and groups have no names. */
#ifndef BUILDER_LAYER_TAR_H
#define BUILDER_LAYER_TAR_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

#define TAR_BLOCK 512

enum tar_type {
    TAR_FILE = '0',
    TAR_HARDLINK = '1',
    TAR_SYMLINK = '2',
    TAR_CHARACTER = '3',
    TAR_DEVICE = '4', /* a block device */
    TAR_DIRECTORY = '5',
    TAR_FIFO = '6',
};

struct tar_attribute { /* an extended attribute, as the record SCHILY.xattr.<name> */
    char *name;        /* without an equals sign */
    char *value;
    size_t len;
};

struct tar_entry { /* borrowed */
    enum tar_type type;
    const char *path;   /* relative; a directory's ends with a slash */
    const char *target; /* of a link; NULL for the others */
    mode_t mode;        /* permission bits, 07777 at most */
    uint32_t uid, gid;
    uint32_t major, minor; /* of a device */
    uint64_t size;         /* of a file's data, which follows the header */
    int64_t mtime;         /* seconds */
    const struct tar_attribute *attributes;
    size_t n_attributes;
};

/* Appends the header: a multiple of TAR_BLOCK. */
void tar_add_header(struct buf *out, const struct tar_entry *e);

/* Bytes of zeros after size bytes of data. */
static inline size_t tar_padding(uint64_t size)
{
    return (size_t)(-size % TAR_BLOCK);
}

#endif
