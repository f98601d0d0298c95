/* builder/copy_walk — all that is in a directory, in the order of names, without going deeper than
 * COPY_DEPTH_MAX and without following a link. */
#ifndef BUILDER_COPY_WALK_H
#define BUILDER_COPY_WALK_H

#include "builder/copy.h"
#include "builder/copy_glob.h"
#include "builder/copy_place.h"

#define COPY_DEPTH_MAX   256      /* directories in a row */
#define COPY_NAMES_MAX   1000000  /* in one directory */
#define COPY_ENTRIES_MAX 10000000 /* of one instruction */

struct copy_names { /* of one directory, sorted */
    char *text;
    size_t *starts;
    size_t n, next;
};

struct copy_walk_dir {
    struct copy_walk_dir *parent; /* NULL: where the walk began */
    int fd;
    const char *name; /* "" where the walk began */
    struct stat st;
    bool made;   /* enter was called for it */
    bool inside; /* all below is meant */
    struct copy_names names;
    size_t path_len;
    struct copy_place at; /* the visitor's: its own directory for this one */
};

/* What is called with what is meant.  enter: before the first thing in it, the parents' first; also
 * for directories that are only on the way to something; leave: after the last. */
struct copy_walk_ops {
    int (*enter)(void *self, struct copy_walk_dir *dir, struct error *err);
    int (*leave)(void *self, struct copy_walk_dir *dir, struct error *err);
    /* What is no directory; with stop_at_match also a directory. */
    int (*entry)(void *self, struct copy_walk_dir *dir, const char *name, const struct stat *st,
                 struct error *err);
};

struct copy_walk {
    const struct copy_walk_ops *ops; /* enter and leave may be NULL */
    void *self;
    const struct copy_glob *only; /* with all that is below what it matches; NULL: everything */
    bool stop_at_match;           /* what is below does not interest */
    const struct builder_patterns *patterns; /* with excluded: what is left out */
    const void *excluded;                    /* NULL: nothing */
    uint64_t entries;                        /* seen so far; carried on by the caller */
    struct buf path;                         /* of the entry, from where the walk began */
};

#define COPY_WALK_PATH_MAX ((COPY_DEPTH_MAX + 2) * (NAME_MAX + 1))

/* fd, borrowed, is the directory, st what is known of it.  Sockets are not there.  ERR_LIMIT: too
 * deep, too many.  -1 of an operation ends it. */
MUST_CHECK int copy_walk(struct copy_walk *w, int fd, const struct stat *st, struct error *err);

#endif
