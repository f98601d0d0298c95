/* worker/state_shares — see the header. */
#include <string.h>

#include "base/digest.h"
#include "worker/state_internal.h"
#include "worker/state_shares.h"

#define EXPIRED_KEPT (INT64_C(30) * 86400 * NS_PER_SEC)

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

/* Whether the account has the workspace; NULL: whatever account. */
static int is_of_account(struct state *s, const char *workspace, const char *account, bool *ret,
                         struct error *err)
{
    enum presence presence;
    struct workspace w;

    if (state_workspace_get(s, workspace, &presence, &w, err) < 0)
        return -1;
    *ret = presence == PRESENT && (!account || strcmp(w.account, account) == 0);
    return 0;
}

/* account: that has to have the target; NULL: any. */
static int judge(struct state *s, const struct target *t, const char *target, const char *account,
                 enum share_outcome *ret, struct error *err)
{
    const struct target theirs = {target, t->type, t->name};
    bool own, there, shared;
    struct image seen;
    enum presence presence;

    if (owns(s, t, &own, err) < 0 || is_of_account(s, target, account, &there, err) < 0 ||
        state_share_exists(s, t, target, &shared, err) < 0 ||
        state_image_get(s, &theirs, &presence, &seen, err) < 0)
        return -1;
    if (!own)
        *ret = SHARE_NO_IMAGE;
    else if (!there || strcmp(t->workspace, target) == 0)
        *ret = SHARE_NO_TARGET;
    else if (shared)
        *ret = SHARE_EXISTS;
    else
        *ret = presence == PRESENT ? SHARE_TAKEN : SHARE_MADE;
    return 0;
}

static int insert(struct state *s, const struct target *t, const char *target, struct error *err)
{
    QUERY(q, s->db, "insert into image_shares values (?, ?, ?, ?, ?)");
    bind_target(&q, t);
    query_text(&q, target);
    query_int(&q, clock_now(&s->clock));
    return query_run(&q, NULL, err);
}

/* Both sides are told, each in the events of what it sees under that name. */
static int tell(struct state *s, const struct target *t, const char *target, bool begins,
                const char *theirs, const char *ours, struct error *err)
{
    const struct target other = {target, t->type, t->name};
    struct event_draft draft = {.type = begins ? "imageshare.created" : "imageshare.ended",
                                .status = begins ? "SHARED" : "UNSHARED"};
    char message[128];

    draft.message = message;
    (void)snprintf(message, sizeof(message), ours, target);
    if (event_add(s, t, NULL, &draft, err) < 0)
        return -1;
    (void)snprintf(message, sizeof(message), theirs, t->workspace);
    return event_add(s, &other, NULL, &draft, err);
}

static int begin_share(struct state *s, const struct target *t, const char *target,
                       struct error *err)
{
    if (insert(s, t, target, err) < 0)
        return -1;
    return tell(s, t, target, true, "The workspace %s shares it", "Shared with the workspace %s",
                err);
}

/* "" for a workspace that is not there. */
static int account_of(struct state *s, const char *workspace, char ret[NAME_SIZE],
                      struct error *err)
{
    struct workspace w = {.account = ""};
    enum presence presence;

    if (state_workspace_get(s, workspace, &presence, &w, err) < 0)
        return -1;
    (void)snprintf(ret, NAME_SIZE, "%s", w.account);
    return 0;
}

int state_share_create(struct state *s, const struct target *t, const char *target,
                       enum share_outcome *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    char account[NAME_SIZE];

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || account_of(s, t->workspace, account, err) < 0 ||
        judge(s, t, target, account, ret, err) < 0)
        return -1;
    if (*ret != SHARE_MADE)
        return 0;
    return begin_share(s, t, target, err) < 0 ? -1 : tx_commit(&tx, err);
}

static int tell_of_end(struct state *s, const struct target *t, const char *target, bool left,
                       struct error *err)
{
    return left ? tell(s, t, target, false, "Left what the workspace %s shared",
                       "The workspace %s left", err)
                : tell(s, t, target, false, "The workspace %s shares it no longer",
                       "No longer shared with the workspace %s", err);
}

int state_share_delete(struct state *s, const struct target *t, const char *target, bool left,
                       enum presence *ret_presence, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t shared, offered;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db,
          "delete from image_shares where workspace = ? and type = ? and name = ? and target = ?");
    bind_target(&q, t);
    query_text(&q, target);
    QUERY(offer, s->db,
          "delete from pending_shares where workspace = ? and type = ? and name = ?"
          " and target = ?");
    bind_target(&offer, t);
    query_text(&offer, target);
    if (query_run(&q, &shared, err) < 0 || query_run(&offer, &offered, err) < 0 ||
        (shared && tell_of_end(s, t, target, left, err) < 0) || tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = shared || offered ? PRESENT : ABSENT;
    return 0;
}

int state_share_source(struct state *s, const struct target *seen, enum presence *ret_presence,
                       char ret[NAME_SIZE], struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select workspace from image_shares where target = ? and type = ? and name = ?"
          " order by created limit 1");
    bind_target(&q, seen);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        (void)snprintf(ret, NAME_SIZE, "%s", query_get_text(&q, 0));
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

