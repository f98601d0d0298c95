/* worker/db_postgres — worker/db on a PostgreSQL server: connecting, and transactions.
 *
 * Isolation is "read committed", and what SQLite has by its one writer is had by advisory locks,
 * taken as a transaction begins, so that all its statements see what was committed before:
 *
 *   a write                 "writers" alone
 *   a write in a workspace  "writers" shared, and the workspace's lock alone
 *   TX_ROW                  none: it locks its row
 *
 * So no transaction fails because of another one, and those of different workspaces do not wait for
 * each other.  Names of locks begin with the schema, as several Kilns may share a database.
 *
 * When the connection breaks during a commit nobody knows whether it was done.  The server is asked
 * for what became of the transaction's number then (pg_xact_status).  A number may be given out
 * anew by a server that crashed, so "committed" counts only from one that has not been started
 * again; otherwise it is said that nobody knows. */
#include "worker/db_postgres.h"

#include <string.h>

#include "base/digest.h"
#include "base/text.h"

#define PAUSE_MIN   (50 * NS_PER_MS) /* between two tries to connect */
#define PAUSE_MAX   NS_PER_SEC
#define COMMIT_WAIT (60 * NS_PER_SEC) /* to learn what became of one */
#define CLOCK_AGE   (10 * NS_PER_SEC)
#define WRITERS     "writers"

/* ---- errors ---- */

/* SQLSTATEs (PostgreSQL's documentation, appendix A) of what may go well another time: connections,
 * conflicts with others, too many clients, a server that stops or starts. */
static bool is_passing(const char *state)
{
    static const char *const classes[] = {"08", "40", "53", "57", NULL};

    for (size_t i = 0; classes[i]; i++)
        if (text_starts(state, classes[i]))
            return true;
    return strcmp(state, "55P03") == 0 || strcmp(state, "25P03") == 0;
}

int postgres_fail(PGconn *conn, const PGresult *res, const char *act, struct error *err)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const bool broken = PQstatus(conn) == CONNECTION_BAD;

    if (!text || !*text)
        text = PQerrorMessage(conn);
    return error_set(err, broken || (state && is_passing(state)) ? ERR_REMOTE : ERR_SYSTEM,
                     "database server: %s: %.*s", act, (int)strcspn(text, "\n"), text);
}

void postgres_look(struct postgres *p)
{
    if (!p->conn || PQstatus(p->conn) == CONNECTION_OK)
        return;
    p->cut = p->inside;
    PQfinish(p->conn);
    p->conn = NULL;
    postgres_forget_prepared(p);
}

int postgres_run(struct postgres *p, const char *sql, const char *act, PGresult **ret_res,
                 struct error *err)
{
    PGresult *res = PQexec(p->conn, sql);
    const ExecStatusType status = PQresultStatus(res);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        postgres_fail(p->conn, res, act, err);
        PQclear(res);
        postgres_look(p);
        return -1;
    }
    if (ret_res)
        *ret_res = res;
    else
        PQclear(res);
    return 0;
}

/* ---- connecting ---- */

static void ignore_notice(void *self, const char *text)
{
    (void)self;
    (void)text;
}

/* What is not in the URL.  A peer that is gone is noticed by TCP within some 20 s; of several hosts
 * the one is meant that can be written to. */
PGconn *postgres_connect(const char *url)
{
    static const char *const names[] = {"connect_timeout",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "application_name",
                                        "client_encoding",
                                        "target_session_attrs",
                                        "dbname",
                                        NULL};
    const char *const values[] = {"5",    "10",   "3",          "3", "15000",
                                  "kiln", "UTF8", "read-write", url, NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);

    if (conn)
        PQsetNoticeProcessor(conn, ignore_notice, NULL);
    return conn;
}

/* A client that is stopped, or cut off, must not keep all others waiting.  Statements here are
 * short and have their indexes; without a sort the oldest queued build is the first of its index,
 * however little the planner knows yet of a queue that has just become long. */
static const char settings[] = "set client_min_messages = warning;"
                               "set enable_sort = off;"
                               "set jit = off;"
                               "set idle_in_transaction_session_timeout = '15s';"
                               "set lock_timeout = '20s';"
                               "select current_schema(), pg_postmaster_start_time()";

static int set_up(struct postgres *p, struct error *err)
{
    char hex[SHA256_HEX];
    PGresult *res;

    if (postgres_run(p, settings, "connect", &res, err) < 0)
        return -1;
    (void)snprintf(p->server, sizeof(p->server), "%s", PQgetvalue(res, 0, 1));
    if (!*p->place) { /* the first time; the listener reads the channel later */
        (void)snprintf(p->place, sizeof(p->place), "%s", PQgetvalue(res, 0, 0));
        digest_sha256_hex(p->place, strlen(p->place), hex); /* one that needs no quotes */
        (void)snprintf(p->channel, sizeof(p->channel), "kiln_%.16s", hex);
    }
    PQclear(res);
    if (!*p->place)
        return error_set(err, ERR_INPUT,
                         "database server: there is no schema that search_path names");
    atomic_store(&p->backend, PQbackendPID(p->conn));
    return 0;
}

