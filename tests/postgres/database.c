#include "tests/postgres/database.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA_OPTION "options=-csearch_path%3D"

static const char *server(void)
{
    const char *url = getenv("KILN_TEST_DATABASE");

    return url && *url ? url : NULL;
}

bool database_is_remote(void)
{
    return server() != NULL;
}

bool database_run(const char *url, const char *sql, long long *ret)
{
    PGconn *conn = PQconnectdb(url);
    PGresult *res = PQexec(conn, sql);
    const ExecStatusType status = PQresultStatus(res);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

    if (!good)
        (void)fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(conn));
    if (good && ret)
        *ret = strtoll(PQntuples(res) ? PQgetvalue(res, 0, 0) : "0", NULL, 10);
    PQclear(res);
    PQfinish(conn);
    return good;
}

/* One, as a test follows the other; "" without any. */
static char left[DATABASE_URL];

void database_leave(const char *url)
{
    (void)snprintf(left, sizeof(left), "%s", url);
}

/* Keys that refer to others' are not looked at where a replica is written. */
static const char forget_rows[] =
    "set session_replication_role = replica;"
    "do $$ declare t text; begin"
    " for t in select tablename from pg_tables where schemaname = current_schema()"
    "  and tablename <> 'kiln_schema' loop"
    "  execute format('delete from %I', t); end loop; end $$";

bool database_get(char url[DATABASE_URL])
{
    static unsigned made;
    char sql[64], name[32];

    if (left[0]) {
        memcpy(url, left, sizeof(left));
        left[0] = '\0';
        return database_run(url, forget_rows, NULL);
    }

    (void)snprintf(name, sizeof(name), "t%d_%u", (int)getpid(), made++);
    (void)snprintf(sql, sizeof(sql), "create schema %s", name);
    (void)snprintf(url, DATABASE_URL, "%s%c%s%s", server(), strchr(server(), '?') ? '&' : '?',
                   SCHEMA_OPTION, name);
    return database_run(server(), sql, NULL);
}

bool database_drop(const char *url)
{
    const char *name = strstr(url, SCHEMA_OPTION);
    char sql[96];

    (void)snprintf(sql, sizeof(sql), "set client_min_messages = error; drop schema %s cascade",
                   name + strlen(SCHEMA_OPTION));
    return database_run(server(), sql, NULL);
}
