/* builder/packages_rpm_sqlite — rpm's database as SQLite's library reads it: the table Packages,
 * whose column blob has the headers.
 *
 * The file may be made to do harm, so of the library there is only what reading one table needs
 * (sqlite.org/security.html): no virtual tables, views, triggers, computed columns or functions of
 * the file's choice; small limits; and an end after so many of its steps.  It is mapped to memory
 * and opened from there, so that no path, lock or journal plays a part.  A change that is only in
 * the log beside it (rpmdb.sqlite-wal) is not seen; that file counts as one that cannot be read. */
#include <sqlite3.h>
#include <string.h>
#include <sys/mman.h>

#include "builder/packages_rpm.h"

#define STEPS      1000 /* of the library's machine, between two looks */
#define ROWS_LOOKS 1000 /* a row takes about four steps: 250,000 rows */
#define SCHEMA_LOOKS                                                                               \
    20              /* what takes the library long, where there are many tables; rpm has twenty */
#define VERSIONS 18 /* offset of the format's two: 2 is "with a log", 1 without */
#define QUERY    "select blob from main.Packages"
#define COLUMNS  "pragma main.table_xinfo(Packages)"
#define NAME     1 /* of that pragma's columns: the column's name, … */
#define HIDDEN   6 /* … and 0 unless it is computed */

struct opened {
    sqlite3 *db;
    sqlite3_stmt *statement;
    void *map;
    size_t size;
    int looks, looks_max;
};

static void opened_release(struct opened *o)
{
    (void)sqlite3_finalize(o->statement);
    (void)sqlite3_close(o->db);
    if (o->map != MAP_FAILED)
        (void)munmap(o->map, o->size);
}

static int look(void *self)
{
    struct opened *o = self;

    return ++o->looks > o->looks_max;
}

static bool restrict_it(struct opened *o)
{
    static const struct {
        int what, value;
    } limits[] = {{SQLITE_LIMIT_LENGTH, (int)PACKAGES_RPM_BLOB_MAX},
                  {SQLITE_LIMIT_SQL_LENGTH, 16384},
                  {SQLITE_LIMIT_COLUMN, 64},
                  {SQLITE_LIMIT_EXPR_DEPTH, 16},
                  {SQLITE_LIMIT_COMPOUND_SELECT, 1},
                  {SQLITE_LIMIT_VDBE_OP, 4096},
                  {SQLITE_LIMIT_FUNCTION_ARG, 4},
                  {SQLITE_LIMIT_ATTACHED, 0},
                  {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
                  {SQLITE_LIMIT_WORKER_THREADS, 0}};
    static const struct {
        int what, value;
    } switches[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0}};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        (void)sqlite3_limit(o->db, limits[i].what, limits[i].value);
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
        if (sqlite3_db_config(o->db, switches[i].what, switches[i].value, (int *)NULL) != SQLITE_OK)
            return false;
    sqlite3_progress_handler(o->db, STEPS, look, o);
    return sqlite3_drop_modules(o->db, NULL) == SQLITE_OK;
}

/* A private mapping: the library takes a database from memory only if it says that it has no log.
 */
static bool open_it(const struct packages_rpm *r, struct opened *o)
{
    unsigned char *bytes;

    o->size = (size_t)r->size;
    if (o->size < 512)
        return false;
    o->map = mmap(NULL, o->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, r->fd, 0);
    if (o->map == MAP_FAILED)
        return false;
    bytes = o->map;
    bytes[VERSIONS] = bytes[VERSIONS + 1] = 1;
    if (sqlite3_open_v2(":memory:", &o->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return false;
    return restrict_it(o) &&
           sqlite3_deserialize(o->db, "main", bytes, (sqlite3_int64)o->size, (sqlite3_int64)o->size,
                               SQLITE_DESERIALIZE_READONLY) == SQLITE_OK;
}

static bool prepare(struct opened *o, const char *sql)
{
    (void)sqlite3_finalize(o->statement);
    o->statement = NULL;
    return sqlite3_prepare_v2(o->db, sql, -1, &o->statement, NULL) == SQLITE_OK;
}

/* Whether the column is there, and none is computed. */
static bool is_plain(struct opened *o)
{
    bool found = false;
    int result;

    o->looks_max = SCHEMA_LOOKS;
    if (!prepare(o, COLUMNS))
        return false;
    while ((result = sqlite3_step(o->statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(o->statement, NAME);

        if (sqlite3_column_int(o->statement, HIDDEN) != 0)
            return false;
        found = found || (name && strcmp(name, "blob") == 0);
    }
    return result == SQLITE_DONE && found;
}

static bool read_rows(struct packages_rpm *r, struct opened *o)
{
    int result;

    o->looks_max = ROWS_LOOKS;
    if (!prepare(o, QUERY))
        return false;
    while ((result = sqlite3_step(o->statement)) == SQLITE_ROW) {
        const void *blob = sqlite3_column_blob(o->statement, 0);
        const int len = sqlite3_column_bytes(o->statement, 0);

        if (!packages_rpm_take(r, (uint64_t)len))
            return false;
        packages_rpm_add(r, blob ? blob : "", (size_t)len);
    }
    return result == SQLITE_DONE;
}

bool packages_rpm_read_sqlite(struct packages_rpm *r)
{
    CLEANUP(opened_release) struct opened o = {.map = MAP_FAILED};

    return open_it(r, &o) && is_plain(&o) && read_rows(r, &o);
}
