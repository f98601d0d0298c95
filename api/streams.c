/* api/streams — see the header.
 *
 * The thread polls all sockets: for room on those that are full, and on every one for the client
 * that hangs up.  Twice a second it gives a turn to those that wait for their source. */
#include "api/streams.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define LOOK_NS (NS_PER_SEC / 2) /* between looks for more */

struct streams {
    const struct api_config *config;
    pthread_t thread;
    int wake; /* an eventfd */
    unsigned max;
    bool joined;
    pthread_mutex_t lock; /* over what follows, but what is the thread's own */
    struct stream **added;
    unsigned n_added;
    unsigned count; /* added, or in all */
    bool stopped;
    /* The thread's own. */
    struct stream **all;
    enum stream_turn *turns; /* of all, the last ones */
    struct pollfd *polls;    /* one for each of all, and one for wake */
    unsigned n;
};

/* ---- turns ---- */

static void give_turn(struct streams *all, unsigned i)
{
    struct error err = ERROR_INIT;

    all->turns[i] = stream_turn(all->all[i], clock_monotonic(), &err);
    if (err.kind != ERR_NONE)
        api_log(all->config, "error: go on with an answer: %s", err.msg);
}

/* Those that ended leave; the last take their places. */
static void sweep(struct streams *all)
{
    for (unsigned i = 0; i < all->n;) {
        if (all->turns[i] != STREAM_OVER && all->turns[i] != STREAM_LOST) {
            i++;
            continue;
        }
        stream_free(all->all[i], all->turns[i] == STREAM_OVER);
        all->n--;
        all->all[i] = all->all[all->n];
        all->turns[i] = all->turns[all->n];
        pthread_mutex_lock(&all->lock);
        all->count--;
        pthread_mutex_unlock(&all->lock);
    }
}

/* ---- comings ---- */

/* False: stop. */
static bool take_added(struct streams *all)
{
    uint64_t unused;
    bool stopped;

    (void)!read(all->wake, &unused, sizeof(unused));
    pthread_mutex_lock(&all->lock);
    stopped = all->stopped;
    for (unsigned i = 0; i < all->n_added; i++) {
        all->turns[all->n] = STREAM_AGAIN;
        all->all[all->n++] = all->added[i];
    }
    all->n_added = 0;
    pthread_mutex_unlock(&all->lock);
    return !stopped;
}

static void wake(struct streams *all)
{
    const uint64_t one = 1;

    (void)!write(all->wake, &one, sizeof(one));
}

void streams_add(struct streams *all, struct stream *s)
{
    bool taken;

    pthread_mutex_lock(&all->lock);
    taken = !all->stopped && all->count < all->max;
    if (taken) {
        all->added[all->n_added++] = s;
        all->count++;
    }
    pthread_mutex_unlock(&all->lock);
    if (taken)
        wake(all);
    else
        stream_free(s, false);
}

/* ---- the thread ---- */

/* Waits until something can be done, at most until the next look; sees who has hung up. */
static void wait_for_some(struct streams *all, int64_t next_look)
{
    int64_t left = next_look - clock_monotonic();
    int timeout;

    for (unsigned i = 0; i < all->n; i++) {
        all->polls[i] = (struct pollfd){.fd = all->all[i]->fd, .events = POLLRDHUP};
        if (all->turns[i] == STREAM_BLOCKED)
            all->polls[i].events |= POLLOUT;
        if (all->turns[i] == STREAM_AGAIN)
            left = 0;
    }
    all->polls[all->n] = (struct pollfd){.fd = all->wake, .events = POLLIN};
    timeout = all->n == 0 ? -1 : left > 0 ? (int)(left / NS_PER_MS) + 1 : 0;
    if (poll(all->polls, all->n + 1, timeout) <= 0)
        return;
    for (unsigned i = 0; i < all->n; i++) {
        if (all->polls[i].revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
            all->turns[i] = STREAM_LOST;
        else if (all->polls[i].revents & POLLOUT)
            all->turns[i] = STREAM_AGAIN;
    }
}

static void *run(void *self)
{
    struct streams *all = self;
    int64_t next_look = clock_monotonic() + LOOK_NS;

    while (take_added(all)) {
        bool look = clock_monotonic() >= next_look;

        for (unsigned i = 0; i < all->n; i++)
            if (all->turns[i] == STREAM_AGAIN || look)
                give_turn(all, i);
        if (look)
            next_look = clock_monotonic() + LOOK_NS;
        sweep(all);
        wait_for_some(all, next_look);
        sweep(all);
    }
    while (all->n > 0)
        stream_free(all->all[--all->n], false);
    return NULL;
}

/* ---- life ---- */

void streams_free(struct streams *all)
{
    if (!all)
        return;
    if (all->wake >= 0)
        close(all->wake);
    pthread_mutex_destroy(&all->lock);
    free(all->added);
    free(all->all);
    free(all->turns);
    free(all->polls);
    free(all);
}

int streams_new(const struct api_config *config, unsigned max, struct streams **ret,
                struct error *err)
{
    struct streams *all = calloc(1, sizeof(*all));

    if (!all)
        return error_set(err, ERR_SYSTEM, "start the API: out of memory");
    *all = (struct streams){.config = config, .max = max};
    pthread_mutex_init(&all->lock, NULL);
    all->added = calloc(max, sizeof(struct stream *));
    all->all = calloc(max, sizeof(struct stream *));
    all->turns = calloc(max, sizeof(*all->turns));
    all->polls = calloc(max + 1, sizeof(*all->polls));
    all->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!all->added || !all->all || !all->turns || !all->polls || all->wake < 0 ||
        pthread_create(&all->thread, NULL, run, all) != 0) {
        streams_free(all);
        return error_set(err, ERR_SYSTEM, "start the API: out of memory, descriptors or threads");
    }
    *ret = all;
    return 0;
}

void streams_stop(struct streams *all)
{
    if (!all || all->joined)
        return;
    pthread_mutex_lock(&all->lock);
    all->stopped = true;
    pthread_mutex_unlock(&all->lock);
    wake(all);
    (void)pthread_join(all->thread, NULL);
    all->joined = true;
}
