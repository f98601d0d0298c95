/* builder/copy_put — one file of a source, or a heredoc, put to a name in a directory of the diff.
 */
#ifndef BUILDER_COPY_PUT_H
#define BUILDER_COPY_PUT_H

#include "builder/copy.h"
#include "builder/copy_file.h"
#include "builder/copy_links.h"
#include "builder/copy_place.h"

/* What the parts of a copy share. */
struct copier {
    const struct copy_request *req;
    struct copy_place root;     /* of the tree; borrowed */
    struct copy_place_new made; /* what directories get that are made on the way */
    struct copy_result result;
    struct copy_links links; /* of the source that is being copied */
    bool no_links;           /* the filesystems turned out not to link */
    void *excluded;          /* compiled; NULL: nothing is */
    uint64_t entries;        /* seen in walks */
};

/* Where one is, and what for messages. */
struct copy_item {
    int dir; /* what name is in; for `whole` the root of the request */
    const char *name;
    bool whole; /* name is a source's path, where links are followed */
    struct stat st;
};

/* The owner, mode and time that it gets. */
struct copy_attributes copy_put_attributes(const struct copier *c, const struct stat *st);

/* path: of the new file, from the root of the tree, without a slash before it.  ERR_INPUT: there is
 * a directory, in BuildKit's words; a device that cannot be made. */
MUST_CHECK int copy_put(struct copier *c, const struct copy_item *item, const struct copy_place *to,
                        const char *name, const char *path, struct error *err);

/* The same for a heredoc. */
MUST_CHECK int copy_put_text(struct copier *c, const struct copy_file *file,
                             const struct copy_place *to, const char *name, const char *path,
                             struct error *err);

#endif