int postgres_ready(void *self, struct error *err)
{
    struct postgres *p = self;
    const int64_t now = clock_monotonic();
    struct error why = ERROR_INIT;

    if (p->conn)
        return 0;
    if (now < p->next_try)
        return error_set(err, ERR_REMOTE, "%s", p->why);
    p->conn = postgres_connect(p->url);
    if (p->conn && PQstatus(p->conn) == CONNECTION_OK && set_up(p, &why) == 0) {
        p->pause = 0;
        return 0;
    }
    if (why.kind == ERR_NONE)
        (void)error_set(&why, ERR_REMOTE, "database server: %.*s",
                        (int)strcspn(PQerrorMessage(p->conn), "\n"), PQerrorMessage(p->conn));
    PQfinish(p->conn);
    p->conn = NULL;
    p->pause = p->pause ? p->pause * 2 : PAUSE_MIN;
    if (p->pause > PAUSE_MAX)
        p->pause = PAUSE_MAX;
    p->next_try = clock_monotonic() + p->pause;
    (void)snprintf(p->why, sizeof(p->why), "%.255s", why.msg);
    *err = why;
    return -1;
}

static void postgres_close(void *self)
{
    struct postgres *p = self;

    postgres_listen_end(p);
    postgres_forget_prepared(p);
    PQfinish(p->conn);
    free(p->url);
    free(p);
}

static int postgres_open(const char *path, void **ret_self, struct error *err)
{
    struct postgres *p = calloc(1, sizeof(*p));

    if (p)
        p->url = strdup(path);
    if (!p || !p->url) {
        free(p);
        return error_set(err, ERR_SYSTEM, "open the database: out of memory");
    }
    if (postgres_ready(p, err) < 0) {
        postgres_close(p);
        return -1;
    }
    *ret_self = p;
    return 0;
}

/* ---- the clock ---- */

/* The server said so just now; in microseconds. */
static void note_time(struct postgres *p, const char *microseconds)
{
    const int64_t now = clock_monotonic();

    atomic_store(&p->ahead, strtoll(microseconds, NULL, 10) * 1000 - now);
    atomic_store(&p->compared, now);
}

#define SERVER_TIME "(extract(epoch from clock_timestamp()) * 1000000)::bigint"

/* Every write compares the clocks as it begins, so what it stores is the server's time. */
static int64_t server_now(void *self)
{
    struct postgres *p = self;

    return clock_monotonic() + atomic_load(&p->ahead);
}

static struct clock postgres_clock(void *self)
{
    return (struct clock){server_now, self};
}

void postgres_compare_clocks(struct postgres *p)
{
    struct error ignored = ERROR_INIT;
    PGresult *res;

    if (clock_monotonic() - atomic_load(&p->compared) < CLOCK_AGE ||
        postgres_run(p, "select " SERVER_TIME, "read its clock", &res, &ignored) < 0)
        return;
    note_time(p, PQgetvalue(res, 0, 0));
    PQclear(res);
}

/* ---- transactions ---- */

/* pg_advisory_lock's number of a name. */
static long long lock_number(const struct postgres *p, const char *name, const char *of)
{
    unsigned char hash[SHA256_SIZE];
    char text[256];
    uint64_t number = 0;

    (void)snprintf(text, sizeof(text), "%s %s %s", p->place, name, of);
    digest_sha256(text, strlen(text), hash);
    for (size_t i = 0; i < sizeof(number); i++)
        number = number << 8 | hash[i];
    return (long long)number;
}

static void add_locks(const struct postgres *p, enum tx_mode mode, const char *workspace,
                      struct buf *out)
{
    const long long writers = lock_number(p, WRITERS, "");

    if (mode == TX_ROW)
        return;
    if (workspace)
        buf_addf(out, " select pg_advisory_xact_lock_shared(%lld), pg_advisory_xact_lock(%lld);",
                 writers, lock_number(p, "workspace", workspace));
    else
        buf_addf(out, " select pg_advisory_xact_lock(%lld);", writers);
}

/* However long its owner is busy with what it has read. */
static int begin_snapshot(struct postgres *p, struct error *err)
{
    p->xid[0] = '\0'; /* it has none */
    return postgres_run(p,
                        "begin isolation level repeatable read, read only;"
                        " set local idle_in_transaction_session_timeout = 0",
                        "begin a transaction", NULL, err);
}

/* In one request.  What is looked at once the locks are had is what there is then: each of the
 * statements sees all that was committed before it. */
static int begin(struct postgres *p, enum tx_mode mode, const char *workspace, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(1024);
    PGresult *res;

    if (mode == TX_SNAPSHOT)
        return begin_snapshot(p, err);
    buf_addf(&sql, "begin isolation level read committed;%s",
             mode == TX_WRITE ? "" : " set local synchronous_commit = off;");
    add_locks(p, mode, workspace, &sql);
    buf_addf(&sql, " select pg_current_xact_id(), " SERVER_TIME ", %s",
             p->has_tables ? "(select max(version) from kiln_schema)" : "0");
    if (postgres_run(p, buf_str(&sql), "begin a transaction", &res, err) < 0)
        return -1;
    (void)snprintf(p->xid, sizeof(p->xid), "%s", PQgetvalue(res, 0, 0));
    note_time(p, PQgetvalue(res, 0, 1));
    p->version = strtoll(PQgetvalue(res, 0, 2), NULL, 10);
    PQclear(res);
    return 0;
}

