/* worker/state_gc — see the header. */
#include "worker/state_gc.h"

#include <unistd.h>

#include "worker/state_internal.h"
#include "worker/state_rotate.h"

#define LISTED      100000 /* old events that are looked up at once: that reads the whole table */
#define AT_ONCE     500    /* rows of a transaction: some milliseconds */
#define REST_US     10000  /* for everybody else, after each of them */
#define OFFERS_KEPT (30 * 86400 * NS_PER_SEC) /* after their end: who comes late is told */

/* ---- whose turn it is ---- */

static int is_due(struct state *s, const char *task, int64_t interval, int64_t now, bool *ret,
                  struct error *err)
{
    bool row;

    QUERY(q, s->db, "select began, lease_until from gc_runs where task = ?");
    query_text(&q, task);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = !row || (query_get_int(&q, 0) + interval <= now && query_get_int(&q, 1) <= now);
    return 0;
}

static int begin(struct state *s, const char *task, const char *holder, int64_t interval,
                 int64_t lease, bool *ret_mine, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const int64_t now = clock_now(&s->clock);

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0 || is_due(s, task, interval, now, ret_mine, err) < 0)
        return -1;
    if (!*ret_mine)
        return 0;
    QUERY(q, s->db,
          "insert into gc_runs (task, holder, began, ended, lease_until) values (?, ?, ?, 0, ?)"
          " on conflict (task) do update set holder = excluded.holder, began = excluded.began,"
          " ended = 0, lease_until = excluded.lease_until");
    query_text(&q, task);
    query_text(&q, holder);
    query_int(&q, now);
    query_int(&q, now + lease);
    return query_run(&q, NULL, err) < 0 ? -1 : tx_commit(&tx, err);
}

/* A look costs others nothing, where a write keeps them waiting. */
int state_gc_begin(struct state *s, const char *task, const char *holder, int64_t interval,
                   int64_t lease, bool *ret_mine, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 ||
        is_due(s, task, interval, clock_now(&s->clock), ret_mine, err) < 0)
        return -1;
    tx_end(&tx);
    return *ret_mine ? DB_RETRY(s->db, err, begin(s, task, holder, interval, lease, ret_mine, err))
                     : 0;
}

static int end(struct state *s, const char *task, const char *holder, int64_t items, int64_t bytes,
               const char *message, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0)
        return -1;
    QUERY(q, s->db,
          "update gc_runs set ended = ?, lease_until = 0, items = ?, bytes = ?, message = ?"
          " where task = ? and holder = ?");
    query_int(&q, clock_now(&s->clock));
    query_int(&q, items);
    query_int(&q, bytes);
    query_text(&q, message);
    query_text(&q, task);
    query_text(&q, holder);
    return query_run(&q, NULL, err) < 0 ? -1 : tx_commit(&tx, err);
}

int state_gc_end(struct state *s, const char *task, const char *holder, int64_t items,
                 int64_t bytes, const char *message, struct error *err)
{
    return DB_RETRY(s->db, err, end(s, task, holder, items, bytes, message, err));
}

int state_gc_list(struct state *s, void (*each)(void *self, const struct gc_run *r), void *self,
                  struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select task, holder, began, ended, lease_until, items, bytes, message from gc_runs"
          " order by task");
    while (query_row(&q, &rc, err)) {
        struct gc_run r = {.began = query_get_int(&q, 2),
                           .ended = query_get_int(&q, 3),
                           .lease_until = query_get_int(&q, 4),
                           .items = query_get_int(&q, 5),
                           .bytes = query_get_int(&q, 6)};

        COPY_TEXT(r.task, query_get_text(&q, 0));
        COPY_TEXT(r.holder, query_get_text(&q, 1));
        COPY_TEXT(r.message, query_get_text(&q, 7));
        each(self, &r);
    }
    return rc;
}

/* ---- garbage ---- */

