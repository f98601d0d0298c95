/* worker/db_copy — see the header.
 *
 * SQLite tells what tables and columns there are.  Rows are read in the order of their key, a page
 * at a time; PostgreSQL gets a page as one JSON document, SQLite row by row. */
#include "worker/db_copy.h"

#include <jansson.h>
#include <string.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/text.h"

#define COLUMNS_MAX 64
#define NAME_MAX_   64
#define SQL_MAX     16384
#define BLOB_MAX    (1 << 20)
/* Rows of a page: between these, so that a page is about so large. */
#define PAGE_MIN   8
#define PAGE_MAX   1024
#define PAGE_BYTES (1 << 20)

struct column {
    char name[NAME_MAX_];
    enum { IS_TEXT, IS_NUMBER, IS_BYTES } type;
    int key; /* place in the primary key, from 1; 0: not in it */
};

struct table {
    const char *name;
    struct column columns[COLUMNS_MAX];
    int n;
    /* Builds are queued in the order of their rowid, which PostgreSQL's table has as a column. */
    bool by_rowid;
    int n_keys;
};

/* ---- what there is ---- */

/* One that refers to another was made after it. */
static int list_tables(struct db *sqlite, struct argv *ret, struct error *err)
{
    QUERY(q, sqlite,
          "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'"
          " order by rowid");
    return query_list(&q, "tables", ret, err);
}

static int add_column(struct table *t, struct query *q, struct error *err)
{
    struct column *c = &t->columns[t->n];
    const char *name = query_get_text(q, 0);
    const char *type = query_get_text(q, 1);

    if (t->n == COLUMNS_MAX || strlen(name) >= sizeof(c->name))
        return error_set(err, ERR_SYSTEM, "table %s: too many columns", t->name);
    *c = (struct column){.key = (int)query_get_int(q, 2)};
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    c->type = strcmp(type, "integer") == 0 ? IS_NUMBER
              : strcmp(type, "blob") == 0  ? IS_BYTES
                                           : IS_TEXT;
    t->n++;
    t->n_keys += c->key > 0;
    return 0;
}

static int read_table(struct db *sqlite, const char *name, struct table *ret, struct error *err)
{
    int rc = 0;

    *ret = (struct table){.name = name, .by_rowid = strcmp(name, "builds") == 0};
    QUERY(q, sqlite, "select name, lower(type), pk from pragma_table_info(?) order by cid");
    query_text(&q, name);
    while (query_row(&q, &rc, err))
        if (add_column(ret, &q, err) < 0)
            return -1;
    if (rc < 0)
        return -1;
    return ret->n_keys ? 0 : error_set(err, ERR_SYSTEM, "table %s has no primary key", name);
}

/* ---- statements ---- */

static const struct column *key_column(const struct table *t, int key)
{
    for (int i = 0; i < t->n; i++)
        if (t->columns[i].key == key)
            return &t->columns[i];
    return NULL;
}

static void add_columns(const struct table *t, struct buf *sql)
{
    for (int i = 0; i < t->n; i++)
        buf_addf(sql, "%s%s", i ? ", " : "", t->columns[i].name);
}

static void add_keys(const struct table *t, const char *each, struct buf *sql)
{
    for (int k = 1; k <= t->n_keys; k++)
        buf_addf(sql, "%s%s", k > 1 ? ", " : "", *each ? each : key_column(t, k)->name);
}

/* The last column is the rowid, where that is the key. */
static void write_select(const struct table *t, bool first, struct buf *sql)
{
    buf_adds(sql, "select ");
    add_columns(t, sql);
    if (t->by_rowid) {
        buf_addf(sql, ", rowid from %s%s order by rowid limit ?", t->name,
                 first ? "" : " where rowid > ?");
        return;
    }
    buf_addf(sql, " from %s", t->name);
    if (!first) {
        buf_adds(sql, " where (");
        add_keys(t, "", sql);
        buf_adds(sql, ") > (");
        add_keys(t, "?", sql);
        buf_adds(sql, ")");
    }
    buf_adds(sql, " order by ");
    add_keys(t, "", sql);
    buf_adds(sql, " limit ?");
}

static void write_insert(const struct table *t, bool server, struct buf *sql)
{
    buf_addf(sql, "insert into %s (", t->name);
    add_columns(t, sql);
    buf_adds(sql, ")");
    if (server) {
        buf_adds(sql, " select ");
        add_columns(t, sql);
        buf_addf(sql, " from json_populate_recordset(null::%s, ?::json)", t->name);
        return;
    }
    buf_adds(sql, " values (");
    for (int i = 0; i < t->n; i++)
        buf_adds(sql, i ? ", ?" : "?");
    buf_adds(sql, ")");
}

