/* worker/state_workspaces — accounts, and the workspaces that they own. */
#include "worker/state_internal.h"

#define DEFAULT_ACCOUNT "default"

static int check_name(const char *what, const char *name, struct error *err)
{
    if (name_is_valid(name))
        return 0;
    return error_set(err, ERR_INPUT,
                     "%s name \"%.100s\": 1 to 49 lower-case letters, digits and single hyphens "
                     "inside are allowed",
                     what, name);
}

/* ---- accounts ---- */

int state_account_ensure(struct state *s, const char *account, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (check_name("account", account, err) < 0 || tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db, "insert into accounts values (?, ?) on conflict do nothing");
    query_text(&q, account);
    query_int(&q, clock_now(&s->clock));
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_account_list(struct state *s,
                       void (*each)(void *self, const char *account, int64_t created), void *self,
                       struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select name, created from accounts order by name");
    while (query_row(&q, &rc, err)) {
        each(self, query_get_text(&q, 0), query_get_int(&q, 1));
    }
    return rc;
}

int account_load(struct state *s, const char *account, enum presence *ret, struct error *err)
{
    bool row;

    QUERY(q, s->db, "select 1 from accounts where name = ?");
    query_text(&q, account);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = row ? PRESENT : ABSENT;
    return 0;
}

/* ---- workspaces ---- */

static int insert(struct state *s, const char *account, const char *workspace, bool *ret_made,
                  struct error *err)
{
    int64_t changed;

    QUERY(
        q, s->db,
        "insert into workspaces (name, created, account) values (?, ?, ?) on conflict do nothing");
    query_text(&q, workspace);
    query_int(&q, clock_now(&s->clock));
    query_text(&q, account);
    if (query_run(&q, &changed, err) < 0)
        return -1;
    *ret_made = changed > 0;
    return 0;
}

int state_workspace_create(struct state *s, const char *account, const char *workspace,
                           bool *ret_made, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    enum presence presence;

    if (check_name("workspace", workspace, err) < 0 || tx_begin(&tx, s->db, TX_WRITE, err) < 0 ||
        account_load(s, account, &presence, err) < 0)
        return -1;
    if (presence == ABSENT)
        return error_set(err, ERR_INPUT, "there is no account \"%.100s\"", account);
    if (insert(s, account, workspace, ret_made, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_workspace_ensure(struct state *s, const char *workspace, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool made;

    if (check_name("workspace", workspace, err) < 0 || tx_begin(&tx, s->db, TX_WRITE, err) < 0 ||
        state_account_ensure(s, DEFAULT_ACCOUNT, err) < 0 ||
        insert(s, DEFAULT_ACCOUNT, workspace, &made, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

#define COLUMNS "name, account, created"

void workspace_from_row(struct query *q, struct workspace *ret)
{
    COPY_TEXT(ret->name, query_get_text(q, 0));
    COPY_TEXT(ret->account, query_get_text(q, 1));
    ret->created = query_get_int(q, 2);
}

int state_workspace_get(struct state *s, const char *workspace, enum presence *ret_presence,
                        struct workspace *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select " COLUMNS " from workspaces where name = ? and deleted = 0");
    query_text(&q, workspace);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        workspace_from_row(&q, ret);
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

int state_workspace_list(struct state *s, const char *account,
                         void (*each)(void *self, const struct workspace *w), void *self,
                         struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select " COLUMNS " from workspaces"
          " where deleted = 0 and (?1 is null or account = ?1) order by name");
    query_text(&q, account);
    while (query_row(&q, &rc, err)) {
        struct workspace w;

        workspace_from_row(&q, &w);
        each(self, &w);
    }
    return rc;
}

static int in_use(struct state *s, const char *workspace, bool *ret, struct error *err)
{
    QUERY(q, s->db,
          "select 1 from resources where workspace = ?1"
          " union all select 1 from images where workspace = ?1 limit 1");
    query_text(&q, workspace);
    return query_next(&q, ret, err);
}

int state_workspace_delete(struct state *s, const char *workspace, enum workspace_deletion *ret,
                           struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t now = clock_now(&s->clock);
    int64_t changed;
    bool used;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || in_use(s, workspace, &used, err) < 0)
        return -1;
    if (used) {
        *ret = WORKSPACE_IN_USE;
        return 0;
    }
    QUERY(q, s->db, "update workspaces set deleted = ? where name = ? and deleted = 0");
    query_int(&q, now);
    query_text(&q, workspace);
    QUERY(keys, s->db, "update keys set revoked = ? where workspace = ? and revoked = 0");
    query_int(&keys, now);
    query_text(&keys, workspace);
    if (query_run(&q, &changed, err) < 0 || query_run(&keys, NULL, err) < 0 ||
        tx_commit(&tx, err) < 0)
        return -1;
    *ret = changed ? WORKSPACE_DELETED : WORKSPACE_ABSENT;
    return 0;
}
