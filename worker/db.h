/* worker/db — the few things state needs of a database: transactions, and statements bound and
 * read by position.
 *
 * Two engines serve it, SQLite for one machine and PostgreSQL for many, and the same statements run
 * on both.  They are written as SQLite has them, and so that PostgreSQL has the same of them
 * (worker/dialect.h says what is translated):
 *   - "?" and "?3" are parameters; what is bound says their type;
 *   - "on conflict (columns) do update" names its columns, and the table before those it reads;
 *   - a subquery in "from" has a name; what may be null is not sorted by;
 *   - "for update", with "skip locked" or without, ends a statement that selects what is changed
 *     next in the same transaction: SQLite, which has one writer, has no use for it. */
#ifndef WORKER_DB_H
#define WORKER_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/clock.h"
#include "base/error.h"

struct db;

/* Opens the database and brings its schema up to date.  path: "postgres://…" (or postgresql://) is
 * a database of that server, which is there (libpq's connection URI); anything else is a file,
 * which is made if it is not there, and ":memory:" one that nobody else sees.  ERR_REMOTE: the
 * server is not to be reached. */
MUST_CHECK int db_open(const char *path, struct db **ret, struct error *err);
/* The same, as a Kiln of that schema version would (for tests of upgrades). */
MUST_CHECK int db_open_version(const char *path, int version, struct db **ret, struct error *err);
void db_close(struct db *db);

/* Looks whether a newer Kiln has brought the schema to a version that this one does not know.  From
 * then on every write is refused (ERR_SYSTEM), as it might harm what that one has changed. */
MUST_CHECK int db_look_superseded(struct db *db, bool *ret, struct error *err);

/* Whether the path is a server's, which others may use too; and whether an open one is. */
bool db_is_remote(const char *path);
bool db_is_server(const struct db *db);

/* The clock that all who use the database share: the server's, or else the machine's. */
struct clock db_clock(struct db *db);

/* A lock on the connection, held for a scope:
 *     CLEANUP(tx_end) struct tx tx = {0};
 *     if (tx_begin(&tx, db, TX_WRITE, err) < 0) return -1;
 *     … return tx_commit(&tx, err);
 * What is not committed is rolled back.  A thread may nest them; the outermost one decides.
 *
 * A write sees all that was committed before it, and no other write is done beside it; of TX_ROW
 * this holds only for the rows that it selects "for update".  Where the server is not to be reached
 * all but TX_ROW wait for it for a while.  ERR_REMOTE: nothing was done, and trying again may help;
 * only when the message says that it is not known, it may have been. */
enum tx_mode {
    TX_READ,
    TX_ROW,      /* a note about one build, which it locks first: others do not wait for it */
    TX_NOTE,     /* a write that a power cut may take back (never a kill): it waits for no disk */
    TX_WRITE,    /* a write that survives a power cut once it is committed */
    TX_SNAPSHOT, /* reads alone, all of one moment: that of the first.  It ends with tx_end */
};
struct tx {
    struct db *db;
    bool outermost;
};
MUST_CHECK int tx_begin(struct tx *tx, struct db *db, enum tx_mode mode, struct error *err);
/* For a write that neither reads nor changes what belongs to other workspaces: it need not wait for
 * those that are begun for others.  What is nested in it keeps to that too. */
MUST_CHECK int tx_begin_in(struct tx *tx, struct db *db, enum tx_mode mode, const char *workspace,
                           struct error *err);
MUST_CHECK int tx_commit(struct tx *tx, struct error *err);
void tx_end(struct tx *tx);

/* In a write: waits until no other transaction has this lock, and has it to the end. */
MUST_CHECK int tx_lock(struct tx *tx, const char *name, const char *of, struct error *err);
/* In a write: all who listen are told once it is committed. */
void tx_tell(struct tx *tx);

/* From the first call on heard(self) is called, by a thread of its own, when others told something,
 * or may have; further calls change nothing.  *ret_hears: somebody can be heard, now. */
MUST_CHECK int db_listen(struct db *db, void (*heard)(void *self), void *self, bool *ret_hears,
                         struct error *err);

/* Runs call, which ends with 0 or -1 and has its whole transaction inside, again for a while as it
 * fails because a transaction was cut off, or was in another's way. */
#define DB_RETRY(db, err, call)                                                                    \
    ({                                                                                             \
        const struct error before_ = *(err);                                                       \
        const int64_t began_ = clock_monotonic();                                                  \
        int rc_ = (call);                                                                          \
                                                                                                   \
        while (rc_ < 0 && db_may_retry((db), began_, (err)))                                       \
            rc_ = (call);                                                                          \
        if (rc_ == 0)                                                                              \
            *(err) = before_;                                                                      \
        rc_;                                                                                       \
    })
/* Also pauses.  False inside a transaction, which only its beginner can run again. */
bool db_may_retry(struct db *db, int64_t began, const struct error *err);

/* One statement within a transaction.  Errors of preparing and binding are kept for query_next. */
struct query {
    struct db *db;
    const char *sql;
    void *stmt;
    int bound; /* parameters bound so far */
    int code;  /* first failure */
};
#define QUERY(name, db, sql)                                                                       \
    CLEANUP(query_end) struct query name;                                                          \
    query_init(&name, db, sql)
void query_init(struct query *q, struct db *db, const char *sql); /* sql lives until query_end */
void query_end(struct query *q);

/* Bind the next parameter; text and blobs must live until query_end. */
void query_text(struct query *q, const char *text); /* NULL binds NULL */
void query_int(struct query *q, int64_t value);
void query_blob(struct query *q, const void *data, size_t len);

/* The next row, or *ret_row false at the end. */
MUST_CHECK int query_next(struct query *q, bool *ret_row, struct error *err);
/* The same for a walk, "while (query_row(&q, &rc, err))", after which rc is what query_next would
 * have returned: 0 at the end of the rows, or -1. */
bool query_row(struct query *q, int *ret_rc, struct error *err);
/* Adds the first column of each row.  what names the rows in a message. */
MUST_CHECK int query_list(struct query *q, const char *what, struct argv *ret, struct error *err);
/* For statements without rows.  *ret_changed (may be NULL): rows changed. */
MUST_CHECK int query_run(struct query *q, int64_t *ret_changed, struct error *err);
/* Ready to be bound and run again. */
void query_reset(struct query *q);

/* Columns of the current row, from 0.  Text is "" for NULL and lives until the next query_next. */
const char *query_get_text(struct query *q, int column);
int64_t query_get_int(struct query *q, int column);
size_t query_get_blob(struct query *q, int column, void *out, size_t max);
bool query_is_null(struct query *q, int column);

#endif