static void postgres_rollback(void *self)
{
    struct postgres *p = self;

    if (p->conn && PQtransactionStatus(p->conn) != PQTRANS_IDLE) {
        PQclear(PQexec(p->conn, "rollback"));
        postgres_look(p);
    }
    p->inside = p->cut = false;
}

static int postgres_begin(void *self, enum tx_mode mode, const char *workspace, struct error *err)
{
    struct postgres *p = self;

    if (postgres_ready(p, err) < 0)
        return -1;
    if (begin(p, mode, workspace, err) < 0) {
        postgres_rollback(p); /* the half of it that was begun */
        return -1;
    }
    p->inside = true;
    return 0;
}

/* What became of the transaction, to whose commit there was no answer. */
static int ask_what_became(struct postgres *p, char ret_status[16], struct error *err)
{
    const char *values[] = {p->xid};
    char before[sizeof(p->server)];
    PGresult *res;

    memcpy(before, p->server, sizeof(before));
    if (postgres_ready(p, err) < 0)
        return -1;
    res = PQexecParams(p->conn, "select pg_xact_status($1::xid8)", 1, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(res) != PGRES_TUPLES_OK) {
        postgres_fail(p->conn, res, "ask what became of a transaction", err);
        PQclear(res);
        postgres_look(p);
        memcpy(p->server, before, sizeof(before));
        return -1;
    }
    (void)snprintf(ret_status, 16, "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
    if (strcmp(before, p->server) != 0 && strcmp(ret_status, "aborted") != 0)
        (void)snprintf(ret_status, 16, "unknown");
    return 0;
}

static int learn_of_commit(struct postgres *p, struct error *err)
{
    const int64_t until = clock_monotonic() + COMMIT_WAIT;
    char status[16] = "unknown";
    struct error ignored = ERROR_INIT;

    p->inside = p->cut = false; /* the next connection's is another */
    while (clock_monotonic() < until) {
        if (ask_what_became(p, status, &ignored) == 0 && strcmp(status, "in progress") != 0)
            break;
        usleep(PAUSE_MIN / 1000);
    }
    if (strcmp(status, "committed") == 0)
        return 0;
    if (strcmp(status, "aborted") == 0)
        return error_set(err, ERR_REMOTE, "database server: the connection broke before a commit");
    return error_set(err, ERR_REMOTE,
                     "database server: the connection broke in a commit, and it is not known "
                     "whether that was done");
}

static int postgres_commit(void *self, bool tells, struct error *err)
{
    struct postgres *p = self;
    struct error why = ERROR_INIT;
    char sql[CHANNEL + 32];
    PGresult *res;
    bool done;

    if (p->cut || !p->conn)
        return error_set(err, ERR_REMOTE, "database server: the connection broke in a transaction");
    (void)snprintf(sql, sizeof(sql), "notify %s; commit", p->channel);
    if (postgres_run(p, tells ? sql : "commit", "commit", &res, &why) < 0) {
        if (!p->conn)
            return learn_of_commit(p, err);
        *err = why;
        return -1;
    }
    done = strcmp(PQcmdStatus(res), "COMMIT") == 0;
    PQclear(res);
    if (!done) /* it had failed before */
        return error_set(err, ERR_SYSTEM, "database server: commit: it was rolled back");
    p->inside = false;
    return 0;
}

static int postgres_lock(void *self, const char *name, const char *of, struct error *err)
{
    struct postgres *p = self;
    char sql[80];

    if (p->cut || !p->conn)
        return error_set(err, ERR_REMOTE, "database server: the connection broke in a transaction");
    (void)snprintf(sql, sizeof(sql), "select pg_advisory_xact_lock(%lld)",
                   lock_number(p, name, of));
    return postgres_run(p, sql, "take a lock", NULL, err);
}

const struct db_engine db_postgres = {
    .open = postgres_open,
    .close = postgres_close,
    .ready = postgres_ready,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .lock = postgres_lock,
    .get_version = postgres_get_version,
    .migrate = postgres_migrate,
    .look_at_version = postgres_look_at_version,
    .clock = postgres_clock,
    .listen = postgres_listen,
    .query_init = postgres_query_init,
    .query_end = postgres_query_end,
    .query_text = postgres_query_text,
    .query_int = postgres_query_int,
    .query_blob = postgres_query_blob,
    .query_next = postgres_query_next,
    .query_changed = postgres_query_changed,
    .query_reset = postgres_query_reset,
    .query_get_text = postgres_query_get_text,
    .query_get_int = postgres_query_get_int,
    .query_get_blob = postgres_query_get_blob,
    .query_is_null = postgres_query_is_null,
};
