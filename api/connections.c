/* api/connections — see the header. */
#include "api/connections.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "api/metrics.h"

struct connections {
    pthread_mutex_t lock;
    struct connection *first;
    unsigned each_max;
    const struct argv *proxies;
    pthread_t thread;
    bool watched, stopping;
    pthread_cond_t stopped;
    int64_t every;
};

struct connections *connections_new(unsigned each_max, const struct argv *proxies)
{
    struct connections *c = calloc(1, sizeof(*c));
    pthread_condattr_t attr;

    if (!c)
        return NULL;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->stopped, &attr);
    pthread_condattr_destroy(&attr);
    c->each_max = each_max;
    c->proxies = proxies;
    return c;
}

static void stop_watch(struct connections *c)
{
    if (!c->watched)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->stopped);
    pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL);
}

void connections_free(struct connections *c)
{
    if (!c)
        return;
    stop_watch(c);
    pthread_cond_destroy(&c->stopped);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

bool connections_may_open(struct connections *c, const struct sockaddr *from)
{
    struct client_address address;
    unsigned char ours[ADDRESS_BITS], theirs[ADDRESS_BITS];
    unsigned n = 0;

    address_of_socket(from, &address);
    if (!c->each_max || address_is_among(&address, c->proxies))
        return true;
    address_of_client(&address, ours);
    pthread_mutex_lock(&c->lock);
    for (const struct connection *i = c->first; i; i = i->next) {
        address_of_client(&i->address, theirs);
        n += memcmp(ours, theirs, sizeof(ours)) == 0;
    }
    pthread_mutex_unlock(&c->lock);
    if (n < c->each_max)
        return true;
    metrics_note_connections(CONNECTION_OF_TOO_MANY, 1);
    return false;
}

struct connection *connections_open(struct connections *c, int fd, const struct sockaddr *from,
                                    struct tls_pair *pair)
{
    struct connection *n = calloc(1, sizeof(*n));

    if (!n) {
        tls_release(pair);
        return NULL;
    }
    n->fd = fd;
    n->pair = pair;
    address_of_socket(from, &n->address);
    pthread_mutex_lock(&c->lock);
    n->next = c->first;
    n->at = &c->first;
    if (n->next)
        n->next->at = &n->next;
    c->first = n;
    pthread_mutex_unlock(&c->lock);
    return n;
}

void connections_close(struct connections *c, struct connection *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&c->lock);
    *n->at = n->next;
    if (n->next)
        n->next->at = n->at;
    pthread_mutex_unlock(&c->lock);
    tls_release(n->pair);
    free(n);
}

/* With the lock. */
static void cut_late(struct connections *c, int64_t now)
{
    for (struct connection *n = c->first; n; n = n->next) {
        int64_t deadline = atomic_load(&n->deadline);

        if (!deadline || now < deadline)
            continue;
        atomic_store(&n->deadline, 0);
        (void)shutdown(n->fd, SHUT_RDWR);
        metrics_note_connections(CONNECTION_TOO_SLOW, 1);
    }
}

static void *watch(void *self)
{
    struct connections *c = self;

    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        int64_t at = clock_monotonic() + c->every;
        struct timespec until = {.tv_sec = at / NS_PER_SEC, .tv_nsec = at % NS_PER_SEC};

        (void)pthread_cond_timedwait(&c->stopped, &c->lock, &until);
        cut_late(c, clock_monotonic());
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int connections_watch(struct connections *c, int64_t every)
{
    c->every = every;
    c->watched = pthread_create(&c->thread, NULL, watch, c) == 0;
    return c->watched ? 0 : -1;
}
