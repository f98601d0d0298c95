/* builder/copy_tree — the content of a source directory goes into a directory of the diff. */
#ifndef BUILDER_COPY_TREE_H
#define BUILDER_COPY_TREE_H

#include "builder/copy_put.h"
#include "builder/copy_source.h"

/* fd, st: the source's directory.  to: where it goes, at that path; it gets the directory's time
 * and keeps its own mode and owner, while directories below become as in the source, also when they
 * are there already.  ERR_INPUT: "cannot copy to non-directory: /a". */
MUST_CHECK int copy_tree(struct copier *c, const struct copy_source *source, int fd,
                         const struct stat *st, struct copy_place *to, const char *path,
                         struct error *err);

#endif
