/* worker/state — opening, waking, workspaces, API keys and secrets. */
#include "worker/state.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/text.h"
#include "worker/state_internal.h"

#define NAME_MAX_BYTES 49 /* PROTOCOL.md 5, Metadata.name */

int state_open(const struct state_config *config, struct state **ret, struct error *err)
{
    struct state *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    if (!s)
        return error_set(err, ERR_SYSTEM, "open the state: out of memory");
    s->clock = *config->clock;
    s->attempts_max = config->attempts_max;
    s->upload_ns = config->upload_ns;
    pthread_mutex_init(&s->wake_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (db_open(config->path, &s->db, err) < 0) {
        state_close(s);
        return -1;
    }
    *ret = s;
    return 0;
}

void state_close(struct state *s)
{
    if (!s)
        return;
    db_close(s->db);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->wake_lock);
    free(s);
}

void state_wake(struct state *s)
{
    pthread_mutex_lock(&s->wake_lock);
    s->wakes++;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->wake_lock);
}

static unsigned count_wakes(struct state *s)
{
    unsigned wakes;

    pthread_mutex_lock(&s->wake_lock);
    wakes = s->wakes;
    pthread_mutex_unlock(&s->wake_lock);
    return wakes;
}

void state_wait(struct state *s, int timeout_ms)
{
    int64_t until = clock_monotonic() + timeout_ms * NS_PER_MS;
    struct timespec deadline = {until / NS_PER_SEC, until % NS_PER_SEC};
    unsigned seen = count_wakes(s);

    /* A build may have come between the caller's claim and now. */
    if (queue_has_work(s))
        return;
    pthread_mutex_lock(&s->wake_lock);
    while (s->wakes == seen && pthread_cond_timedwait(&s->wake, &s->wake_lock, &deadline) == 0)
        continue;
    pthread_mutex_unlock(&s->wake_lock);
}

bool name_is_valid(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > NAME_MAX_BYTES || name[0] == '-' || name[len - 1] == '-' ||
        strstr(name, "--"))
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

void bind_target(struct query *q, const struct target *t)
{
    query_text(q, t->workspace);
    query_text(q, t->type);
    query_text(q, t->name);
}

int state_workspace_ensure(struct state *s, const char *workspace, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (!name_is_valid(workspace))
        return error_set(err, ERR_INPUT,
                         "workspace name \"%s\": 1 to 49 lower-case letters, digits and single "
                         "hyphens inside are allowed",
                         workspace);
    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db, "insert into workspaces values (?, ?) on conflict do nothing");
    query_text(&q, workspace);
    query_int(&q, clock_now(&s->clock));
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

/* ---- API keys ---- */

int state_key_create(struct state *s, const char *workspace, const char *label,
                     char ret_text[API_KEY_TEXT], struct api_key *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct api_key key = {.created = clock_now(&s->clock)};
    char text[API_KEY_TEXT] = "bl_";
    char hash[SHA256_HEX];

    COPY_TEXT(key.workspace, workspace);
    COPY_TEXT(key.label, label);
    digest_random_name(key.id, sizeof(key.id) - 1);
    digest_random_name(text + 3, 40);
    digest_sha256_hex(text, strlen(text), hash);
    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || state_workspace_ensure(s, workspace, err) < 0)
        return -1;
    QUERY(q, s->db,
          "insert into keys (id, workspace, label, hash, created) values (?, ?, ?, ?, ?)");
    query_text(&q, key.id);
    query_text(&q, key.workspace);
    query_text(&q, key.label);
    query_text(&q, hash);
    query_int(&q, key.created);
    if (query_run(&q, NULL, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    memcpy(ret_text, text, sizeof(text));
    *ret = key;
    return 0;
}

static void key_from_row(struct query *q, struct api_key *ret)
{
    COPY_TEXT(ret->id, query_get_text(q, 0));
    COPY_TEXT(ret->workspace, query_get_text(q, 1));
    COPY_TEXT(ret->label, query_get_text(q, 2));
    ret->created = query_get_int(q, 3);
    ret->revoked = query_get_int(q, 4);
}

int state_key_check(struct state *s, const char *text, enum key_verdict *ret_verdict,
                    struct api_key *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    char hash[SHA256_HEX];
    bool row;

    digest_sha256_hex(text, strlen(text), hash);
    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select id, workspace, label, created, revoked from keys where hash = ? and revoked = 0");
    query_text(&q, hash);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        key_from_row(&q, ret);
    *ret_verdict = row ? KEY_VALID : KEY_UNKNOWN;
    return 0;
}

int state_key_list(struct state *s, const char *workspace,
                   void (*each)(void *self, const struct api_key *k), void *self, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select id, workspace, label, created, revoked from keys"
          " where ?1 is null or workspace = ?1 order by workspace, created");
    query_text(&q, workspace);
    for (;;) {
        struct api_key key = {.created = 0};

        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            return 0;
        key_from_row(&q, &key);
        each(self, &key);
    }
}

int state_key_revoke(struct state *s, const char *id, enum presence *ret_presence,
                     struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t changed;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db, "update keys set revoked = ? where id = ? and revoked = 0");
    query_int(&q, clock_now(&s->clock));
    query_text(&q, id);
    if (query_run(&q, &changed, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = changed ? PRESENT : ABSENT;
    return 0;
}

/* ---- secrets ---- */

int state_secret(struct state *s, const char *name, void *out, size_t len, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    unsigned char fresh[64];
    unsigned char stored[64];
    bool row;

    if (len > sizeof(fresh))
        return error_set(err, ERR_SYSTEM, "secret %s: longer than %zu bytes", name, sizeof(fresh));
    digest_random(fresh, len);
    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(put, s->db, "insert into secrets values (?, ?) on conflict do nothing");
    query_text(&put, name);
    query_blob(&put, fresh, len);
    if (query_run(&put, NULL, err) < 0)
        return -1;
    QUERY(get, s->db, "select value from secrets where name = ?");
    query_text(&get, name);
    if (query_next(&get, &row, err) < 0)
        return -1;
    if (!row || query_get_blob(&get, 0, stored, sizeof(stored)) != len)
        return error_set(err, ERR_SYSTEM, "secret %s: has another length than %zu", name, len);
    query_end(&get);
    if (tx_commit(&tx, err) < 0)
        return -1;
    memcpy(out, stored, len);
    return 0;
}
