/* builder/copy_archive — ADD of a local archive: a tar, also in gzip, bzip2, xz or zstd.  The one
 * file of this folder that knows libarchive. */
#ifndef BUILDER_COPY_ARCHIVE_H
#define BUILDER_COPY_ARCHIVE_H

#include "builder/copy_put.h"

#define COPY_ARCHIVE_ENTRIES_MAX 1000000
#define COPY_ARCHIVE_BYTES_MAX   (UINT64_C(64) << 30) /* of all files in it */

struct copy_archive;

/* Decided by the content, as Docker does: *ret is NULL when the file's first block makes no tar.
 * fd is borrowed for as long as *ret lives. */
MUST_CHECK int copy_archive_open(int fd, struct copy_archive **ret, struct error *err);
void copy_archive_free(struct copy_archive *a);
static inline void copy_archive_freep(struct copy_archive **a)
{
    copy_archive_free(*a);
}

/* Unpacks what is in it below `to`, which is the root for all links in it and on the way.  Owners
 * are the archive's own, unless the request gives one.  ERR_INPUT: it is broken, or an entry leads
 * out; ERR_LIMIT: too much. */
MUST_CHECK int copy_archive_unpack(struct copy_archive *a, struct copier *c,
                                   const struct copy_place *to, struct error *err);

#endif
