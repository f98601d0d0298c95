/* base/copy_content — a file's bytes, from descriptor to descriptor. */
#ifndef BASE_COPY_CONTENT_H
#define BASE_COPY_CONTENT_H

#include <sys/stat.h>

#include "base/error.h"

/* Copies what st says is in `from` to `to`, which is empty: shared blocks where the filesystem can,
 * holes stay holes.  path is for messages. */
MUST_CHECK int copy_content(int from, int to, const struct stat *st, const char *path,
                            struct error *err);

#endif
