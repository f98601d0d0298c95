/* builder/copy_place — directories of a tree that is a diff over a view, and the way to them.
 *
 * What the diff has goes before what the view has, but directories of both are one.  Links on the
 * way are followed with the tree as their root, whichever of the two they are in. */
#ifndef BUILDER_COPY_PLACE_H
#define BUILDER_COPY_PLACE_H

#include <limits.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"

struct copy_place {
    int to;               /* the directory in the diff; -1: it is not there */
    int view;             /* the same in the view; -1: nothing of the view shows there */
    struct timespec time; /* that it is to have, whatever is put into it meanwhile */
};

#define COPY_PLACE_NONE                                                                            \
    {                                                                                              \
        .to = -1, .view = -1                                                                       \
    }

void copy_place_release(struct copy_place *p);

enum copy_place_kind { COPY_PLACE_ABSENT, COPY_PLACE_DIRECTORY, COPY_PLACE_LINK, COPY_PLACE_FILE };

struct copy_place_entry {
    enum copy_place_kind kind;
    bool in_view; /* else in the diff */
    struct stat st;
};

/* What stands at a name. */
MUST_CHECK int copy_place_look(const struct copy_place *p, const char *name,
                               struct copy_place_entry *ret, struct error *err);

/* Where a path leads below root: *ret_path, which is empty at first, becomes its names with no link
 * among them, parted by slashes ("": root itself), and *ret_kind says what stands there.  What
 * follows a name that is not there is taken as it is written.  follow: also a link at the very end.
 * ERR_INPUT: "mkdir /a: not a directory", "too many links". */
MUST_CHECK int copy_place_resolve(const struct copy_place *root, const char *path, bool follow,
                                  struct buf *ret_path, enum copy_place_kind *ret_kind,
                                  struct error *err);
#define COPY_PLACE_PATH PATH_MAX /* ceiling for *ret_path */

/* Of directories that are made. */
struct copy_place_new {
    uid_t uid;
    gid_t gid;
    struct timespec time;
};

/* Opens the directory at a resolved path for writing: what the view has of it is made in the diff
 * with the same mode, owner, time and attributes, what nobody has is made new, 0755.  *ret is
 * released by the caller.  *ret_made (NULL: not wanted): one was made new. */
MUST_CHECK int copy_place_make(const struct copy_place *root, const char *path,
                               const struct copy_place_new *new, struct copy_place *ret,
                               bool *ret_made, struct error *err);

/* Opens a directory that is in the diff already, with the same of the view. */
MUST_CHECK int copy_place_enter(const struct copy_place *p, const char *name,
                                struct copy_place *ret, struct error *err);

/* Gives it its time, after something was put in.  path: for messages. */
MUST_CHECK int copy_place_settle(const struct copy_place *p, const char *path, struct error *err);

#endif
