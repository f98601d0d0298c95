/* templates/catalog — names of templates and their revisions, as files of the store.
 *
 *   templates/NAME       the number of the next revision, the default size (record)
 *   revisions/NAME:N     a revision (revision_file)
 *   holds/NAME:N=WHO     WHO reads from it
 *   holds/NAME:N=@gone   it was removed while it was held: it is not listed, and goes with the last
 *                        hold
 *
 * What changes any of them does so with the store's lock held exclusively. */
#ifndef TEMPLATES_CATALOG_H
#define TEMPLATES_CATALOG_H

#include "templates/revision_file.h"
#include "templates/store.h"

#define REVISION_NAME (TEMPLATE_NAME + 24)

void catalog_name(const struct template_ref *ref, char ret[REVISION_NAME]);

struct catalog_publication {
    uint64_t default_size_mb; /* 0: as it is */
    const char *holder;       /* NULL: none */
};

/* Gives root the next number of the template and makes it visible, held; drops what is past the
 * limit.  root->info.ref.name is set.  Where the holder holds a revision of the template already,
 * nothing is changed but root, which gets its number. */
MUST_CHECK int catalog_publish(struct template_store *s, struct revision_root *root,
                               const struct catalog_publication *p, unsigned *ret_dropped,
                               struct error *err);

/* Finds out what `latest` is; ERR_INPUT when there is no such revision, or none at all. */
MUST_CHECK int catalog_resolve(struct template_store *s, struct template_ref *ref,
                               struct error *err);

/* The root of a revision, with info.ref set; nodes are the caller's to free. */
MUST_CHECK int catalog_load(struct template_store *s, const struct template_ref *ref,
                            struct revision_root *ret, struct error *err);

/* Names of all revisions whose chunks must stay, listed or held. */
MUST_CHECK int catalog_roots(struct template_store *s, struct argv *ret, struct error *err);

/* "name:7", and nothing else. */
bool catalog_parse(const char *name, struct template_ref *ret);
/* Whether this can stand in the name of a hold. */
/* Removes holds of what was never published.  The caller has the exclusive lock. */
MUST_CHECK int catalog_sweep_holds(struct template_store *s, struct error *err);

bool catalog_is_holder(const char *name);

#endif