static int find(struct query *q, struct gc_found *ret, struct error *err)
{
    bool row;

    if (query_next(q, &row, err) < 0)
        return -1;
    *ret = (struct gc_found){query_get_int(q, 0), query_get_int(q, 1)};
    return 0;
}

/* Numbered from the newest of each target; what is beyond EVENTS_SHOWN is never read. */
#define OLD_EVENTS                                                                                 \
    "(select id, time, kind, status, message, row_number() over (partition by workspace, type,"    \
    " name order by id desc) as place from events) numbered where place > ? or time < ?"

int state_events_find_old(struct state *s, int64_t before, struct gc_found *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select count(*), ifnull(sum(100 + length(kind) + length(status) + length(message)), 0)"
          " from " OLD_EVENTS);
    query_int(&q, EVENTS_SHOWN);
    query_int(&q, before);
    return find(&q, ret, err);
}

static int list_old_events(struct state *s, int64_t before, int64_t *ids, size_t *ret_n,
                           struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    *ret_n = 0;
    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select id from " OLD_EVENTS " order by id limit ?");
    query_int(&q, EVENTS_SHOWN);
    query_int(&q, before);
    query_int(&q, LISTED);
    while (query_row(&q, &rc, err))
        ids[(*ret_n)++] = query_get_int(&q, 0);
    return rc;
}

static int remove_events(struct state *s, const int64_t *ids, size_t n, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0)
        return -1;
    QUERY(q, s->db, "delete from events where id = ?");
    for (size_t i = 0; i < n; i++) {
        query_reset(&q);
        query_int(&q, ids[i]);
        if (query_run(&q, NULL, err) < 0)
            return -1;
    }
    return tx_commit(&tx, err);
}

int state_events_remove_old(struct state *s, int64_t before, const struct cancel *cancel,
                            bool *ret_more, struct error *err)
{
    CLEANUP_FREE int64_t *ids = malloc(LISTED * sizeof(*ids));
    size_t n;

    if (!ids)
        return error_set(err, ERR_SYSTEM, "list old events: out of memory");
    if (list_old_events(s, before, ids, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i += AT_ONCE) {
        if (cancel && cancel_is_thrown(cancel))
            return error_set(err, ERR_SYSTEM, "stopped before the end");
        if (remove_events(s, ids + i, n - i < AT_ONCE ? n - i : AT_ONCE, err) < 0)
            return -1;
        usleep(REST_US);
    }
    *ret_more = n == LISTED;
    return 0;
}

int state_logs_find_old(struct state *s, int64_t before, struct gc_found *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select count(*), ifnull(sum(60 + length(text)), 0) from log_lines where build in"
          " (select id from builds where log_removed = 0 and finished <> 0 and finished < ?)");
    query_int(&q, before);
    return find(&q, ret, err);
}

#define EXPIRED_KEYS   " from keys where kind = 2 and expires <> 0 and expires <= ?"
#define EXPIRED_OFFERS " from pending_shares where expires <= ?"

int state_expired_find(struct state *s, struct gc_found *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const int64_t now = clock_now(&s->clock);
    struct gc_found offers;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(keys, s->db, "select count(*), ifnull(sum(200 + length(label)), 0)" EXPIRED_KEYS);
    query_int(&keys, now);
    QUERY(shares, s->db, "select count(*), 200 * count(*)" EXPIRED_OFFERS);
    query_int(&shares, now - OFFERS_KEPT);
    if (find(&keys, ret, err) < 0 || find(&shares, &offers, err) < 0)
        return -1;
    ret->items += offers.items;
    ret->bytes += offers.bytes;
    return 0;
}

int state_expired_remove(struct state *s, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const int64_t now = clock_now(&s->clock);

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(keys, s->db, "delete" EXPIRED_KEYS);
    query_int(&keys, now);
    QUERY(shares, s->db, "delete" EXPIRED_OFFERS);
    query_int(&shares, now - OFFERS_KEPT);
    if (query_run(&keys, NULL, err) < 0 || query_run(&shares, NULL, err) < 0 ||
        state_upload_purge(s, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}
