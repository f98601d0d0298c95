/* uploads/tar_writer — a tar, written entry by entry to a descriptor. */
#ifndef UPLOADS_TAR_WRITER_H
#define UPLOADS_TAR_WRITER_H

#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

struct tar_writer;

/* fd is borrowed.  Until it is freed, the thread's locale is C.UTF-8: libarchive asks for it when
 * it writes a name. */
MUST_CHECK int tar_writer_new(int fd, struct tar_writer **ret, struct error *err);
/* NULL is fine.  Does not end the archive. */
void tar_writer_free(struct tar_writer *w);
static inline void tar_writer_freep(struct tar_writer **w)
{
    tar_writer_free(*w);
}

/* Begins an entry: of st mode, size and time of change count; target: of a symbolic link, else
 * NULL.  The size's worth of data must follow for a file. */
MUST_CHECK int tar_writer_header(struct tar_writer *w, const char *path, const struct stat *st,
                                 const char *target, struct error *err);
/* path: of the entry, for the message. */
MUST_CHECK int tar_writer_data(struct tar_writer *w, const char *path, const void *data, size_t len,
                               struct error *err);
/* Ends the archive. */
MUST_CHECK int tar_writer_close(struct tar_writer *w, struct error *err);

#endif
