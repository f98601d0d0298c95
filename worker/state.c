/* worker/state — opening, waking and secrets. */
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
    s->attempts_max = config->attempts_max;
    s->upload_ns = config->upload_ns;
    s->uploads_elsewhere = config->uploads_elsewhere;
    s->limits = config->limits;
    pthread_mutex_init(&s->wake_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (db_open(config->path, &s->db, err) < 0) {
        state_close(s);
        return -1;
    }
    s->clock = config->clock ? *config->clock : db_clock(s->db);
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

int state_look_superseded(struct state *s, bool *ret, struct error *err)
{
    return db_look_superseded(s->db, ret, err);
}

const struct clock *state_clock(const struct state *s)
{
    return &s->clock;
}

static void wake_itself(void *self)
{
    state_wake(self);
}

bool state_hears(struct state *s)
{
    struct error ignored = ERROR_INIT;
    bool hears;

    return db_listen(s->db, wake_itself, s, &hears, &ignored) == 0 && hears;
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

bool state_wait(struct state *s, int timeout_ms)
{
    int64_t until = clock_monotonic() + timeout_ms * NS_PER_MS;
    struct timespec deadline = {until / NS_PER_SEC, until % NS_PER_SEC};
    unsigned seen = count_wakes(s);

    (void)state_hears(s);
    /* A build may have come between the caller's claim and now. */
    if (queue_has_work(s))
        return true;
    pthread_mutex_lock(&s->wake_lock);
    while (s->wakes == seen && pthread_cond_timedwait(&s->wake, &s->wake_lock, &deadline) == 0)
        continue;
    pthread_mutex_unlock(&s->wake_lock);
    /* All who wait are told of one build. */
    return queue_has_work(s) || atomic_load(&s->claim_failed);
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
