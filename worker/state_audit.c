/* worker/state_audit — see worker/audit.h. */
#include "worker/audit.h"

#include "base/digest.h"
#include "worker/state_internal.h"

#define AT_ONCE 1000 /* entries that are removed in a transaction */

const char *const audit_actor_names[AUDIT_ACTORS] = {
    [AUDIT_BY_KEY] = "key",          [AUDIT_BY_SERVICE] = "service_account",
    [AUDIT_BY_URL] = "upload_url",   [AUDIT_BY_NOBODY] = "unknown",
    [AUDIT_BY_COMMAND] = "operator",
};
const char *const audit_outcome_names[AUDIT_OUTCOMES] = {"done", "denied", "failed"};

#define COLUMNS                                                                                    \
    "id, time, account, workspace, actor_kind, actor, address, action, object, outcome, status"

static void from_row(struct query *q, struct audit_entry *ret)
{
    const int64_t by = query_get_int(q, 4), outcome = query_get_int(q, 9);

    COPY_TEXT(ret->id, query_get_text(q, 0));
    ret->time = query_get_int(q, 1);
    COPY_TEXT(ret->account, query_get_text(q, 2));
    COPY_TEXT(ret->workspace, query_get_text(q, 3));
    ret->by = by >= 0 && by < AUDIT_ACTORS ? (enum audit_actor)by : AUDIT_BY_NOBODY;
    COPY_TEXT(ret->actor, query_get_text(q, 5));
    COPY_TEXT(ret->address, query_get_text(q, 6));
    COPY_TEXT(ret->action, query_get_text(q, 7));
    COPY_TEXT(ret->object, query_get_text(q, 8));
    ret->outcome =
        outcome >= 0 && outcome < AUDIT_OUTCOMES ? (enum audit_outcome)outcome : AUDIT_FAILED;
    ret->status = (int)query_get_int(q, 10);
}

static int insert(struct state *s, const struct audit_entry *e, struct error *err)
{
    char id[AUDIT_ID];

    digest_random_name(id, sizeof(id) - 1);
    QUERY(q, s->db,
          "insert into audit (" COLUMNS ") values (?1, ?2,"
          " case when ?3 <> '' then ?3"
          " else ifnull((select account from workspaces where name = ?4), '') end,"
          " ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
    query_text(&q, id);
    query_int(&q, clock_now(&s->clock));
    query_text(&q, e->account);
    query_text(&q, e->workspace);
    query_int(&q, e->by);
    query_text(&q, e->actor);
    query_text(&q, e->address);
    query_text(&q, e->action);
    query_text(&q, e->object);
    query_int(&q, e->outcome);
    query_int(&q, e->status);
    return query_run(&q, NULL, err);
}

static int add(struct state *s, const struct audit_entry *e, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const bool is_small = e->outcome == AUDIT_DENIED || e->by == AUDIT_BY_URL;
    const enum tx_mode mode = is_small ? TX_NOTE : TX_WRITE;

    if (tx_begin_in(&tx, s->db, mode, e->workspace, err) < 0 || insert(s, e, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_audit_add(struct state *s, const struct audit_entry *entry, struct error *err)
{
    return DB_RETRY(s->db, err, add(s, entry, err));
}

/* ---- reading ---- */

#define WANTED                                                                                     \
    " from audit where (?1 = '' or account = ?1) and (?2 = '' or workspace = ?2) and time >= ?3"
#define AFTER(sign)                                                                                \
    " and (?4 = '' or (time, id) " sign " (select time, id from audit where id = ?4))"

static void bind(struct query *q, const struct audit_query *query)
{
    query_text(q, query->account ? query->account : "");
    query_text(q, query->workspace ? query->workspace : "");
    query_int(q, query->since);
}

static int count(struct state *s, const struct audit_query *query, int64_t *ret, struct error *err)
{
    bool row;

    QUERY(q, s->db, "select count(*)" WANTED);
    bind(&q, query);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = row ? query_get_int(&q, 0) : 0;
    return 0;
}

int state_audit_list(struct state *s, const struct audit_query *query,
                     void (*each)(void *self, const struct audit_entry *e), void *self,
                     int64_t *ret_total, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 ||
        (ret_total && count(s, query, ret_total, err) < 0))
        return -1;
    QUERY(q, s->db,
          query->oldest_first
              ? "select " COLUMNS WANTED AFTER(">") " order by time, id limit ?5"
              : "select " COLUMNS WANTED AFTER("<") " order by time desc, id desc limit ?5");
    bind(&q, query);
    query_text(&q, query->cursor);
    query_int(&q, query->limit);
    while (query_row(&q, &rc, err)) {
        struct audit_entry e = {.time = 0};

        from_row(&q, &e);
        each(self, &e);
    }
    return rc;
}

/* ---- the end of it ---- */

int state_audit_find_old(struct state *s, int64_t before, struct gc_found *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select count(*), ifnull(sum(100 + length(action) + length(object)), 0) from audit"
          " where time < ?");
    query_int(&q, before);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = (struct gc_found){query_get_int(&q, 0), query_get_int(&q, 1)};
    return 0;
}

int state_audit_remove_old(struct state *s, int64_t before, bool *ret_more, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t removed = 0;

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0)
        return -1;
    QUERY(q, s->db,
          "delete from audit where id in"
          " (select id from audit where time < ? order by time limit ?)");
    query_int(&q, before);
    query_int(&q, AT_ONCE);
    if (query_run(&q, &removed, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    *ret_more = removed == AT_ONCE;
    return 0;
}
