/* templates/reach — which chunks revisions refer to. */
#ifndef TEMPLATES_REACH_H
#define TEMPLATES_REACH_H

#include "templates/catalog.h"

/* Addresses, each with two numbers of the caller's. */
struct address_row {
    struct address address;
    uint32_t a, b;
    bool used;
};
struct address_set {
    struct address_row *rows;
    size_t cap, n;
};
void address_set_release(struct address_set *s);
/* The row of an address; NULL when it is not in. */
struct address_row *address_set_find(const struct address_set *s, struct address a);
/* The same, made when it is not in (*ret_new).  NULL when memory ran out. */
struct address_row *address_set_add(struct address_set *s, struct address a, bool *ret_new);

/* Calls each for every chunk of a revision, nodes included (e NULL).  A node that skip says yes to
 * is not read. */
struct reach_visitor {
    int (*each)(void *self, struct address a, const struct entry *e, struct error *err);
    bool (*skip)(void *self, struct address node); /* NULL: none is */
    void *self;
};
MUST_CHECK int reach_revision(struct reader *r, const struct revision_root *root,
                              const struct reach_visitor *v, struct error *err);

/* Adds all that any revision of the store, listed or held, refers to. */
MUST_CHECK int reach_all(struct template_store *s, struct reader *r,
                         const struct template_progress *progress, struct address_set *ret,
                         struct error *err);

#endif
