/* uploads/zip_view — a ZIP's bytes as libarchive should see them.
 *
 * libarchive decides a few things while it reads a header that cannot be taken back afterwards.
 * The view changes the bytes it is given, never the file, so that it hands over what is there:
 *
 *   - A symbolic link's data becomes its target, cut at the first NUL, and the whole archive fails
 *     when there are more than 64 KiB of it.  One client stores the linked file's content there
 *     (PROTOCOL.md 2.9).  The view shows a link as a regular file with ZIP_VIEW_LINK in its mode.
 *   - A mode that is not there becomes 0664 or 0775.  The view shows permissions 0.
 *   - A FIFO becomes a regular file.  The view shows a socket, which nobody takes for a file.
 *   - A name flagged as UTF-8 is changed to Unicode's composed form.  The view clears the flag.
 *   - Backslashes become slashes where the local header says DOS, as Go's do.  The view says Unix.
 *
 * It also says what is wrong with the frame of a ZIP, and finds the end of one that is empty, which
 * libarchive does not. */
#ifndef UPLOADS_ZIP_VIEW_H
#define UPLOADS_ZIP_VIEW_H

#include "uploads/uploads.h"

#define ZIP_VIEW_LINK 01000 /* on a regular file: the archive says symbolic link */

struct zip_view;

/* Reads the central directory of the ZIP of size bytes in fd.  ERR_INPUT when it has none that is
 * whole, ERR_LIMIT past entries_max. */
MUST_CHECK int zip_view_open(int fd, uint64_t size, uint64_t entries_max, struct zip_view **ret,
                             struct error *err);
void zip_view_free(struct zip_view *v);

uint64_t zip_view_entries(const struct zip_view *v);

/* Changes the len bytes that were read at offset. */
void zip_view_apply(const struct zip_view *v, uint64_t offset, unsigned char *data, size_t len);

#endif
