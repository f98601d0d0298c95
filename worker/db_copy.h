/* worker/db_copy — all rows of one database in another, of the same engine or not. */
#ifndef WORKER_DB_COPY_H
#define WORKER_DB_COPY_H

#include "worker/db.h"

/* Within a snapshot of from, or a write to it, and a write to `to`, which has the same schema; at
 * least one of them is SQLite's.  What `to` has is removed first.  each (may be NULL) is called
 * with the rows of a table that were copied since the last call. */
MUST_CHECK int db_copy(struct db *from, struct db *to,
                       void (*each)(void *self, const char *table, uint64_t rows), void *self,
                       struct error *err);

#endif
