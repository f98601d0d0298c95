/* worker/db_postgres_query — statements: translated and prepared at their first use, run with typed
 * parameters, and read as text. */
#include <string.h>

#include "base/text.h"
#include "worker/db_postgres.h"
#include "worker/dialect.h"

/* Types of parameters and columns, as PostgreSQL numbers them (its pg_type.dat). */
#define BOOL_TYPE  16
#define BYTEA_TYPE 17
#define INT8_TYPE  20
#define TEXT_TYPE  25

#define READ_WAIT (2 * NS_PER_SEC) /* for a server that went away while it was asked */
#define PAUSE_US  50000

struct statement {
    const char *sql;
    Oid types[PARAMS_MAX];
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    int formats[PARAMS_MAX]; /* 1: bytes */
    char numbers[PARAMS_MAX][24];
    char *copies[PARAMS_MAX]; /* of texts that were no UTF-8 */
    PGresult *res;            /* NULL: not run yet */
    int row;                  /* the current one */
};

/* ---- binding ---- */

enum { BIND_FAILED = 1 };

void postgres_query_init(void *self, struct query *q, const char *sql)
{
    struct statement *s = calloc(1, sizeof(*s));

    (void)self;
    if (s)
        s->sql = sql;
    q->stmt = s;
    q->code = s ? 0 : BIND_FAILED;
}

static void forget_values(struct statement *s)
{
    for (size_t i = 0; i < PARAMS_MAX; i++) {
        free(s->copies[i]);
        s->copies[i] = NULL;
    }
    PQclear(s->res);
    s->res = NULL;
}

void postgres_query_end(void *self, struct query *q)
{
    (void)self;
    forget_values(q->stmt);
    free(q->stmt);
}

void postgres_query_reset(struct query *q)
{
    if (q->stmt)
        forget_values(q->stmt);
}

/* The next parameter's place; -1: there is none. */
static int bind(struct query *q, Oid type, const char *value, int length, bool bytes)
{
    struct statement *s = q->stmt;
    const int i = q->bound++;

    if (q->code || i >= PARAMS_MAX) {
        q->code = BIND_FAILED;
        return -1;
    }
    s->types[i] = type;
    s->values[i] = value;
    s->lengths[i] = length;
    s->formats[i] = bytes;
    return i;
}

/* A server refuses text that is not UTF-8, which SQLite keeps as it is: "?" for each byte of it. */
static char *made_utf8(const char *text)
{
    char *copy = strdup(text);
    size_t len = strlen(text);

    for (size_t i = 0; copy && i < len;) {
        size_t n = text_utf8_length(copy + i, len - i);

        if (n == 0)
            copy[i] = '?';
        i += n ? n : 1;
    }
    return copy;
}

void postgres_query_text(struct query *q, const char *text)
{
    struct statement *s = q->stmt;
    const int i = bind(q, TEXT_TYPE, text, 0, false);

    if (i < 0 || !text || text_is_utf8(text, strlen(text)))
        return;
    s->values[i] = s->copies[i] = made_utf8(text);
    if (!s->copies[i])
        q->code = BIND_FAILED;
}

void postgres_query_int(struct query *q, int64_t value)
{
    struct statement *s = q->stmt;
    const int i = bind(q, INT8_TYPE, NULL, 0, false);

    if (i < 0)
        return;
    (void)snprintf(s->numbers[i], sizeof(s->numbers[i]), "%lld", (long long)value);
    s->values[i] = s->numbers[i];
}

void postgres_query_blob(struct query *q, const void *data, size_t len)
{
    (void)bind(q, BYTEA_TYPE, data, (int)len, true);
}

/* ---- preparing ---- */

void postgres_forget_prepared(struct postgres *p)
{
    for (int i = 0; i < p->n_prepared; i++)
        free(p->prepared[i].sql);
    p->n_prepared = 0;
}

static const struct prepared *find_prepared(const struct postgres *p, const struct statement *s,
                                            int n)
{
    for (int i = 0; i < p->n_prepared; i++) {
        const struct prepared *have = &p->prepared[i];

        if (have->n_types == n && strcmp(have->sql, s->sql) == 0 &&
            memcmp(have->types, s->types, (size_t)n * sizeof(Oid)) == 0)
            return have;
    }
    return NULL;
}

static int count_is_wrong(int bound, int params, struct error *err)
{
    return error_set(err, ERR_SYSTEM, "a statement has %d parameters and %d were bound", params,
                     bound);
}

