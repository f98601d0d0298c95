/* templates/storage_lease — see the header. */
#include "templates/storage_lease.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"

#define LOCK          "lock"
#define SESSIONS      "sessions/"
#define LOCK_SECONDS  120 /* an older one is nobody's */
#define LOCK_RENEW    (15 * NS_PER_SEC)
#define LOCK_PATIENCE (600 * NS_PER_SEC)
#define PAUSE_MS      100
#define PAUSE_MS_MAX  2000

#define SESSION_SECONDS 3600 /* an older one is nobody's */
#define SESSION_RENEW   (300 * NS_PER_SEC)
#define SESSION_LOST    (1800 * NS_PER_SEC) /* not renewed for so long: may be taken for dead */
#define SESSION_MAX     (16u << 20)         /* bytes of names */

struct lease_session {
    int id;
    char key[sizeof(SESSIONS) + 24];
    char *text;
    int64_t renewed;
    bool lost;
};

void lease_init(struct lease *l, struct objects *objects)
{
    *l = (struct lease){.objects = objects};
    digest_random_name(l->token, sizeof(l->token) - 1);
    (void)pthread_mutex_init(&l->turn, NULL);
    (void)pthread_mutex_init(&l->mutex, NULL);
}

void lease_release(struct lease *l)
{
    for (size_t i = 0; i < l->n_sessions; i++)
        free(l->sessions[i].text);
    free(l->sessions);
    (void)pthread_mutex_destroy(&l->turn);
    (void)pthread_mutex_destroy(&l->mutex);
}

/* ---- the lock ---- */

/* Puts the lock where match allows it. */
static int put_lock(struct lease *l, const char *match, bool *ret_got, struct error *err)
{
    int64_t now = clock_monotonic();
    bool refused;

    if (objects_put(l->objects, LOCK, match, l->token, strlen(l->token), l->etag, &refused, err) <
        0)
        return -1;
    *ret_got = !refused;
    if (!refused)
        l->renewed = now;
    return 0;
}

/* Whose it is; ours when a put of ours was done whose answer was lost. */
static int look_at_lock(struct lease *l, struct object_info *ret, bool *ret_ours, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(4096);
    bool there;

    if (objects_head(l->objects, LOCK, ret, err) < 0)
        return -1;
    argv_release(&ret->labels);
    if (objects_read(l->objects, LOCK, &text, &there, err) < 0)
        return -1;
    *ret_ours = ret->there && there && strcmp(buf_str(&text), l->token) == 0;
    return 0;
}

static int try_lock(struct lease *l, bool *ret_got, struct error *err)
{
    struct object_info info;
    bool ours;

    if (put_lock(l, OBJECT_ABSENT, ret_got, err) < 0)
        return -1;
    if (*ret_got)
        return 0;
    if (look_at_lock(l, &info, &ours, err) < 0)
        return -1;
    return info.there && (ours || info.age >= LOCK_SECONDS) ? put_lock(l, info.etag, ret_got, err)
                                                            : 0;
}

static int wait_for_lock(struct lease *l, struct error *err)
{
    const int64_t end = clock_monotonic() + LOCK_PATIENCE;
    int pause = PAUSE_MS;
    bool got = false;

    for (;;) {
        unsigned char random;

        if (try_lock(l, &got, err) < 0)
            return error_wrap(err, "lock the store");
        if (got)
            return 0;
        if (clock_monotonic() > end)
            return error_set(err, ERR_REMOTE, "lock the store: others have it all the time");
        digest_random(&random, sizeof(random));
        (void)poll(NULL, 0, pause + pause * random / 256);
        pause = pause * 2 < PAUSE_MS_MAX ? pause * 2 : PAUSE_MS_MAX;
    }
}

int lease_lock(struct lease *l, struct error *err)
{
    (void)pthread_mutex_lock(&l->turn);
    if (wait_for_lock(l, err) < 0) {
        (void)pthread_mutex_unlock(&l->turn);
        return -1;
    }
    (void)pthread_mutex_lock(&l->mutex);
    l->held = true;
    l->owner = pthread_self();
    (void)pthread_mutex_unlock(&l->mutex);
    return 0;
}

/* One that may be another's by now is left to its age. */
void lease_unlock(struct lease *l)
{
    struct error ignored = ERROR_INIT;

    if (clock_monotonic() - l->renewed < LOCK_SECONDS * NS_PER_SEC / 2)
        (void)!objects_delete(l->objects, LOCK, &ignored);
    (void)pthread_mutex_lock(&l->mutex);
    l->held = false;
    (void)pthread_mutex_unlock(&l->mutex);
    (void)pthread_mutex_unlock(&l->turn);
}

static int renew_lock(struct lease *l, struct error *err)
{
    struct object_info info;
    bool got, ours;

    if (put_lock(l, l->etag, &got, err) < 0)
        return -1;
    if (!got && look_at_lock(l, &info, &ours, err) < 0)
        return -1;
    if (!got && ours && put_lock(l, info.etag, &got, err) < 0)
        return -1;
    if (!got)
        return error_set(err, ERR_REMOTE, "the store's lock was lost to another machine");
    return 0;
}

