/* base/path — paths inside an image or a context, as Go's path package sees them. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include "base/buf.h"

/* The next name of a path, past slashes and "."; *path moves behind it.  ".." is a name.  False:
 * there is none any more. */
bool path_next(const char **path, const char **ret_name, size_t *ret_len);

/* path.Clean: no "." and "..", no double or final slashes; "." for nothing. */
void path_clean(struct buf *out, const char *path);

/* "/" + directory + "/" + path, cleaned. */
void path_join(struct buf *out, const char *directory, const char *path);

#endif
