/* worker/state_shares — images that several workspaces of an account see. */
#include <string.h>

#include "worker/state_internal.h"

int state_share_exists(struct state *s, const struct target *t, const char *target, bool *ret,
                       struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select 1 from image_shares where workspace = ? and type = ? and name = ?"
          " and (?4 is null or target = ?4)");
    bind_target(&q, t);
    query_text(&q, target);
    return query_next(&q, ret, err);
}

/* ---- who may pull ---- */

/* "workspace/type/name" taken apart; names that are none stay empty. */
struct repository {
    char workspace[NAME_SIZE], type[NAME_SIZE], name[NAME_SIZE];
};

static void split_repository(const char *text, struct repository *ret)
{
    char *const parts[] = {ret->workspace, ret->type, ret->name};

    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < 3 && *text; i++) {
        size_t len = i < 2 ? strcspn(text, "/") : strlen(text);

        if (len < NAME_SIZE)
            memcpy(parts[i], text, len);
        text += len + (text[len] == '/');
    }
}

int state_may_pull(struct state *s, const char *workspace, const char *repository, bool *ret,
                   struct error *err)
{
    struct repository from;

    split_repository(repository, &from);
    *ret = *from.workspace && *from.type && strcmp(workspace, from.workspace) == 0;
    if (*ret || !*from.name)
        return 0;
    return state_share_exists(s, &(struct target){from.workspace, from.type, from.name}, workspace,
                              ret, err);
}

int state_account_may_pull(struct state *s, const char *account, const char *repository, bool *ret,
                           struct error *err)
{
    struct repository from;
    enum presence presence;
    struct workspace w;

    *ret = false;
    split_repository(repository, &from);
    if (!*from.workspace || !*from.type)
        return 0;
    if (state_workspace_get(s, from.workspace, &presence, &w, err) < 0)
        return -1;
    *ret = presence == PRESENT && strcmp(w.account, account) == 0;
    return 0;
}

/* ---- making one ---- */

/* Its own, not one that it sees by a share: nothing is shared twice over. */
static int owns(struct state *s, const struct target *t, bool *ret, struct error *err)
{
    struct image i = {.created = 0};
    enum presence presence;

    if (state_image_get(s, t, &presence, &i, err) < 0)
        return -1;
    *ret = presence == PRESENT && strcmp(i.workspace, t->workspace) == 0;
    return 0;
}

static int same_account(struct state *s, const char *one, const char *other, bool *ret,
                        struct error *err)
{
    struct workspace a, b;
    enum presence a_presence, b_presence;

    if (state_workspace_get(s, one, &a_presence, &a, err) < 0 ||
        state_workspace_get(s, other, &b_presence, &b, err) < 0)
        return -1;
    *ret = a_presence == PRESENT && b_presence == PRESENT && strcmp(a.account, b.account) == 0;
    return 0;
}

static int judge(struct state *s, const struct target *t, const char *target,
                 enum share_outcome *ret, struct error *err)
{
    const struct target theirs = {target, t->type, t->name};
    bool own, near, shared;
    struct image seen;
    enum presence presence;

    if (owns(s, t, &own, err) < 0 || same_account(s, t->workspace, target, &near, err) < 0 ||
        state_share_exists(s, t, target, &shared, err) < 0 ||
        state_image_get(s, &theirs, &presence, &seen, err) < 0)
        return -1;
    if (!own)
        *ret = SHARE_NO_IMAGE;
    else if (!near || strcmp(t->workspace, target) == 0)
        *ret = SHARE_NO_TARGET;
    else if (shared)
        *ret = SHARE_EXISTS;
    else
        *ret = presence == PRESENT ? SHARE_TAKEN : SHARE_MADE;
    return 0;
}

int state_share_create(struct state *s, const struct target *t, const char *target,
                       enum share_outcome *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || judge(s, t, target, ret, err) < 0)
        return -1;
    if (*ret != SHARE_MADE)
        return 0;
    QUERY(q, s->db, "insert into image_shares values (?, ?, ?, ?, ?)");
    bind_target(&q, t);
    query_text(&q, target);
    query_int(&q, clock_now(&s->clock));
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_share_delete(struct state *s, const struct target *t, const char *target,
                       enum presence *ret_presence, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t changed;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db,
          "delete from image_shares where workspace = ? and type = ? and name = ? and target = ?");
    bind_target(&q, t);
    query_text(&q, target);
    if (query_run(&q, &changed, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = changed ? PRESENT : ABSENT;
    return 0;
}

int state_share_list(struct state *s, const struct target *t,
                     void (*each)(void *self, const struct workspace *target), void *self,
                     struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select w.name, w.account, s.created from image_shares s"
          " join workspaces w on w.name = s.target"
          " where s.workspace = ? and s.type = ? and s.name = ? order by w.name");
    bind_target(&q, t);
    for (;;) {
        struct workspace w;

        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            return 0;
        COPY_TEXT(w.name, query_get_text(&q, 0));
        COPY_TEXT(w.account, query_get_text(&q, 1));
        w.created = query_get_int(&q, 2);
        each(self, &w);
    }
}