/* ---- sessions ---- */

static int put_session(struct lease *l, struct lease_session *s, struct error *err)
{
    int64_t now = clock_monotonic();
    bool refused;

    if (s->renewed && now - s->renewed > SESSION_LOST)
        s->lost = true;
    if (objects_put(l->objects, s->key, NULL, s->text, strlen(s->text), NULL, &refused, err) < 0)
        return error_wrap(err, "keep a session");
    s->renewed = now;
    return 0;
}

static int renew_sessions(struct lease *l, struct error *err)
{
    for (size_t i = 0; i < l->n_sessions; i++)
        if (clock_monotonic() - l->sessions[i].renewed > SESSION_RENEW &&
            put_session(l, &l->sessions[i], err) < 0)
            return -1;
    return 0;
}

int lease_touch(struct lease *l, struct error *err)
{
    int result = 0;

    (void)pthread_mutex_lock(&l->mutex);
    if (l->held && pthread_equal(l->owner, pthread_self()) &&
        clock_monotonic() - l->renewed > LOCK_RENEW)
        result = renew_lock(l, err);
    if (result == 0)
        result = renew_sessions(l, err);
    (void)pthread_mutex_unlock(&l->mutex);
    return result;
}

/* With the mutex. */
static int add_session(struct lease *l, const char *text, struct error *err)
{
    struct lease_session *sessions =
        reallocarray(l->sessions, l->n_sessions + 1, sizeof(*sessions));
    char random[25];
    struct lease_session *s;

    if (!sessions)
        return error_set(err, ERR_SYSTEM, "begin a session: out of memory");
    l->sessions = sessions;
    s = &sessions[l->n_sessions];
    *s = (struct lease_session){.id = l->next_id, .text = strdup(text)};
    digest_random_name(random, sizeof(random) - 1);
    (void)snprintf(s->key, sizeof(s->key), SESSIONS "%s", random);
    if (!s->text)
        return error_set(err, ERR_SYSTEM, "begin a session: out of memory");
    if (put_session(l, s, err) < 0) {
        free(s->text);
        return -1;
    }
    l->n_sessions++;
    return 0;
}

int lease_session_begin(struct lease *l, const char *text, int *ret, struct error *err)
{
    int result;

    (void)pthread_mutex_lock(&l->mutex);
    result = add_session(l, text, err);
    if (result == 0)
        *ret = l->next_id++;
    (void)pthread_mutex_unlock(&l->mutex);
    return result;
}

/* One that cannot be removed grows old. */
void lease_session_end(struct lease *l, int session)
{
    struct error ignored = ERROR_INIT;

    (void)pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; i < l->n_sessions; i++)
        if (l->sessions[i].id == session) {
            (void)!objects_delete(l->objects, l->sessions[i].key, &ignored);
            free(l->sessions[i].text);
            l->sessions[i] = l->sessions[--l->n_sessions];
            break;
        }
    (void)pthread_mutex_unlock(&l->mutex);
}

int lease_sessions_live(struct lease *l, struct error *err)
{
    bool lost = false;

    (void)pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; i < l->n_sessions; i++)
        lost = lost || l->sessions[i].lost ||
               clock_monotonic() - l->sessions[i].renewed > SESSION_LOST;
    (void)pthread_mutex_unlock(&l->mutex);
    if (lost)
        return error_set(err, ERR_REMOTE,
                         "the object store could not be told for half an hour that this pack goes "
                         "on, so what it refers to may be gone: pack again");
    return 0;
}

struct session_list {
    struct lease *lease;
    struct argv *names;
};

static int read_session(struct lease *l, const char *key, struct argv *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SESSION_MAX);
    bool there;

    if (objects_read(l->objects, key, &text, &there, err) < 0)
        return -1;
    for (const char *line = buf_str(&text); *line;) {
        size_t len = strcspn(line, "\n");

        if (len > 0)
            argv_pushf(ret, "%.*s", (int)len, line);
        line += len + (line[len] != '\0');
    }
    return 0;
}

static int take_session(void *self, const struct object_listed *listed, struct error *err)
{
    const struct session_list *s = self;

    if (listed->age >= SESSION_SECONDS)
        return objects_delete(s->lease->objects, listed->key, err);
    return read_session(s->lease, listed->key, s->names, err);
}

int lease_sessions(struct lease *l, struct argv *ret, struct error *err)
{
    struct session_list list = {l, ret};

    return objects_list(l->objects, SESSIONS, take_session, &list, err);
}

void lease_test_age(struct lease *l, int64_t seconds)
{
    l->renewed -= seconds * NS_PER_SEC;
    for (size_t i = 0; i < l->n_sessions; i++)
        l->sessions[i].renewed -= seconds * NS_PER_SEC;
}
