/* worker/db — what both engines have alike; see the header.
 *
 * One connection behind a recursive mutex: a transaction takes tens of microseconds on SQLite,
 * which has one writer at a time however many connections there are, and a millisecond on
 * PostgreSQL, where a Kiln that should do more at once is one more Kiln. */
#include "worker/db.h"

#include <pthread.h>

#include "base/text.h"
#include "worker/db_engine.h"
#include "worker/schema.h"

#define PATIENCE (15 * NS_PER_SEC) /* for a server that is not there: it may be restarting */
#define PAUSE_US 50000

struct db {
    const struct db_engine *engine;
    void *self;
    pthread_mutex_t lock;
    int version; /* of the schema that this one works with; 0: it is being opened */
    bool begun;
    enum tx_mode mode; /* of what was begun */
    bool tells;
};

/* ---- the schema's version ---- */

static int refuse_newer(int64_t version, struct error *err)
{
    return error_set(err, ERR_SYSTEM,
                     "the database has version %d and this kiln knows %d: use a newer kiln",
                     (int)version, schema_version);
}

/* In a write that was begun: nobody has brought it to a newer one since it was opened. */
static int check_version(struct db *db, struct error *err)
{
    int64_t version;

    if (!db->version)
        return 0;
    if (db->engine->look_at_version(db->self, &version, err) < 0)
        return -1;
    return version > db->version ? refuse_newer(version, err) : 0;
}

int db_look_superseded(struct db *db, bool *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t version;

    if (tx_begin(&tx, db, TX_READ, err) < 0 || db->engine->get_version(db->self, &version, err) < 0)
        return -1;
    *ret = version > db->version;
    return 0;
}

/* ---- opening ---- */

/* Runs the migrations that the database has not seen, in one transaction that excludes others'. */
static int migrate(struct db *db, int to, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t version = 0;

    if (tx_begin(&tx, db, TX_WRITE, err) < 0 ||
        db->engine->get_version(db->self, &version, err) < 0)
        return -1;
    if (version > schema_version)
        return refuse_newer(version, err);
    for (int v = (int)version; v < to; v++)
        if (db->engine->migrate(db->self, v + 1, schema_migrations[v], err) < 0)
            return -1;
    return tx_commit(&tx, err);
}

bool db_is_remote(const char *path)
{
    return text_starts(path, "postgres://") || text_starts(path, "postgresql://");
}

static struct db *db_new(const struct db_engine *engine)
{
    struct db *db = calloc(1, sizeof(*db));
    pthread_mutexattr_t attr;

    if (!db)
        return NULL;
    db->engine = engine;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&db->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return db;
}

