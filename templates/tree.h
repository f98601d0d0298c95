/* templates/tree — all names, attributes and places of contents of a template, in memory.
 *
 * About 100 bytes and the name for each entry; contents stay where they are.  Nodes are numbered in
 * the order they came; the root is 0.  After nodes_finish the order is canonical: a directory
 * before what is in it, names in byte order, so that the image does not depend on the archive's
 * order. */
#ifndef TEMPLATES_TREE_H
#define TEMPLATES_TREE_H

#include <sys/types.h>

#include "templates/address.h"
#include "templates/entry_path.h"

#define TREE_NONE UINT32_MAX

enum node_type { NODE_DIRECTORY, NODE_FILE, NODE_SYMLINK, NODE_HARDLINK };

struct node {
    uint32_t parent;
    uint32_t name;  /* in names */
    uint32_t child; /* of a directory, once finished: the first in `order` */
    uint32_t n_children;
    uint32_t uid, gid;
    uint32_t nsec;
    uint32_t extra; /* in extras; 0: none */
    uint32_t links; /* names of it: 1, and one for each hard link to it */
    uint32_t inode; /* set by the image */
    int64_t mtime;
    uint64_t size;  /* of a file; of a symlink: bytes of its target */
    uint64_t data;  /* file: for the source; symlink: target in names; hard link: node */
    uint64_t block; /* set by the image: the first of its content */
    uint16_t mode;  /* permission bits, 07777 */
    uint8_t type;
    uint8_t name_len;
    bool stated; /* an entry spoke of it: not merely a parent of one */
};

struct xattr {
    uint32_t name;  /* in names */
    uint32_t value; /* in names */
    uint32_t len;
};

struct segment {
    uint64_t offset, len; /* of a file's data: all else is a hole */
};

struct extra {
    uint32_t xattrs, n_xattrs;     /* in tree.xattrs */
    uint32_t segments, n_segments; /* in tree.segments */
    bool sparse;
};

struct tree {
    const struct template_limits *limits;
    struct node *nodes;
    uint32_t n_nodes;
    size_t cap_nodes;
    struct buf names;
    struct extra *extras;
    uint32_t n_extras;
    struct xattr *xattrs;
    uint32_t n_xattrs;
    struct segment *segments;
    uint32_t n_segments;
    struct hasher hasher; /* with a secret of its own: nobody can make names that collide */
    uint32_t *slots;      /* nodes by parent and name */
    size_t n_slots;
    uint64_t bytes;       /* of file contents */
    uint32_t *order;      /* once finished: children of each directory, by name */
    uint32_t *preorder;   /* once finished: every node, canonically */
    uint32_t last_parent; /* of the last lookup, and its path */
    char last_path[PATH_MAX];
};

/* What an archive says of an entry. */
struct tree_entry {
    enum node_type type;
    const char *name;   /* as in the archive, for messages */
    const char *path;   /* as entry_path made it */
    const char *target; /* symlink: as it stands; hard link: a path as entry_path made it */
    uint16_t mode;
    uint32_t uid, gid, nsec;
    int64_t mtime;
    uint64_t size, data;
};

MUST_CHECK int nodes_init(struct tree *t, const struct template_limits *limits, struct error *err);
void nodes_release(struct tree *t);

/* A later entry of the same path replaces an earlier one of its kind.  *ret: its node. */
MUST_CHECK int nodes_add(struct tree *t, const struct tree_entry *e, uint32_t *ret,
                         struct error *err);
MUST_CHECK int nodes_add_xattr(struct tree *t, uint32_t node, const char *name, const void *value,
                               size_t len, struct error *err);
/* Segments come in order, after the node.  nodes_set_sparse first. */
MUST_CHECK int nodes_set_sparse(struct tree *t, uint32_t node, struct error *err);
MUST_CHECK int nodes_add_segment(struct tree *t, uint32_t node, uint64_t offset, uint64_t len,
                                 struct error *err);

/* Sorts, and refuses symbolic links that lead out of the template. */
MUST_CHECK int nodes_finish(struct tree *t, struct error *err);

const char *nodes_name(const struct tree *t, uint32_t node);
/* The path from the root. */
void nodes_path(const struct tree *t, uint32_t node, char ret[PATH_MAX]);
/* TREE_NONE when there is none. */
uint32_t nodes_child(const struct tree *t, uint32_t parent, const char *name, size_t len);

/* ---- links.c ---- */

MUST_CHECK int nodes_check_links(const struct tree *t, struct error *err);

#endif
