/* worker/db_postgres_schema — the schema's version, and the migrations in PostgreSQL's words. */
#include "worker/db_postgres.h"
#include "worker/dialect.h"

static int look_for_tables(struct postgres *p, struct error *err)
{
    PGresult *res;

    if (p->has_tables)
        return 0;
    if (postgres_run(p, "select to_regclass('kiln_schema') is not null",
                     "read the database's version", &res, err) < 0)
        return -1;
    p->has_tables = *PQgetvalue(res, 0, 0) == 't';
    PQclear(res);
    return 0;
}

int postgres_get_version(void *self, int64_t *ret, struct error *err)
{
    struct postgres *p = self;
    PGresult *res;

    *ret = 0;
    if (look_for_tables(p, err) < 0)
        return -1;
    if (!p->has_tables)
        return 0;
    if (postgres_run(p, "select max(version) from kiln_schema", "read the database's version", &res,
                     err) < 0)
        return -1;
    *ret = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
    PQclear(res);
    return 0;
}

int postgres_look_at_version(void *self, int64_t *ret, struct error *err)
{
    (void)err;
    *ret = ((struct postgres *)self)->version;
    return 0;
}

/* Before the first version: what the statements use that SQLite has of itself.  After it: queued
 * builds of one moment go in the order that SQLite's rowid has.  The same for any later version
 * that cannot say with common words what it needs. */
static const char before_all[] =
    "create table kiln_schema (version bigint primary key, since timestamptz default now());"
    "create function json_extract(document text, path text) returns text language sql immutable"
    " parallel safe as $$ select (document::json #> string_to_array(substr(path, 3), '.'))"
    " #>> '{}' $$;";
static const char after_first[] =
    "alter table builds add column rowid bigint generated always as identity;"
    "drop index builds_queued;"
    "create index builds_queued on builds (uploaded, rowid) where phase = 1;";

int postgres_migrate(void *self, int version, const char *sql, struct error *err)
{
    CLEANUP(buf_release) struct buf script = BUF_INIT(1 << 20);
    int unused;

    if (version == 1)
        buf_adds(&script, before_all);
    dialect_to_postgres(sql, &script, &unused);
    buf_adds(&script, ";");
    if (version == 1)
        buf_adds(&script, after_first);
    buf_addf(&script, "insert into kiln_schema (version) values (%d)", version);
    if (buf_check(&script, "a migration", err) < 0)
        return -1;
    if (postgres_run(self, buf_str(&script), "update the database's schema", NULL, err) < 0)
        return -1;
    ((struct postgres *)self)->has_tables = true;
    return 0;
}