int db_open_version(const char *path, int version, struct db **ret, struct error *err)
{
    const bool remote = db_is_remote(path);
    struct db *db = db_new(remote ? &db_postgres : &db_sqlite);

    if (!db)
        return error_set(err, ERR_SYSTEM, "open the database: out of memory");
    if (db->engine->open(path, &db->self, err) < 0 || migrate(db, version, err) < 0) {
        db_close(db);
        return remote ? -1 : error_wrap(err, "database %s", path); /* a URL may hold a password */
    }
    db->version = schema_version;
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
    if (db->self)
        db->engine->close(db->self);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

bool db_is_server(const struct db *db)
{
    return db->engine == &db_postgres;
}

struct clock db_clock(struct db *db)
{
    return db->engine->clock ? db->engine->clock(db->self) : clock_system;
}

int db_listen(struct db *db, void (*heard)(void *self), void *self, bool *ret_hears,
              struct error *err)
{
    int rc = 0;

    *ret_hears = false;
    if (!db->engine->listen)
        return 0;
    pthread_mutex_lock(&db->lock);
    rc = db->engine->listen(db->self, heard, self, ret_hears, err);
    pthread_mutex_unlock(&db->lock);
    return rc;
}

/* ---- transactions ---- */

static int try_to_begin(struct db *db, enum tx_mode mode, const char *workspace, struct error *err)
{
    if (mode != TX_READ)
        return db->engine->begin(db->self, mode, workspace, err);
    return db->engine->ready ? db->engine->ready(db->self, err) : 0;
}

/* With the lock; waits, without it, for a server that is not there. */
static int begin(struct db *db, enum tx_mode mode, const char *workspace, struct error *err)
{
    const int64_t until = clock_monotonic() + PATIENCE;
    struct error why = ERROR_INIT;

    while (try_to_begin(db, mode, workspace, &why) < 0) {
        if (why.kind != ERR_REMOTE || mode == TX_ROW || clock_monotonic() >= until) {
            *err = why;
            return -1;
        }
        pthread_mutex_unlock(&db->lock);
        usleep(PAUSE_US);
        pthread_mutex_lock(&db->lock);
    }
    if (mode == TX_READ)
        return 0;
    if (check_version(db, err) < 0) {
        db->engine->rollback(db->self);
        return -1;
    }
    db->begun = true;
    db->mode = mode;
    db->tells = false;
    return 0;
}

int tx_begin_in(struct tx *tx, struct db *db, enum tx_mode mode, const char *workspace,
                struct error *err)
{
    pthread_mutex_lock(&db->lock);
    tx->db = db;
    tx->outermost = false;
    if (db->begun && mode == TX_WRITE && db->mode != TX_WRITE)
        return error_set(err, ERR_SYSTEM, "begin a transaction: a durable write inside a note");
    if (db->begun)
        return 0;
    if (begin(db, mode, workspace, err) < 0)
        return -1;
    tx->outermost = mode != TX_READ;
    return 0;
}

int tx_begin(struct tx *tx, struct db *db, enum tx_mode mode, struct error *err)
{
    return tx_begin_in(tx, db, mode, NULL, err);
}

int tx_commit(struct tx *tx, struct error *err)
{
    struct db *db = tx->db;

    if (tx->outermost) {
        if (db->engine->commit(db->self, db->tells, err) < 0)
            return -1;
        tx->outermost = false;
        db->begun = false;
    }
    return 0;
}

void tx_end(struct tx *tx)
{
    struct db *db = tx->db;

    if (!db)
        return;
    if (tx->outermost) {
        db->engine->rollback(db->self);
        db->begun = false;
    }
    pthread_mutex_unlock(&db->lock);
    tx->db = NULL;
}

int tx_lock(struct tx *tx, const char *name, const char *of, struct error *err)
{
    struct db *db = tx->db;

    return db->engine->lock ? db->engine->lock(db->self, name, of, err) : 0;
}

void tx_tell(struct tx *tx)
{
    tx->db->tells = true;
}

bool db_may_retry(struct db *db, int64_t began, const struct error *err)
{
    bool inside;

    if (err->kind != ERR_REMOTE || clock_monotonic() - began >= PATIENCE)
        return false;
    /* Who has begun one has the lock: what is seen here is our own. */
    pthread_mutex_lock(&db->lock);
    inside = db->begun;
    pthread_mutex_unlock(&db->lock);
    if (!inside)
        usleep(PAUSE_US);
    return !inside;
}

/* ---- statements ---- */

void query_init(struct query *q, struct db *db, const char *sql)
{
    *q = (struct query){.db = db, .sql = sql};
    db->engine->query_init(db->self, q, sql);
}

void query_end(struct query *q)
{
    if (q->stmt)
        q->db->engine->query_end(q->db->self, q);
    q->stmt = NULL;
}

void query_text(struct query *q, const char *text)
{
    q->db->engine->query_text(q, text);
}

void query_int(struct query *q, int64_t value)
{
    q->db->engine->query_int(q, value);
}

void query_blob(struct query *q, const void *data, size_t len)
{
    q->db->engine->query_blob(q, data, len);
}

int query_next(struct query *q, bool *ret_row, struct error *err)
{
    return q->db->engine->query_next(q->db->self, q, ret_row, err);
}

bool query_row(struct query *q, int *ret_rc, struct error *err)
{
    bool row;

    *ret_rc = query_next(q, &row, err);
    return *ret_rc == 0 && row;
}

int query_list(struct query *q, const char *what, struct argv *ret, struct error *err)
{
    int rc = 0;

    while (query_row(q, &rc, err))
        argv_push1(ret, query_get_text(q, 0));
    if (rc == 0 && ret->failed)
        return error_set(err, ERR_SYSTEM, "list %s: out of memory", what);
    return rc;
}

int query_run(struct query *q, int64_t *ret_changed, struct error *err)
{
    bool row = true;

    while (row)
        if (query_next(q, &row, err) < 0)
            return -1;
    if (ret_changed)
        *ret_changed = q->db->engine->query_changed(q->db->self, q);
    return 0;
}

void query_reset(struct query *q)
{
    q->db->engine->query_reset(q);
    q->bound = 0;
}

const char *query_get_text(struct query *q, int column)
{
    return q->db->engine->query_get_text(q, column);
}

int64_t query_get_int(struct query *q, int column)
{
    return q->db->engine->query_get_int(q, column);
}

size_t query_get_blob(struct query *q, int column, void *out, size_t max)
{
    return q->db->engine->query_get_blob(q, column, out, max);
}

bool query_is_null(struct query *q, int column)
{
    return q->db->engine->query_is_null(q, column);
}
