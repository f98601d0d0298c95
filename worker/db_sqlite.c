/* worker/db_sqlite — worker/db on a file, by SQLite. */
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/db_engine.h"

#define KEPT_MAX     256
#define BUSY_MS      20000
#define BUSY_PAUSES  200 /* of 0.5 ms; after those they are of 10 ms */
#define WAL_PAUSE_MS 10

/* A statement that was prepared, and is kept for the next time. */
struct kept {
    char *sql;
    sqlite3_stmt *stmt; /* NULL: in use */
};

struct sqlite {
    sqlite3 *handle;
    enum tx_mode wrote;   /* the mode of the last write, which synchronous is set for */
    pthread_mutex_t lock; /* for what follows: a query may end after its transaction */
    struct kept kept[KEPT_MAX];
    size_t n_kept;
};

static int fail(struct sqlite *s, int code, const char *act, struct error *err)
{
    return error_set(err, ERR_SYSTEM, "%s: %s", act,
                     s->handle ? sqlite3_errmsg(s->handle) : sqlite3_errstr(code));
}

static int exec(struct sqlite *s, const char *sql, const char *act, struct error *err)
{
    int code = sqlite3_exec(s->handle, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : fail(s, code, act, err);
}

/* ---- opening ---- */

/* SQLite does not wait, whatever the timeout, when two connections change a new database to WAL. */
static int set_wal(struct sqlite *s, struct error *err)
{
    int code;

    for (int waited = 0;; waited += WAL_PAUSE_MS) {
        code = sqlite3_exec(s->handle, "pragma journal_mode = wal", NULL, NULL, NULL);
        if (code != SQLITE_BUSY || waited >= BUSY_MS)
            break;
        sqlite3_sleep(WAL_PAUSE_MS);
    }
    return code == SQLITE_OK ? 0 : fail(s, code, "set journal_mode", err);
}

/* Whether to try again to be the one that writes.  A write takes less than a millisecond, or some
 * to reach the disk; SQLite's own pauses grow to 100 ms, so that who had bad luck has worse. */
static int wait_busy(void *self, int pauses)
{
    (void)self;
    if (pauses >= BUSY_PAUSES + BUSY_MS / 10)
        return 0;
    usleep(pauses < BUSY_PAUSES ? 500 : 10000);
    return 1;
}

static void sqlite_close(void *self)
{
    struct sqlite *s = self;

    for (size_t i = 0; i < s->n_kept; i++) {
        sqlite3_finalize(s->kept[i].stmt);
        free(s->kept[i].sql);
    }
    sqlite3_close(s->handle);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int set_up(struct sqlite *s, const char *path, struct error *err)
{
    bool is_new = access(path, F_OK) < 0;
    int code = sqlite3_open_v2(
        path, &s->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, NULL);

    if (code != SQLITE_OK)
        return fail(s, code, "open", err);
    /* It holds secrets; the files beside it get its mode. */
    if (is_new && strcmp(path, ":memory:") != 0 && chmod(path, 0600) < 0)
        return error_errno(err, errno, "set its mode");
    sqlite3_busy_handler(s->handle, wait_busy, NULL);
    if (set_wal(s, err) < 0)
        return -1;
    return exec(s, "pragma foreign_keys = on", "set foreign_keys", err);
}

static int sqlite_open(const char *path, void **ret_self, struct error *err)
{
    struct sqlite *s = calloc(1, sizeof(*s));

    if (!s)
        return error_set(err, ERR_SYSTEM, "open: out of memory");
    pthread_mutex_init(&s->lock, NULL);
    if (set_up(s, path, err) < 0) {
        sqlite_close(s);
        return -1;
    }
    *ret_self = s;
    return 0;
}

/* ---- transactions ---- */

/* WAL with synchronous=NORMAL commits without waiting for the disk; FULL waits, for its own and all
 * earlier commits (SQLite's documentation, "pragma synchronous").  It cannot change inside a
 * transaction. */
static int sqlite_begin(void *self, enum tx_mode mode, const char *workspace, struct error *err)
{
    const char *pragma =
        mode == TX_WRITE ? "pragma synchronous = full" : "pragma synchronous = normal";
    struct sqlite *s = self;

    (void)workspace; /* there is one writer at a time */
    if (mode == TX_SNAPSHOT)
        return exec(s, "begin", "begin a transaction", err);
    if (s->wrote != mode && exec(s, pragma, "set synchronous", err) < 0)
        return -1;
    s->wrote = mode;
    return exec(s, "begin immediate", "begin a transaction", err);
}

static int sqlite_commit(void *self, bool tells, struct error *err)
{
    (void)tells; /* nobody can be told */
    return exec(self, "commit", "commit", err);
}

static void sqlite_rollback(void *self)
{
    (void)sqlite3_exec(((struct sqlite *)self)->handle, "rollback", NULL, NULL, NULL);
}

/* ---- the schema's version ---- */

static int sqlite_get_version(void *self, int64_t *ret, struct error *err)
{
    struct sqlite *s = self;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(s->handle, "pragma user_version", -1, &stmt, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return code == SQLITE_ROW ? 0 : fail(s, code, "read the database's version", err);
}

static int sqlite_migrate(void *self, int version, const char *sql, struct error *err)
{
    char pragma[48];

    (void)snprintf(pragma, sizeof(pragma), "pragma user_version = %d", version);
    if (exec(self, sql, "update the database's schema", err) < 0)
        return -1;
    return exec(self, pragma, "update the database's version", err);
}

/* ---- statements ---- */

static void note(struct query *q, int code)
{
    if (q->code == SQLITE_OK)
        q->code = code;
}

static struct kept *find_kept(struct sqlite *s, const char *sql)
{
    for (size_t i = 0; i < s->n_kept; i++)
        if (strcmp(s->kept[i].sql, sql) == 0)
            return &s->kept[i];
    return NULL;
}

/* The statement, which is the caller's until it is given back, or NULL. */
static sqlite3_stmt *take_kept(struct sqlite *s, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    struct kept *kept;

    pthread_mutex_lock(&s->lock);
    kept = find_kept(s, sql);
    if (kept) {
        stmt = kept->stmt;
        kept->stmt = NULL;
    } else if (s->n_kept < KEPT_MAX && (s->kept[s->n_kept].sql = strdup(sql))) {
        s->n_kept++;
    }
    pthread_mutex_unlock(&s->lock);
    return stmt;
}

/* False: there is one of it already, or no room. */
static bool give_back(struct sqlite *s, const char *sql, sqlite3_stmt *stmt)
{
    struct kept *kept;
    bool given;

    pthread_mutex_lock(&s->lock);
    kept = find_kept(s, sql);
    given = kept && !kept->stmt;
    if (given)
        kept->stmt = stmt;
    pthread_mutex_unlock(&s->lock);
    return given;
}

/* Preparing takes longer than most statements do.  One that is in use already is prepared anew. */
static void sqlite_query_init(void *self, struct query *q, const char *sql)
{
    const char *lock = strstr(sql, " for update");
    int len = lock ? (int)(lock - sql) : -1;
    struct sqlite *s = self;
    sqlite3_stmt *stmt = take_kept(s, sql);

    if (!stmt)
        q->code = sqlite3_prepare_v3(s->handle, sql, len, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    q->stmt = stmt;
}

static void sqlite_query_end(void *self, struct query *q)
{
    if (q->code == SQLITE_OK) {
        (void)sqlite3_reset(q->stmt);
        (void)sqlite3_clear_bindings(q->stmt);
        if (give_back(self, q->sql, q->stmt))
            return;
    }
    sqlite3_finalize(q->stmt);
}

static void sqlite_query_text(struct query *q, const char *text)
{
    note(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

static void sqlite_query_int(struct query *q, int64_t value)
{
    note(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
}

static void sqlite_query_blob(struct query *q, const void *data, size_t len)
{
    note(q, sqlite3_bind_blob64(q->stmt, ++q->bound, data, len, SQLITE_STATIC));
}

static int sqlite_query_next(void *self, struct query *q, bool *ret_row, struct error *err)
{
    int code = q->code == SQLITE_OK ? sqlite3_step(q->stmt) : q->code;

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return fail(self, code, "ask the database", err);
    *ret_row = code == SQLITE_ROW;
    return 0;
}

static int64_t sqlite_query_changed(void *self, struct query *q)
{
    (void)q;
    return sqlite3_changes64(((struct sqlite *)self)->handle);
}

static void sqlite_query_reset(struct query *q)
{
    (void)sqlite3_reset(q->stmt);
    (void)sqlite3_clear_bindings(q->stmt);
}

static const char *sqlite_query_get_text(struct query *q, int column)
{
    const unsigned char *text = sqlite3_column_text(q->stmt, column);

    return text ? (const char *)text : "";
}

static int64_t sqlite_query_get_int(struct query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

static size_t sqlite_query_get_blob(struct query *q, int column, void *out, size_t max)
{
    const void *data = sqlite3_column_blob(q->stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, column);

    if (len > max)
        len = max;
    if (len)
        memcpy(out, data, len);
    return len;
}

static bool sqlite_query_is_null(struct query *q, int column)
{
    return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

const struct db_engine db_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .get_version = sqlite_get_version,
    .migrate = sqlite_migrate,
    .look_at_version = sqlite_get_version,
    .query_init = sqlite_query_init,
    .query_end = sqlite_query_end,
    .query_text = sqlite_query_text,
    .query_int = sqlite_query_int,
    .query_blob = sqlite_query_blob,
    .query_next = sqlite_query_next,
    .query_changed = sqlite_query_changed,
    .query_reset = sqlite_query_reset,
    .query_get_text = sqlite_query_get_text,
    .query_get_int = sqlite_query_get_int,
    .query_get_blob = sqlite_query_get_blob,
    .query_is_null = sqlite_query_is_null,
};
