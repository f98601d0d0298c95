/* worker/state_copy — see the header. */
#include "worker/state_copy.h"

#include <string.h>

#include "worker/db_copy.h"
#include "worker/schema.h"
#include "worker/state_internal.h"

#define MARK "restored"

int state_schema_version(void)
{
    return schema_version;
}

/* ---- out ---- */

static int list_archives(struct state *s, struct argv *ret, struct error *err)
{
    QUERY(q, s->db, "select archive from builds where archive <> '' and phase < 3");
    return query_list(&q, "archives", ret, err);
}

static int copy_out(struct state *s, struct db *to, const struct state_copying *with,
                    struct error *err)
{
    CLEANUP(argv_release) struct argv archives = ARGV_INIT;
    CLEANUP(tx_end) struct tx reading = {0};
    CLEANUP(tx_end) struct tx writing = {0};

    if (tx_begin(&reading, s->db, TX_SNAPSHOT, err) < 0 || list_archives(s, &archives, err) < 0 ||
        with->begun(with->self, &archives, err) < 0 || tx_begin(&writing, to, TX_NOTE, err) < 0 ||
        db_copy(s->db, to, with->each, with->self, err) < 0)
        return -1;
    return tx_commit(&writing, err);
}

int state_copy_out(struct state *s, const char *path, const struct state_copying *with,
                   struct error *err)
{
    struct db *to = NULL;
    int result;

    if (db_open(path, &to, err) < 0)
        return -1;
    result = copy_out(s, to, with, err);
    db_close(to);
    return result < 0 ? error_wrap(err, "copy the database") : 0;
}

/* ---- going on ---- */

/* Builds in that phase: their ids and workers, or archives. */
static int list_builds(struct state *s, const char *sql, struct argv *ids, struct argv *others,
                       struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, sql);
    while (query_row(&q, &rc, err)) {
        argv_push1(ids, query_get_text(&q, 0));
        argv_push1(others, query_get_text(&q, 1));
    }
    if (rc < 0)
        return -1;
    return ids->failed || others->failed ? error_set(err, ERR_SYSTEM, "list builds: out of memory")
                                         : 0;
}

static int requeue_running(struct state *s, struct state_resumed *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv ids = ARGV_INIT;
    CLEANUP(argv_release) struct argv workers = ARGV_INIT;

    if (list_builds(s, "select id, worker from builds where phase = 2", &ids, &workers, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++)
        if (state_give_back(s, ids.v[i], workers.v[i], err) < 0)
            return -1;
    ret->requeued = (int64_t)ids.n;
    return 0;
}

/* It waits for its archive again, in vain: that end is told as any other. */
static int fail_build(struct state *s, const char *id, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db, "update builds set phase = 0 where id = ?");
    query_text(&q, id);
    if (query_run(&q, NULL, err) < 0 ||
        state_upload_refuse(s, id, ERR_SYSTEM,
                            "the service was restored from a backup that does not have this "
                            "build's archive: deploy again",
                            err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_resume(struct state *s, bool (*has_archive)(void *self, const char *key), void *self,
                 struct state_resumed *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv ids = ARGV_INIT;
    CLEANUP(argv_release) struct argv archives = ARGV_INIT;

    *ret = (struct state_resumed){.requeued = 0};
    if (requeue_running(s, ret, err) < 0 ||
        list_builds(s, "select id, archive from builds where phase = 1 and archive <> ''", &ids,
                    &archives, err) < 0)
        return -1;
    for (size_t i = 0; i < ids.n; i++) {
        if (has_archive(self, archives.v[i]))
            continue;
        if (fail_build(s, ids.v[i], err) < 0)
            return -1;
        ret->failed++;
    }
    return 0;
}

/* ---- in ---- */

static int is_marked(struct state *s, const char *mark, bool *ret, struct error *err)
{
    char found[64] = "";
    bool row;

    QUERY(q, s->db, "select value from secrets where name = '" MARK "'");
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        found[query_get_blob(&q, 0, found, sizeof(found) - 1)] = '\0';
    *ret = row && strcmp(found, mark) == 0;
    return 0;
}

static int check_empty(struct state *s, struct error *err)
{
    bool row;

    QUERY(q, s->db,
          "select 1 from workspaces union all select 1 from keys union all select 1 from secrets"
          " limit 1");
    if (query_next(&q, &row, err) < 0)
        return -1;
    return row ? error_set(err, ERR_INPUT,
                           "it is in use: there are workspaces, keys or secrets in it")
               : 0;
}

int state_copy_allowed(struct state *s, const char *mark, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool done;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 || is_marked(s, mark, &done, err) < 0)
        return -1;
    return done || check_empty(s, err) == 0
               ? 0
               : error_wrap(err, "the database that is to be restored");
}

static int set_mark(struct state *s, const char *mark, struct error *err)
{
    QUERY(q, s->db,
          "insert into secrets values ('" MARK "', ?)"
          " on conflict (name) do update set value = excluded.value");
    query_blob(&q, mark, strlen(mark));
    return query_run(&q, NULL, err);
}

static int copy_in(struct state *s, struct db *from, const char *mark,
                   void (*each)(void *self, const char *table, uint64_t rows), void *self,
                   struct error *err)
{
    CLEANUP(tx_end) struct tx reading = {0};
    CLEANUP(tx_end) struct tx writing = {0};
    bool done;

    if (tx_begin(&writing, s->db, TX_WRITE, err) < 0 || is_marked(s, mark, &done, err) < 0)
        return -1;
    if (done)
        return 0;
    if (check_empty(s, err) < 0 || tx_begin(&reading, from, TX_SNAPSHOT, err) < 0 ||
        db_copy(from, s->db, each, self, err) < 0 || set_mark(s, mark, err) < 0)
        return -1;
    return tx_commit(&writing, err);
}

int state_copy_in(struct state *s, const char *path, const char *mark,
                  void (*each)(void *self, const char *table, uint64_t rows), void *self,
                  struct error *err)
{
    struct db *from = NULL;
    int result;

    if (db_open(path, &from, err) < 0)
        return -1;
    result = copy_in(s, from, mark, each, self, err);
    db_close(from);
    return result < 0 ? error_wrap(err, "the database that is to be restored") : 0;
}
