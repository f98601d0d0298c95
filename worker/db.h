/* worker/db — the few things state needs of a database: transactions, and statements bound and
 * read by position.  db.c is the one user of SQLite. */
#ifndef WORKER_DB_H
#define WORKER_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct db;

/* Opens or makes the database at path (":memory:" for one that nobody else sees) and brings its
 * schema up to date. */
MUST_CHECK int db_open(const char *path, struct db **ret, struct error *err);
/* The same, as a Kiln of that schema version would (for tests of upgrades). */
MUST_CHECK int db_open_version(const char *path, int version, struct db **ret, struct error *err);
void db_close(struct db *db);

/* A lock on the connection, held for a scope:
 *     CLEANUP(tx_end) struct tx tx = {0};
 *     if (tx_begin(&tx, db, TX_WRITE, err) < 0) return -1;
 *     … return tx_commit(&tx, err);
 * What is not committed is rolled back.  A thread may nest them; the outermost one decides. */
enum tx_mode {
    TX_READ,
    TX_NOTE,  /* a write that a power cut may take back (never a kill): it waits for no disk */
    TX_WRITE, /* a write that survives a power cut once it is committed */
};
struct tx {
    struct db *db;
    bool outermost;
};
MUST_CHECK int tx_begin(struct tx *tx, struct db *db, enum tx_mode mode, struct error *err);
MUST_CHECK int tx_commit(struct tx *tx, struct error *err);
void tx_end(struct tx *tx);

/* One statement within a transaction.  Errors of preparing and binding are kept for query_next. */
struct query {
    struct db *db;
    void *stmt;
    int bound; /* parameters bound so far */
    int code;  /* first failure */
};
#define QUERY(name, db, sql)                                                                       \
    CLEANUP(query_end) struct query name;                                                          \
    query_init(&name, db, sql)
void query_init(struct query *q, struct db *db, const char *sql);
void query_end(struct query *q);

/* Bind the next parameter; text and blobs must live until query_end. */
void query_text(struct query *q, const char *text); /* NULL binds NULL */
void query_int(struct query *q, int64_t value);
void query_blob(struct query *q, const void *data, size_t len);

/* The next row, or *ret_row false at the end. */
MUST_CHECK int query_next(struct query *q, bool *ret_row, struct error *err);
/* For statements without rows.  *ret_changed (may be NULL): rows changed. */
MUST_CHECK int query_run(struct query *q, int64_t *ret_changed, struct error *err);
/* Ready to be bound and run again. */
void query_reset(struct query *q);

/* Columns of the current row, from 0.  Text is "" for NULL and lives until the next query_next. */
const char *query_get_text(struct query *q, int column);
int64_t query_get_int(struct query *q, int column);
size_t query_get_blob(struct query *q, int column, void *out, size_t max);

#endif
