/* base/path — paths inside an image or a context, as Go's path package sees them. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include "base/buf.h"

/* path.Clean: no "." and "..", no double or final slashes; "." for nothing. */
void path_clean(struct buf *out, const char *path);

/* "/" + directory + "/" + path, cleaned. */
void path_join(struct buf *out, const char *directory, const char *path);

#endif
