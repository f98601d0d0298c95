/* api/limiter — see the header. */
#include "api/limiter.h"

#include <pthread.h>
#include <string.h>

#include "base/digest.h"

#define SETS      4096
#define WAYS      4
#define SEED_SIZE 16
#define ID_MAX    256 /* bytes; of more only the first count */

/* A minute's rate is so small that its burst is all of it. */
#define LOGIN_BURST_SECONDS 60
#define AUDIT_RATE          10 /* a second, of all refused logins together */

struct bucket {
    uint64_t whose; /* 0: nobody's */
    int64_t full;   /* when it is, by clock_monotonic */
};

struct pace {
    int64_t each;  /* ns that one takes to come back; 0: not limited */
    int64_t burst; /* ns that the whole bucket takes */
};

struct limiter {
    pthread_mutex_t lock;
    unsigned char seed[SEED_SIZE]; /* so that nobody can choose whose place to take */
    struct pace paces[LIMITS];
    struct bucket sets[SETS][WAYS];
};

static struct pace pace_of(int64_t rate, int64_t seconds, int64_t burst_seconds)
{
    struct pace p = {.each = 0};

    if (rate > 0) {
        p.each = seconds * NS_PER_SEC / rate;
        p.burst = burst_seconds * NS_PER_SEC;
    }
    return p;
}

struct limiter *limiter_new(const struct api_rates *rates)
{
    struct limiter *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    pthread_mutex_init(&l->lock, NULL);
    digest_random(l->seed, sizeof(l->seed));
    l->paces[LIMIT_KEY] = pace_of(rates->key, 1, LIMIT_BURST);
    l->paces[LIMIT_WORKSPACE] = pace_of(rates->workspace, 1, LIMIT_BURST);
    l->paces[LIMIT_ADDRESS] = pace_of(rates->address, 1, LIMIT_BURST);
    l->paces[LIMIT_LOGIN] = pace_of(rates->failed_logins, 60, LOGIN_BURST_SECONDS);
    l->paces[LIMIT_AUDIT] = pace_of(AUDIT_RATE, 1, LIMIT_BURST);
    return l;
}

void limiter_free(struct limiter *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* kind: a limit, or LIMITS for what is remembered. */
static uint64_t name_of(const struct limiter *l, enum limit kind, const void *id, size_t len)
{
    unsigned char text[SEED_SIZE + 1 + ID_MAX], digest[SHA256_SIZE];
    uint64_t name;

    if (len > ID_MAX)
        len = ID_MAX;
    memcpy(text, l->seed, SEED_SIZE);
    text[SEED_SIZE] = (unsigned char)kind;
    memcpy(text + SEED_SIZE + 1, id, len);
    digest_sha256(text, SEED_SIZE + 1 + len, digest);
    memcpy(&name, digest, sizeof(name));
    return name ? name : 1;
}

static struct bucket *find(struct limiter *l, uint64_t name)
{
    struct bucket *set = l->sets[name % SETS];

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].whose == name)
            return &set[i];
    return NULL;
}

static void put(struct limiter *l, uint64_t name, int64_t full)
{
    struct bucket *place = find(l, name);
    struct bucket *set = l->sets[name % SETS];

    if (!place) {
        place = set;
        for (size_t i = 1; i < WAYS; i++)
            if (set[i].full < place->full)
                place = &set[i];
    }
    *place = (struct bucket){name, full};
}

static bool ask(struct limiter *l, enum limit limit, const void *id, size_t len, int64_t now,
                bool take, int64_t *ret_wait)
{
    const struct pace *p = l ? &l->paces[limit] : NULL;
    const struct bucket *b;
    int64_t full, ahead;
    uint64_t name;

    *ret_wait = 0;
    if (!p || !p->each)
        return true;
    name = name_of(l, limit, id, len);
    pthread_mutex_lock(&l->lock);
    b = find(l, name);
    full = (b && b->full > now ? b->full : now) + p->each;
    ahead = full - now - p->burst;
    if (ahead <= 0 && take)
        put(l, name, full);
    pthread_mutex_unlock(&l->lock);
    *ret_wait = ahead > 0 ? ahead : 0;
    return ahead <= 0;
}

bool limiter_take(struct limiter *l, enum limit limit, const void *id, size_t len, int64_t now,
                  int64_t *ret_wait)
{
    return ask(l, limit, id, len, now, true, ret_wait);
}

bool limiter_has(struct limiter *l, enum limit limit, const void *id, size_t len, int64_t now,
                 int64_t *ret_wait)
{
    return ask(l, limit, id, len, now, false, ret_wait);
}

void limiter_remember(struct limiter *l, const void *id, size_t len, int64_t now, int64_t ns)
{
    uint64_t name;

    if (!l)
        return;
    name = name_of(l, LIMITS, id, len);
    pthread_mutex_lock(&l->lock);
    put(l, name, now + ns);
    pthread_mutex_unlock(&l->lock);
}

bool limiter_remembers(struct limiter *l, const void *id, size_t len, int64_t now)
{
    const struct bucket *b;
    uint64_t name;
    bool seen;

    if (!l)
        return false;
    name = name_of(l, LIMITS, id, len);
    pthread_mutex_lock(&l->lock);
    b = find(l, name);
    seen = b && b->full > now;
    pthread_mutex_unlock(&l->lock);
    return seen;
}
