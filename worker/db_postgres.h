/* worker/db_postgres — one connection to a PostgreSQL server: what db_postgres.c (the connection
 * and its transactions), db_postgres_schema.c (migrations), db_postgres_query.c (statements) and
 * db_postgres_listen.c (what others tell) share.  These are the users of libpq. */
#ifndef WORKER_DB_POSTGRES_H
#define WORKER_DB_POSTGRES_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/process.h"
#include "worker/db_engine.h"

#define PREPARED_MAX 256 /* statements that a connection keeps prepared */
#define PARAMS_MAX   96  /* eight lines of a log */
#define CHANNEL      64

struct prepared {
    char *sql; /* as it was written */
    Oid types[PARAMS_MAX];
    int n_types;
    char name[16];
};

/* A connection of its own, and the thread that waits at it. */
struct listener {
    pthread_t thread;
    bool started;
    PGconn *conn; /* the thread's; NULL while there is none */
    atomic_bool connected;
    struct cancel quit;
    void (*heard)(void *self);
    void *self;
};

struct postgres {
    char *url;
    PGconn *conn;          /* NULL: none */
    bool inside;           /* a transaction */
    bool cut;              /* the one we are in is lost */
    char place[64];        /* the schema, which separates what shares a database */
    char channel[CHANNEL]; /* for telling */
    char xid[24];          /* of the transaction */
    char server[40];       /* when it started */
    bool has_tables;       /* kiln_schema is there */
    int64_t version;       /* of the schema, when the transaction was begun; 0: not known */

    int64_t next_try; /* clock_monotonic: no new connection before */
    int64_t pause;
    char why[256]; /* there is none */

    atomic_int backend;       /* the server's process for conn: what it tells is our own */
    _Atomic int64_t ahead;    /* of the server's clock, to clock_monotonic */
    _Atomic int64_t compared; /* clock_monotonic: when that was found; 0: never */

    struct prepared prepared[PREPARED_MAX];
    int n_prepared;
    struct listener listener;
};

/* A new connection with all settings; NULL or one with PQstatus: CONNECTION_BAD on failure. */
PGconn *postgres_connect(const char *url);
/* Sets err to what went wrong with res (may be NULL), or else with conn. */
int postgres_fail(PGconn *conn, const PGresult *res, const char *act, struct error *err);
/* Runs statements of our own; *ret_res (may be NULL) is the last one's result. */
MUST_CHECK int postgres_run(struct postgres *p, const char *sql, const char *act,
                            PGresult **ret_res, struct error *err);
/* There is a connection, a new one if need be and it is time to try. */
MUST_CHECK int postgres_ready(void *self, struct error *err);
/* Notes that the connection has broken, if it has. */
void postgres_look(struct postgres *p);

/* When the clocks were not compared for long, as every write does. */
void postgres_compare_clocks(struct postgres *p);

void postgres_forget_prepared(struct postgres *p);

/* See struct db_engine. */
MUST_CHECK int postgres_get_version(void *self, int64_t *ret, struct error *err);
MUST_CHECK int postgres_migrate(void *self, int version, const char *sql, struct error *err);
MUST_CHECK int postgres_look_at_version(void *self, int64_t *ret, struct error *err);

void postgres_query_init(void *self, struct query *q, const char *sql);
void postgres_query_end(void *self, struct query *q);
void postgres_query_text(struct query *q, const char *text);
void postgres_query_int(struct query *q, int64_t value);
void postgres_query_blob(struct query *q, const void *data, size_t len);
MUST_CHECK int postgres_query_next(void *self, struct query *q, bool *ret_row, struct error *err);
int64_t postgres_query_changed(void *self, struct query *q);
void postgres_query_reset(struct query *q);
const char *postgres_query_get_text(struct query *q, int column);
int64_t postgres_query_get_int(struct query *q, int column);
size_t postgres_query_get_blob(struct query *q, int column, void *out, size_t max);
bool postgres_query_is_null(struct query *q, int column);

MUST_CHECK int postgres_listen(void *self, void (*heard)(void *self), void *heard_self,
                               bool *ret_hears, struct error *err);
void postgres_listen_end(struct postgres *p);

#endif
