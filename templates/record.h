/* templates/record — the file templates/NAME: what is kept of a template besides its revisions. */
#ifndef TEMPLATES_RECORD_H
#define TEMPLATES_RECORD_H

#include "templates/store.h"

struct record {
    bool there;    /* false: no such file, and what follows is that of a new template */
    uint64_t next; /* the number of the next revision, from 1 */
    uint64_t size; /* MB of a volume made without a size; 0: not said */
};

/* ERR_SYSTEM, naming the file, when it is not what was written. */
MUST_CHECK int record_read(struct template_store *s, const char *name, struct record *ret,
                           struct error *err);
MUST_CHECK int record_write(struct template_store *s, const char *name, const struct record *r,
                            struct error *err);

#endif