int state_share_list(struct state *s, const struct target *t,
                     void (*each)(void *self, const struct workspace *target), void *self,
                     struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select w.name, w.account, s.created from image_shares s"
          " join workspaces w on w.name = s.target"
          " where s.workspace = ? and s.type = ? and s.name = ? order by w.name");
    bind_target(&q, t);
    while (query_row(&q, &rc, err)) {
        struct workspace w;

        workspace_from_row(&q, &w);
        each(self, &w);
    }
    return rc;
}

/* ---- offers to other accounts ---- */

#define PENDING_COLUMNS                                                                            \
    "p.id, p.workspace, p.type, p.name, p.target, p.shared_by, p.created, p.expires, a.account,"   \
    " b.account from pending_shares p join workspaces a on a.name = p.workspace"                   \
    " join workspaces b on b.name = p.target"

static void pending_from_row(struct query *q, struct pending_share *ret)
{
    COPY_TEXT(ret->id, query_get_text(q, 0));
    COPY_TEXT(ret->workspace, query_get_text(q, 1));
    COPY_TEXT(ret->type, query_get_text(q, 2));
    COPY_TEXT(ret->name, query_get_text(q, 3));
    COPY_TEXT(ret->target, query_get_text(q, 4));
    COPY_TEXT(ret->shared_by, query_get_text(q, 5));
    ret->created = query_get_int(q, 6);
    ret->expires = query_get_int(q, 7);
    COPY_TEXT(ret->account, query_get_text(q, 8));
    COPY_TEXT(ret->target_account, query_get_text(q, 9));
}

int state_pending_share_get(struct state *s, const char *id, enum presence *ret_presence,
                            struct pending_share *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select " PENDING_COLUMNS " where p.id = ?");
    query_text(&q, id);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        pending_from_row(&q, ret);
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

int state_pending_share_list(struct state *s, const char *workspace, bool incoming,
                             void (*each)(void *self, const struct pending_share *p), void *self,
                             struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          incoming ? "select " PENDING_COLUMNS " where p.target = ? and p.expires > ?"
                     " order by p.created, p.id"
                   : "select " PENDING_COLUMNS " where p.workspace = ? and p.expires > ?"
                     " order by p.created, p.id");
    query_text(&q, workspace);
    query_int(&q, clock_now(&s->clock));
    while (query_row(&q, &rc, err)) {
        struct pending_share p;

        pending_from_row(&q, &p);
        each(self, &p);
    }
    return rc;
}

int state_pending_share_delete(struct state *s, const char *id, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db, "delete from pending_shares where id = ?");
    query_text(&q, id);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

/* An expired offer stays for a while, so that who comes late is told; but not in the way of a new
 * one. */
static int forget_expired(struct state *s, const struct target *t, const char *target, int64_t now,
                          struct error *err)
{
    QUERY(q, s->db,
          "delete from pending_shares where expires <= ? or"
          " (workspace = ? and type = ? and name = ? and target = ? and expires <= ?)");
    query_int(&q, now - EXPIRED_KEPT);
    bind_target(&q, t);
    query_text(&q, target);
    query_int(&q, now);
    return query_run(&q, NULL, err);
}

static int insert_offer(struct state *s, const struct target *t, const struct share_offer *o,
                        const char *id, int64_t now, struct error *err)
{
    QUERY(q, s->db,
          "insert into pending_shares values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing");
    query_text(&q, id);
    bind_target(&q, t);
    query_text(&q, o->target);
    query_text(&q, o->shared_by);
    query_int(&q, now);
    query_int(&q, now + o->ns);
    return query_run(&q, NULL, err);
}

int state_share_offer(struct state *s, const struct target *t, const struct share_offer *o,
                      enum share_outcome *ret, struct pending_share *ret_share, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const int64_t now = clock_now(&s->clock);
    enum presence presence;
    char id[sizeof(ret_share->id)];

    digest_random_name(id, sizeof(id) - 1);
    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || judge(s, t, o->target, o->account, ret, err) < 0)
        return -1;
    if (*ret != SHARE_MADE && *ret != SHARE_TAKEN) /* what the target has is for it to know */
        return 0;
    if (forget_expired(s, t, o->target, now, err) < 0 || insert_offer(s, t, o, id, now, err) < 0 ||
        state_pending_share_get(s, id, &presence, ret_share, err) < 0)
        return -1;
    *ret = presence == PRESENT ? SHARE_MADE : SHARE_EXISTS;
    return tx_commit(&tx, err);
}

/* Lets go of what others share with the target under that name. */
static int leave_others(struct state *s, const struct pending_share *p, struct error *err)
{
    QUERY(q, s->db, "delete from image_shares where target = ? and type = ? and name = ?");
    query_text(&q, p->target);
    query_text(&q, p->type);
    query_text(&q, p->name);
    return query_run(&q, NULL, err);
}

int state_pending_share_accept(struct state *s, const struct pending_share *p, bool force,
                               enum share_outcome *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const struct target t = {p->workspace, p->type, p->name};
    struct pending_share now;
    enum presence presence;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 ||
        state_pending_share_get(s, p->id, &presence, &now, err) < 0 ||
        (force && leave_others(s, p, err) < 0) || judge(s, &t, p->target, NULL, ret, err) < 0)
        return -1;
    if (presence == ABSENT) /* taken back meanwhile, or its image deleted */
        *ret = SHARE_NO_IMAGE;
    if (*ret != SHARE_MADE && *ret != SHARE_EXISTS)
        return 0;
    if ((*ret == SHARE_MADE && begin_share(s, &t, p->target, err) < 0) ||
        state_pending_share_delete(s, p->id, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}
