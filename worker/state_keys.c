/* worker/state_keys — API keys, service accounts and their access tokens: one table, as all three
 * are a secret of which only the SHA-256 is kept, good for a workspace or an account. */
#include <string.h>

#include "base/digest.h"
#include "worker/state_internal.h"

#define COLUMNS                                                                                    \
    "id, account, ifnull(workspace, ''), label, kind, role, created, expires, revoked, parent"

static void from_row(struct query *q, struct api_key *ret)
{
    COPY_TEXT(ret->id, query_get_text(q, 0));
    COPY_TEXT(ret->account, query_get_text(q, 1));
    COPY_TEXT(ret->workspace, query_get_text(q, 2));
    COPY_TEXT(ret->label, query_get_text(q, 3));
    ret->kind = (enum key_kind)query_get_int(q, 4);
    ret->role = (enum key_role)query_get_int(q, 5);
    ret->created = query_get_int(q, 6);
    ret->expires = query_get_int(q, 7);
    ret->revoked = query_get_int(q, 8);
    COPY_TEXT(ret->parent, query_get_text(q, 9));
}

/* ---- making one ---- */

/* Whose it is: sets key->account and key->workspace. */
static int find_owner(struct state *s, const struct key_draft *draft, struct api_key *key,
                      struct error *err)
{
    struct workspace w = {.created = 0};
    enum presence presence;

    if (draft->workspace) {
        if (!draft->account && state_workspace_ensure(s, draft->workspace, err) < 0)
            return -1;
        if (state_workspace_get(s, draft->workspace, &presence, &w, err) < 0)
            return -1;
        if (presence == ABSENT || (draft->account && strcmp(draft->account, w.account) != 0))
            return error_set(err, ERR_INPUT, "there is no workspace \"%.100s\"%s%.100s",
                             draft->workspace, draft->account ? " in the account " : "",
                             draft->account ? draft->account : "");
        COPY_TEXT(key->workspace, w.name);
        COPY_TEXT(key->account, w.account);
        return 0;
    }
    COPY_TEXT(key->account, draft->account ? draft->account : "");
    if (account_load(s, key->account, &presence, err) < 0)
        return -1;
    if (presence == ABSENT)
        return error_set(err, ERR_INPUT, "there is no account \"%.100s\"", key->account);
    return 0;
}

static int insert(struct state *s, const struct api_key *key, const char *parent, const char *hash,
                  struct error *err)
{
    QUERY(q, s->db,
          "insert into keys (id, account, workspace, kind, role, parent, label, hash, created,"
          " expires) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_text(&q, key->id);
    query_text(&q, key->account);
    query_text(&q, *key->workspace ? key->workspace : NULL);
    query_int(&q, key->kind);
    query_int(&q, key->role);
    query_text(&q, parent);
    query_text(&q, key->label);
    query_text(&q, hash);
    query_int(&q, key->created);
    query_int(&q, key->expires);
    return query_run(&q, NULL, err);
}

/* Access tokens, which nobody lists or revokes one by one. */
static int forget_expired(struct state *s, struct error *err)
{
    QUERY(q, s->db, "delete from keys where kind = 2 and expires <> 0 and expires <= ?");
    query_int(&q, clock_now(&s->clock));
    return query_run(&q, NULL, err);
}

int state_key_create(struct state *s, const struct key_draft *draft, char ret_text[API_KEY_TEXT],
                     struct api_key *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct api_key key = {
        .created = clock_now(&s->clock), .kind = draft->kind, .role = draft->role};
    char text[API_KEY_TEXT] = "bl_";
    char hash[SHA256_HEX];

    if (draft->seconds)
        key.expires = key.created + draft->seconds * NS_PER_SEC;
    COPY_TEXT(key.label, draft->label ? draft->label : "");
    digest_random_name(key.id, sizeof(key.id) - 1);
    digest_random_name(text + 3, 40);
    digest_sha256_hex(text, strlen(text), hash);
    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || find_owner(s, draft, &key, err) < 0 ||
        forget_expired(s, err) < 0 ||
        insert(s, &key, draft->parent ? draft->parent : "", hash, err) < 0 ||
        tx_commit(&tx, err) < 0)
        return -1;
    memcpy(ret_text, text, sizeof(text));
    *ret = key;
    return 0;
}

/* ---- asking ---- */

/* The one valid key of that secret that the condition on ?3 (its id) and its kind allow. */
static int check(struct state *s, const char *sql, const char *secret, const char *id,
                 enum key_verdict *ret_verdict, struct api_key *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    char hash[SHA256_HEX];
    bool row;

    digest_sha256_hex(secret, strlen(secret), hash);
    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, sql);
    query_text(&q, hash);
    query_int(&q, clock_now(&s->clock));
    if (id)
        query_text(&q, id);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        from_row(&q, ret);
    *ret_verdict = row ? KEY_VALID : KEY_UNKNOWN;
    return 0;
}

#define VALID                                                                                      \
    "select " COLUMNS " from keys where hash = ?1 and revoked = 0 and (expires = 0 or expires > "  \
    "?2)"

int state_key_check(struct state *s, const char *text, enum key_verdict *ret_verdict,
                    struct api_key *ret, struct error *err)
{
    return check(s, VALID " and kind in (0, 2)", text, NULL, ret_verdict, ret, err);
}

int state_client_check(struct state *s, const char *id, const char *secret,
                       enum key_verdict *ret_verdict, struct api_key *ret, struct error *err)
{
    return check(s, VALID " and kind = 1 and id = ?3", secret, id, ret_verdict, ret, err);
}

int state_key_list(struct state *s, const char *account, const char *workspace,
                   void (*each)(void *self, const struct api_key *k), void *self, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select " COLUMNS " from keys where kind in (0, 1) and (?1 is null or account = ?1)"
          " and (?2 is null or workspace = ?2) order by account, ifnull(workspace, ''), created");
    query_text(&q, account);
    query_text(&q, workspace);
    while (query_row(&q, &rc, err)) {
        struct api_key key = {.created = 0};

        from_row(&q, &key);
        each(self, &key);
    }
    return rc;
}

/* ---- ending ---- */

int state_key_revoke(struct state *s, const char *account, const char *workspace, const char *id,
                     enum presence *ret_presence, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t changed;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db,
          "update keys set revoked = ?1 where (id = ?2 or parent = ?2) and revoked = 0"
          " and (?3 is null or account = ?3) and (?4 is null or workspace = ?4)");
    query_int(&q, clock_now(&s->clock));
    query_text(&q, id);
    query_text(&q, account);
    query_text(&q, workspace);
    if (query_run(&q, &changed, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = changed ? PRESENT : ABSENT;
    return 0;
}