/* Sends it to be prepared, and keeps it. */
static int prepare(struct postgres *p, const struct statement *s, int n,
                   const struct prepared **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(1 << 20);
    struct prepared *new;
    PGresult *res;
    int params;

    if (p->n_prepared == PREPARED_MAX) {
        PQclear(PQexec(p->conn, "deallocate all"));
        postgres_forget_prepared(p);
    }
    dialect_to_postgres(s->sql, &sql, &params);
    if (params != n)
        return count_is_wrong(n, params, err);
    new = &p->prepared[p->n_prepared];
    *new = (struct prepared){.sql = strdup(s->sql), .n_types = n};
    if (!new->sql || buf_check(&sql, "a statement", err) < 0)
        return error_set(err, ERR_SYSTEM, "ask the database: out of memory");
    memcpy(new->types, s->types, (size_t)n * sizeof(Oid));
    (void)snprintf(new->name, sizeof(new->name), "s%d", p->n_prepared);
    res = PQprepare(p->conn, new->name, buf_str(&sql), n, new->types);
    if (PQresultStatus(res) != PGRES_COMMAND_OK) {
        postgres_fail(p->conn, res, "ask", err);
        free(new->sql);
        PQclear(res);
        postgres_look(p);
        return -1;
    }
    PQclear(res);
    p->n_prepared++;
    *ret = new;
    return 0;
}

/* ---- running ---- */

static int run_once(struct postgres *p, struct statement *s, int n, struct error *err)
{
    const struct prepared *prepared = find_prepared(p, s, n);
    ExecStatusType status;

    if (!prepared && prepare(p, s, n, &prepared, err) < 0)
        return -1;
    s->res = PQexecPrepared(p->conn, prepared->name, n, s->values, s->lengths, s->formats, 0);
    s->row = -1;
    status = PQresultStatus(s->res);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return 0;
    postgres_fail(p->conn, s->res, "ask", err);
    PQclear(s->res);
    s->res = NULL;
    postgres_look(p);
    return -1;
}

/* A read outside of transactions is done again where the connection broke. */
static int run_outside(struct postgres *p, struct statement *s, int n, struct error *err)
{
    const int64_t until = clock_monotonic() + READ_WAIT;
    struct error why = ERROR_INIT;

    for (;;) {
        bool ready = postgres_ready(p, &why) == 0;

        if (ready)
            postgres_compare_clocks(p);
        if (ready && p->conn && run_once(p, s, n, &why) == 0)
            return 0;
        if (why.kind != ERR_REMOTE || clock_monotonic() >= until ||
            (ready && !text_starts(s->sql, "select")))
            break;
        usleep(PAUSE_US);
    }
    *err = why;
    return -1;
}

static int run(struct postgres *p, struct query *q, struct error *err)
{
    struct statement *s = q->stmt;

    if (q->code)
        return error_set(err, ERR_SYSTEM,
                         "ask the database: out of memory, or of room for parameters");
    if (!p->inside)
        return run_outside(p, s, q->bound, err);
    if (p->cut || !p->conn)
        return error_set(err, ERR_REMOTE, "database server: the connection broke in a transaction");
    return run_once(p, s, q->bound, err);
}

int postgres_query_next(void *self, struct query *q, bool *ret_row, struct error *err)
{
    struct statement *s = q->stmt;

    if ((!s || !s->res) && run(self, q, err) < 0)
        return -1;
    *ret_row = ++s->row < PQntuples(s->res);
    return 0;
}

int64_t postgres_query_changed(void *self, struct query *q)
{
    const struct statement *s = q->stmt;

    (void)self;
    return strtoll(PQcmdTuples(s->res), NULL, 10);
}

/* ---- reading ---- */

const char *postgres_query_get_text(struct query *q, int column)
{
    const struct statement *s = q->stmt;

    return PQgetvalue(s->res, s->row, column); /* "" for NULL */
}

int64_t postgres_query_get_int(struct query *q, int column)
{
    const struct statement *s = q->stmt;
    const char *text = PQgetvalue(s->res, s->row, column);

    if (PQftype(s->res, column) == BOOL_TYPE)
        return *text == 't';
    return strtoll(text, NULL, 10);
}

size_t postgres_query_get_blob(struct query *q, int column, void *out, size_t max)
{
    const struct statement *s = q->stmt;
    size_t len = 0;
    unsigned char *data =
        PQunescapeBytea((const unsigned char *)PQgetvalue(s->res, s->row, column), &len);

    if (!data)
        return 0;
    if (len > max)
        len = max;
    memcpy(out, data, len);
    PQfreemem(data);
    return len;
}

bool postgres_query_is_null(struct query *q, int column)
{
    const struct statement *s = q->stmt;

    return PQgetisnull(s->res, s->row, column);
}