/* ---- a page ---- */

struct value {
    char *data; /* NULL: it is null; of a blob its bytes */
    size_t len;
    int64_t number;
};

struct row {
    struct value values[COLUMNS_MAX + 1]; /* the rowid last */
    bool there;
};

static void row_release(struct row *r)
{
    for (size_t i = 0; i <= COLUMNS_MAX; i++)
        free(r->values[i].data);
    *r = (struct row){.there = false};
}

static int read_value(struct query *q, int i, int type, struct value *v, struct error *err)
{
    const char *text;

    if (query_is_null(q, i))
        return 0;
    v->number = type == IS_NUMBER ? query_get_int(q, i) : 0;
    if (type == IS_BYTES) {
        v->data = malloc(BLOB_MAX);
        v->len = v->data ? query_get_blob(q, i, v->data, BLOB_MAX) : 0;
    } else {
        text = type == IS_NUMBER ? "" : query_get_text(q, i);
        v->len = strlen(text);
        v->data = strdup(text);
    }
    return v->data ? 0 : error_set(err, ERR_SYSTEM, "copy the database: out of memory");
}

static int read_row(const struct table *t, struct query *q, struct row *r, size_t *bytes,
                    struct error *err)
{
    row_release(r);
    for (int i = 0; i < t->n + t->by_rowid; i++) {
        if (read_value(q, i, i < t->n ? (int)t->columns[i].type : IS_NUMBER, &r->values[i], err) <
            0)
            return -1;
        *bytes += r->values[i].len + sizeof(int64_t);
    }
    r->there = true;
    return 0;
}

static void bind(struct query *q, int type, const struct value *v)
{
    if (!v->data)
        query_text(q, NULL);
    else if (type == IS_NUMBER)
        query_int(q, v->number);
    else if (type == IS_BYTES)
        query_blob(q, v->data, v->len);
    else
        query_text(q, v->data);
}

static void bind_key(const struct table *t, const struct row *r, struct query *q)
{
    if (t->by_rowid)
        query_int(q, r->values[t->n].number);
    for (int k = 1; !t->by_rowid && k <= t->n_keys; k++) {
        const struct column *c = key_column(t, k);

        bind(q, (int)c->type, &r->values[c - t->columns]);
    }
}

/* ---- where rows go ---- */

/* A server has neither text that is not UTF-8, nor may JSON hold it: "?" for each byte of it. */
static json_t *text_json(struct value *v)
{
    for (size_t i = 0; i < v->len;) {
        const size_t n = text_utf8_length(v->data + i, v->len - i);

        if (n == 0)
            v->data[i] = '?';
        i += n ? n : 1;
    }
    return json_stringn_nocheck(v->data, v->len);
}

static json_t *value_json(int type, struct value *v)
{
    CLEANUP_FREE char *hex = NULL;

    if (!v->data)
        return json_null();
    if (type == IS_NUMBER)
        return json_integer(v->number);
    if (type == IS_TEXT)
        return text_json(v);
    hex = malloc(2 * v->len + 3);
    if (!hex)
        return NULL;
    memcpy(hex, "\\x", 2);
    digest_hex((const unsigned char *)v->data, v->len, hex + 2);
    return json_string_nocheck(hex);
}

static int add_to_document(const struct table *t, struct row *r, json_t *rows, struct error *err)
{
    json_t *o = json_object();
    int failed = json_array_append_new(rows, o);

    for (int i = 0; i < t->n && !failed; i++)
        failed = json_object_set_new_nocheck(o, t->columns[i].name,
                                             value_json((int)t->columns[i].type, &r->values[i]));
    return failed ? error_set(err, ERR_SYSTEM, "copy the database: out of memory") : 0;
}

static int send_document(struct query *insert, json_t *rows, struct error *err)
{
    CLEANUP_FREE char *text = NULL;

    if (json_array_size(rows) == 0)
        return 0;
    text = json_dumps(rows, JSON_COMPACT);
    if (!text)
        return error_set(err, ERR_SYSTEM, "copy the database: out of memory");
    query_reset(insert);
    query_text(insert, text);
    return query_run(insert, NULL, err);
}

