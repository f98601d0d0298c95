/* api/watch — see the header. */
#include "api/watch.h"

#include <string.h>

#define FRESH_NS  (NS_PER_SEC / 4)
#define PIECE_MAX (1u << 20) /* bytes */

struct watches {
    pthread_mutex_t lock; /* over the list and users */
    struct watch *first;
};

struct watches *watches_new(void)
{
    struct watches *all = calloc(1, sizeof(*all));

    if (all)
        pthread_mutex_init(&all->lock, NULL);
    return all;
}

void watches_free(struct watches *all)
{
    if (!all)
        return;
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static struct watch *find(struct watches *all, const char *build)
{
    struct watch *w = all->first;

    while (w && strcmp(w->build, build) != 0)
        w = w->next;
    return w;
}

static struct watch *add(struct watches *all, const char *build)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    (void)snprintf(w->build, sizeof(w->build), "%s", build);
    w->piece = (struct buf)BUF_INIT(PIECE_MAX);
    pthread_mutex_init(&w->lock, NULL);
    w->next = all->first;
    return all->first = w;
}

struct watch *watch_get(struct watches *all, const char *build)
{
    struct watch *w;

    pthread_mutex_lock(&all->lock);
    w = find(all, build);
    if (!w)
        w = add(all, build);
    if (w)
        w->users++;
    pthread_mutex_unlock(&all->lock);
    return w;
}

void watch_put(struct watches *all, struct watch *w)
{
    struct watch **at = &all->first;

    pthread_mutex_lock(&all->lock);
    if (--w->users == 0) {
        while (*at != w)
            at = &(*at)->next;
        *at = w->next;
        buf_release(&w->piece);
        pthread_mutex_destroy(&w->lock);
        free(w);
    }
    pthread_mutex_unlock(&all->lock);
}

static void no_line(void *self, const struct log_line *l)
{
    (void)self;
    (void)l;
}

/* The end is looked at first: no line is added once it is visible. */
int watch_look(struct watch *w, struct state *s, const struct clock *clock, struct error *err)
{
    const int64_t now = clock_monotonic();
    enum presence presence;
    struct build b;

    if (w->looked && now - w->looked < FRESH_NS)
        return 0;
    if (!w->over) {
        if (state_build_get(s, w->build, &presence, &b, err) < 0)
            return -1;
        w->over =
            presence == ABSENT || status_is_final(build_status(&b, b.purpose, clock_now(clock)));
    }
    if (state_log_read(s, w->build, INT64_MAX, false, 0, no_line, NULL, &w->last, err) < 0)
        return -1;
    w->looked = now;
    return 0;
}
