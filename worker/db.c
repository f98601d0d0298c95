/* worker/db — SQLite, one connection behind a recursive mutex.
 *
 * One connection is enough for one machine: a transaction here takes tens of microseconds, and
 * SQLite has one writer at a time however many connections there are. */
#include "worker/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/schema.h"

#define BUSY_MS      20000
#define WAL_PAUSE_MS 10

struct db {
    sqlite3 *sqlite;
    pthread_mutex_t lock;
    bool begun;         /* BEGIN was said */
    enum tx_mode wrote; /* the mode of the last write, which synchronous is set for */
};

static int fail(struct db *db, int code, const char *act, struct error *err)
{
    return error_set(err, ERR_SYSTEM, "%s: %s", act,
                     db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(code));
}

static int exec(struct db *db, const char *sql, const char *act, struct error *err)
{
    int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : fail(db, code, act, err);
}

/* Runs the migrations that the file has not seen, each in a transaction of its own. */
static int migrate(struct db *db, int to, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t version = 0;
    bool row;

    if (tx_begin(&tx, db, TX_WRITE, err) < 0)
        return -1;
    {
        QUERY(q, db, "pragma user_version");
        if (query_next(&q, &row, err) < 0)
            return -1;
        version = query_get_int(&q, 0);
    }
    if (version > schema_version)
        return error_set(err, ERR_SYSTEM,
                         "the database has version %d and this kiln knows %d: use a newer kiln",
                         (int)version, schema_version);
    for (int v = (int)version; v < to; v++) {
        char pragma[48];

        (void)snprintf(pragma, sizeof(pragma), "pragma user_version = %d", v + 1);
        if (exec(db, schema_migrations[v], "update the database's schema", err) < 0 ||
            exec(db, pragma, "update the database's version", err) < 0)
            return -1;
    }
    return tx_commit(&tx, err);
}

/* SQLite does not wait, whatever the timeout, when two connections change a new database to WAL. */
static int set_wal(struct db *db, struct error *err)
{
    int code;

    for (int waited = 0;; waited += WAL_PAUSE_MS) {
        code = sqlite3_exec(db->sqlite, "pragma journal_mode = wal", NULL, NULL, NULL);
        if (code != SQLITE_BUSY || waited >= BUSY_MS)
            break;
        sqlite3_sleep(WAL_PAUSE_MS);
    }
    return code == SQLITE_OK ? 0 : fail(db, code, "set journal_mode", err);
}

static int set_up(struct db *db, const char *path, int version, struct error *err)
{
    bool is_new = access(path, F_OK) < 0;
    int code =
        sqlite3_open_v2(path, &db->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);

    if (code != SQLITE_OK)
        return fail(db, code, "open", err);
    /* It holds secrets; the files beside it get its mode. */
    if (is_new && strcmp(path, ":memory:") != 0 && chmod(path, 0600) < 0)
        return error_errno(err, errno, "set its mode");
    sqlite3_busy_timeout(db->sqlite, BUSY_MS);
    if (set_wal(db, err) < 0 || exec(db, "pragma foreign_keys = on", "set foreign_keys", err) < 0)
        return -1;
    return migrate(db, version, err);
}

int db_open_version(const char *path, int version, struct db **ret, struct error *err)
{
    struct db *db = calloc(1, sizeof(*db));
    pthread_mutexattr_t attr;

    if (!db)
        return error_set(err, ERR_SYSTEM, "open database %s: out of memory", path);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&db->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    if (set_up(db, path, version, err) < 0) {
        db_close(db);
        return error_wrap(err, "database %s", path);
    }
    *ret = db;
    return 0;
}

int db_open(const char *path, struct db **ret, struct error *err)
{
    return db_open_version(path, schema_version, ret, err);
}

void db_close(struct db *db)
{
    if (!db)
        return;
    sqlite3_close(db->sqlite);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

/* WAL with synchronous=NORMAL commits without waiting for the disk; FULL waits, for its own and all
 * earlier commits (SQLite's documentation, "pragma synchronous").  It cannot change inside a
 * transaction. */
static int begin_write(struct db *db, enum tx_mode mode, struct error *err)
{
    const char *pragma =
        mode == TX_NOTE ? "pragma synchronous = normal" : "pragma synchronous = full";

    if (db->wrote != mode && exec(db, pragma, "set synchronous", err) < 0)
        return -1;
    db->wrote = mode;
    if (exec(db, "begin immediate", "begin a transaction", err) < 0)
        return -1;
    db->begun = true;
    return 0;
}

int tx_begin(struct tx *tx, struct db *db, enum tx_mode mode, struct error *err)
{
    pthread_mutex_lock(&db->lock);
    tx->db = db;
    tx->outermost = false;
    if (db->begun && mode == TX_WRITE && db->wrote == TX_NOTE)
        return error_set(err, ERR_SYSTEM, "begin a transaction: a durable write inside a note");
    if (mode == TX_READ || db->begun)
        return 0;
    if (begin_write(db, mode, err) < 0)
        return -1;
    tx->outermost = true;
    return 0;
}

int tx_commit(struct tx *tx, struct error *err)
{
    if (tx->outermost) {
        if (exec(tx->db, "commit", "commit", err) < 0)
            return -1;
        tx->outermost = false;
        tx->db->begun = false;
    }
    return 0;
}

void tx_end(struct tx *tx)
{
    if (!tx->db)
        return;
    if (tx->outermost) {
        (void)sqlite3_exec(tx->db->sqlite, "rollback", NULL, NULL, NULL);
        tx->db->begun = false;
    }
    pthread_mutex_unlock(&tx->db->lock);
    tx->db = NULL;
}

void query_init(struct query *q, struct db *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;

    *q = (struct query){.db = db};
    q->code = sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL);
    q->stmt = stmt;
}

void query_end(struct query *q)
{
    sqlite3_finalize(q->stmt);
    q->stmt = NULL;
}

static void note(struct query *q, int code)
{
    if (q->code == SQLITE_OK)
        q->code = code;
}

void query_text(struct query *q, const char *text)
{
    note(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

void query_int(struct query *q, int64_t value)
{
    note(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
}

void query_blob(struct query *q, const void *data, size_t len)
{
    note(q, sqlite3_bind_blob64(q->stmt, ++q->bound, data, len, SQLITE_STATIC));
}

int query_next(struct query *q, bool *ret_row, struct error *err)
{
    int code = q->code == SQLITE_OK ? sqlite3_step(q->stmt) : q->code;

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return fail(q->db, code, "ask the database", err);
    *ret_row = code == SQLITE_ROW;
    return 0;
}

int query_run(struct query *q, int64_t *ret_changed, struct error *err)
{
    bool row = true;

    while (row)
        if (query_next(q, &row, err) < 0)
            return -1;
    if (ret_changed)
        *ret_changed = sqlite3_changes64(q->db->sqlite);
    return 0;
}

void query_reset(struct query *q)
{
    (void)sqlite3_reset(q->stmt);
    (void)sqlite3_clear_bindings(q->stmt);
    q->bound = 0;
}

const char *query_get_text(struct query *q, int column)
{
    const unsigned char *text = sqlite3_column_text(q->stmt, column);

    return text ? (const char *)text : "";
}

int64_t query_get_int(struct query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

size_t query_get_blob(struct query *q, int column, void *out, size_t max)
{
    const void *data = sqlite3_column_blob(q->stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, column);

    if (len > max)
        len = max;
    if (len)
        memcpy(out, data, len);
    return len;
}
