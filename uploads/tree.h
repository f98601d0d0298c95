/* uploads/tree — writing beneath one directory descriptor, and nowhere else.
 *
 * A path (entry_name_to_path made it) is never handed to the kernel as a whole for creating: its
 * parent is opened without following any link and without leaving the root, and the last component
 * is created there with O_EXCL or its like.  So a link that the archive brought along is never
 * followed, and what stood in the way is replaced, never written through. */
#ifndef UPLOADS_TREE_H
#define UPLOADS_TREE_H

#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "uploads/uploads.h"

/* How parents are opened. */
enum tree_method {
    TREE_OPENAT2, /* RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS; falls to the other where it is missing
                   */
    TREE_WALK,    /* component by component with O_NOFOLLOW */
};

struct tree_directory; /* one whose mode and time are set at the end */

struct tree {
    int root; /* borrowed */
    enum tree_method method;
    int parent_fd; /* the directory parent_path, kept open: most entries follow a sibling */
    char parent_path[PATH_MAX];
    struct tree_directory *directories;
    size_t n_directories, cap_directories;
    uint64_t made; /* directories made, root not counted */
};

struct tree_attributes {
    mode_t mode;
    bool has_mtime;
    struct timespec mtime;
};

/* What an entry took the place of. */
enum tree_replaced { TREE_NEW, TREE_REPLACED_FILE, TREE_REPLACED_SYMLINK };

void tree_init(struct tree *t, int root, enum tree_method method);
void tree_release(struct tree *t);

/* All of these make missing parents (0755).  ERR_INPUT when a parent is a link or a file, or the
 * path is a directory already (or, for tree_directory, is something else). */

/* Creates an empty file that only we can write; *ret_fd is the caller's, see tree_close_file. */
MUST_CHECK int tree_create_file(struct tree *t, const char *path, int *ret_fd,
                                enum tree_replaced *ret_replaced, struct error *err);
/* Sets mode and time.  Does not close. */
MUST_CHECK int tree_finish_file(int fd, const char *path, const struct tree_attributes *a,
                                struct error *err);
MUST_CHECK int tree_symlink(struct tree *t, const char *path, const char *target,
                            enum tree_replaced *ret_replaced, struct error *err);
/* target is a path in the tree too; it must be there and be no directory.  *ret_st: what it is. */
MUST_CHECK int tree_hardlink(struct tree *t, const char *path, const char *target,
                             struct stat *ret_st, enum tree_replaced *ret_replaced,
                             struct error *err);
/* A directory that is there already gets these attributes. */
MUST_CHECK int tree_make_directory(struct tree *t, const char *path,
                                   const struct tree_attributes *a, struct error *err);

/* Gives the directories their modes and times, children first: the last thing to do. */
MUST_CHECK int tree_finish(struct tree *t, struct error *err);

#endif
