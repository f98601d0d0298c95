/* templates/source — where entries and contents come from: an archive or a directory.
 *
 * First all names are read (scan), then contents in whatever order is asked for, so that the image
 * can be laid out before, and read in its own order. */
#ifndef TEMPLATES_SOURCE_H
#define TEMPLATES_SOURCE_H

#include "templates/storage.h"
#include "templates/tree.h"

struct source;

struct source_kind {
    int (*scan)(struct source *s, struct tree *t, struct error *err);
    int (*open)(struct source *s, const struct tree *t, uint32_t node, struct error *err);
    int (*read)(struct source *s, uint64_t offset, void *data, size_t len, struct error *err);
    void (*release)(struct source *s);
    /* What a thread needs to fetch; NULL when that is nothing. */
    int (*hand_new)(const struct source *s, void **ret, struct error *err);
    void (*hand_free)(void *hand);
    bool (*can_fetch)(const struct source *s, const struct node *n); /* NULL: each can */
    int (*fetch)(const struct source *s, void *hand, const struct tree *t, uint32_t node,
                 unsigned char *data, struct error *err);
};

struct source {
    const struct source_kind *kind;
    const char *sub; /* only what is below this path; "" for all */
    const struct template_progress *progress;
    int plain_fd; /* where contents stand as they are, each at its node.data; -1: nowhere */
    uint64_t scanned;
    bool sub_seen;
};

/* fd is borrowed.  spool: a file of the store's for what cannot be read in any order; borrowed. */
MUST_CHECK int source_open_archive(int fd, int spool, struct source **ret, struct error *err);
MUST_CHECK int source_open_zip(int fd, uint64_t size, struct source **ret, struct error *err);
/* sub: NULL, or what is taken of it. */
MUST_CHECK int source_open_directory(const char *path, const char *sub, struct source **ret,
                                     struct error *err);
void source_free(struct source *s);

MUST_CHECK int source_scan(struct source *s, struct tree *t, struct error *err);
/* Then source_read gives the node's data, holes left out. */
MUST_CHECK int source_open(struct source *s, const struct tree *t, uint32_t node,
                           struct error *err);
/* Exactly len bytes of the file from offset on; each call goes on where the one before ended, or
 * at the next of the node's segments. */
MUST_CHECK int source_read(struct source *s, uint64_t offset, void *data, size_t len,
                           struct error *err);

/* The whole of a file, by any thread with a hand of its own, once all is scanned; where
 * source_can_fetch says so: without holes, and of at most FETCH_MAX bytes. */
#define FETCH_MAX (1u << 20)
bool source_can_fetch(const struct source *s, const struct tree *t, uint32_t node);
MUST_CHECK int source_hand_new(const struct source *s, void **ret, struct error *err);
void source_hand_free(const struct source *s, void *hand);
MUST_CHECK int source_fetch(const struct source *s, void *hand, const struct tree *t, uint32_t node,
                            unsigned char *data, struct error *err);

/* ---- for the kinds ---- */

/* Turns an entry's name into its path in the template.  *ret_wanted: it is below `sub`. */
MUST_CHECK int source_path(struct source *s, const char *name, const struct template_limits *limits,
                           char path[PATH_MAX], bool *ret_wanted, struct error *err);
void source_tick(struct source *s);

#endif
