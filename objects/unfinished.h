/* objects/unfinished — puts in parts that nobody will end. */
#ifndef OBJECTS_UNFINISHED_H
#define OBJECTS_UNFINISHED_H

#include "objects/store.h"

/* Takes back the parts of one; id: what the server calls it.  One that is not there is fine. */
MUST_CHECK int unfinished_abort(struct objects *o, const char *key, const char *id,
                                struct error *err);

#endif