static int insert_row(const struct table *t, const struct row *r, struct query *insert,
                      struct error *err)
{
    query_reset(insert);
    for (int i = 0; i < t->n; i++)
        bind(insert, (int)t->columns[i].type, &r->values[i]);
    return query_run(insert, NULL, err);
}

/* ---- a table ---- */

struct copying {
    struct db *from, *to;
    const struct table *table;
    struct query *insert;
    int64_t limit;   /* rows of the next page */
    struct row last; /* that was read */
};

/* *ret_rows: how many there were. */
static int copy_page(struct copying *c, const char *select, int64_t *ret_rows, struct error *err)
{
    const bool server = db_is_server(c->to);
    CLEANUP(row_release) struct row key = c->last; /* behind which it begins */
    json_auto_t *rows = json_array();
    size_t bytes = 0;
    bool row;

    c->last = (struct row){.there = false};
    QUERY(q, c->from, select);
    if (key.there)
        bind_key(c->table, &key, &q);
    query_int(&q, c->limit);
    for (*ret_rows = 0;; ++*ret_rows) {
        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            break;
        if (read_row(c->table, &q, &c->last, &bytes, err) < 0 ||
            (server ? add_to_document(c->table, &c->last, rows, err)
                    : insert_row(c->table, &c->last, c->insert, err)) < 0)
            return -1;
    }
    if (bytes < PAGE_BYTES && c->limit < PAGE_MAX)
        c->limit *= 2;
    else if (bytes > 4 * PAGE_BYTES && c->limit > PAGE_MIN)
        c->limit /= 2;
    return server ? send_document(c->insert, rows, err) : 0;
}

/* What is counted by the database goes on behind the highest number there is. */
static int set_counter(struct db *to, const struct table *t, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX);
    const struct column *key = key_column(t, 1);

    if (!db_is_server(to) || t->n_keys != 1 || key->type != IS_NUMBER)
        return 0;
    buf_addf(&sql, "select setval(pg_get_serial_sequence('%s', '%s'), max(%s)) from %s", t->name,
             key->name, key->name, t->name);
    QUERY(q, to, buf_str(&sql));
    return query_run(&q, NULL, err);
}

static int copy_table(struct db *from, struct db *to, const struct table *t,
                      void (*each)(void *self, const char *table, uint64_t rows), void *self,
                      struct error *err)
{
    CLEANUP(buf_release) struct buf first = BUF_INIT(SQL_MAX);
    CLEANUP(buf_release) struct buf next = BUF_INIT(SQL_MAX);
    CLEANUP(buf_release) struct buf insert = BUF_INIT(SQL_MAX);
    struct copying c = {.from = from, .to = to, .table = t, .limit = PAGE_MIN};
    int64_t rows = 0;
    int result;

    write_select(t, true, &first);
    write_select(t, false, &next);
    write_insert(t, db_is_server(to), &insert);
    QUERY(q, to, buf_str(&insert));
    c.insert = &q;
    do {
        const int64_t asked = c.limit;

        result = copy_page(&c, buf_str(c.last.there ? &next : &first), &rows, err);
        if (result == 0 && each && rows)
            each(self, t->name, (uint64_t)rows);
        if (rows < asked)
            break;
    } while (result == 0);
    row_release(&c.last);
    return result < 0 ? error_wrap(err, "table %s", t->name) : set_counter(to, t, err);
}

static int empty_table(struct db *to, const char *name, struct error *err)
{
    CLEANUP(buf_release) struct buf sql = BUF_INIT(SQL_MAX);

    buf_addf(&sql, "delete from %s", name);
    QUERY(q, to, buf_str(&sql));
    return query_run(&q, NULL, err);
}

int db_copy(struct db *from, struct db *to,
            void (*each)(void *self, const char *table, uint64_t rows), void *self,
            struct error *err)
{
    struct db *sqlite = db_is_server(from) ? to : from;
    CLEANUP(argv_release) struct argv tables = ARGV_INIT;

    if (list_tables(sqlite, &tables, err) < 0)
        return -1;
    for (size_t i = tables.n; i > 0; i--)
        if (empty_table(to, tables.v[i - 1], err) < 0)
            return -1;
    for (size_t i = 0; i < tables.n; i++) {
        struct table t;

        if (read_table(sqlite, tables.v[i], &t, err) < 0 ||
            copy_table(from, to, &t, each, self, err) < 0)
            return -1;
    }
    return 0;
}
