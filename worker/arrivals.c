/* worker/arrivals — see the header. */
#include "worker/arrivals.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"

#define PAUSE_MIN (500 * NS_PER_MS)
#define PAUSE_MAX (5 * NS_PER_SEC)
#define PATIENCE  8 /* a pause is that part of the time since the newest build began to wait */

struct awaited {
    char id[BUILD_ID], workspace[NAME_SIZE];
};

struct arrivals {
    const struct arrivals_config *config;
    struct cancel quit;
    pthread_t thread;
    bool started;
    char newest[BUILD_ID]; /* of those that wait, and since when it is known */
    int64_t since;
    struct error last; /* what was logged of the store, so that it is once */
};

struct wait_list {
    struct awaited *v;
    size_t n;
    int64_t created; /* of the newest */
    char newest[BUILD_ID];
    bool failed;
};

static void wait_list_release(struct wait_list *l)
{
    free(l->v);
}

static void say(const struct arrivals_config *c, const char *fmt, ...) PRINTF(2, 3);
static void say(const struct arrivals_config *c, const char *fmt, ...)
{
    char line[2048];
    va_list ap;

    if (!c->log)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    c->log(c->log_self, &(const struct note){.line = line});
}

static void note(void *self, const struct build *b)
{
    struct wait_list *l = self;
    struct awaited *v = reallocarray(l->v, l->n + 1, sizeof(*v));

    if (!v) {
        l->failed = true;
        return;
    }
    l->v = v;
    (void)snprintf(v[l->n].id, sizeof(v[l->n].id), "%s", b->id);
    (void)snprintf(v[l->n].workspace, sizeof(v[l->n].workspace), "%s", b->workspace);
    l->n++;
    if (b->created > l->created) {
        l->created = b->created;
        (void)snprintf(l->newest, sizeof(l->newest), "%s", b->id);
    }
}

/* ---- one upload ---- */

static int refuse(const struct arrivals_config *c, const struct awaited *w,
                  const struct upload_arrival *arrival, struct error *err)
{
    char size[TEXT_SIZE], limit[TEXT_SIZE], why[512];

    text_size(arrival->size, size);
    text_size(c->upload_max, limit);
    if (arrival->verdict == UPLOAD_EMPTY)
        return state_upload_refuse(c->state, w->id, ERR_INPUT,
                                   "the upload had no body: deploy again, and send the archive as "
                                   "the body of the PUT",
                                   err);
    (void)snprintf(why, sizeof(why),
                   "the archive has %s, and this server takes %s: leave out what the build does "
                   "not need, such as node_modules, .git and caches (.blaxelignore)",
                   size, limit);
    return state_upload_refuse(c->state, w->id, ERR_LIMIT, why, err);
}

static int collect(const struct arrivals_config *c, const struct awaited *w, struct error *err)
{
    struct upload_arrival arrival;
    enum upload_outcome outcome;

    if (upload_store_collect(c->uploads, w->id, &arrival, err) < 0)
        return -1;
    if (arrival.verdict == UPLOAD_ABSENT)
        return 0;
    if (arrival.verdict != UPLOAD_ARRIVED) {
        if (refuse(c, w, &arrival, err) < 0)
            return -1;
        return upload_store_forget(c->uploads, w->id, err);
    }
    /* On failure the archive stays: should the database have kept it after all, it is needed, and
     * if not, the sweep takes it. */
    if (state_upload_accept(c->state, w->workspace, w->id, arrival.key, arrival.size, &outcome,
                            err) < 0)
        return -1;
    if (outcome != UPLOAD_ACCEPTED && upload_store_remove(c->uploads, arrival.key, err) < 0)
        return -1;
    return upload_store_forget(c->uploads, w->id, err);
}

/* ---- all of them ---- */

static void tell(struct arrivals *a, const struct error *err)
{
    if (strcmp(a->last.msg, err->msg) != 0)
        say(a->config, "error: look for uploads: %s", err->msg);
    a->last = *err;
}

static int look(struct arrivals *a, const struct wait_list *waiting, struct error *err)
{
    CLEANUP(argv_release) struct argv arrived = ARGV_INIT;
    int result = 0;

    if (upload_store_arrived(a->config->uploads, &arrived, err) < 0)
        return -1;
    for (size_t i = 0; i < waiting->n; i++)
        if (argv_contains(&arrived, waiting->v[i].id) &&
            collect(a->config, &waiting->v[i], err) < 0)
            result = -1;
    /* Only who has looked can say that nothing came: the store may have been away for long. */
    return result < 0 ? -1 : state_expire_uploads(a->config->state, err);
}

/* Looks, if anybody waits; returns how long to wait before the next time. */
static int64_t look_once(struct arrivals *a, bool due)
{
    CLEANUP(wait_list_release) struct wait_list waiting = {.n = 0};
    struct error err = ERROR_INIT;
    int64_t pause;

    if (state_uploads_awaited(a->config->state, note, &waiting, &err) < 0) {
        tell(a, &err);
        return PAUSE_MAX;
    }
    if (strcmp(waiting.newest, a->newest) != 0) {
        (void)snprintf(a->newest, sizeof(a->newest), "%s", waiting.newest);
        a->since = clock_monotonic();
        due = true;
    }
    if (waiting.n == 0 || !due)
        return PAUSE_MIN;
    if (look(a, &waiting, &err) < 0) {
        tell(a, &err);
    } else if (a->last.kind != ERR_NONE) {
        say(a->config, "uploads are looked for again");
        a->last = (struct error)ERROR_INIT;
    }
    pause = (clock_monotonic() - a->since) / PATIENCE;
    return pause < PAUSE_MIN ? PAUSE_MIN : pause > PAUSE_MAX ? PAUSE_MAX : pause;
}

static void *look_forever(void *self)
{
    struct arrivals *a = self;
    struct pollfd quit = {.fd = a->quit.fd, .events = POLLIN};
    int64_t next = 0;

    while (poll(&quit, 1, (int)(PAUSE_MIN / NS_PER_MS)) <= 0) {
        bool due = clock_monotonic() >= next;
        int64_t pause = look_once(a, due);

        if (due)
            next = clock_monotonic() + pause;
    }
    return NULL;
}

int arrivals_start(const struct arrivals_config *config, struct arrivals **ret, struct error *err)
{
    struct arrivals *a = calloc(1, sizeof(*a));
    int problem;

    if (!a)
        return error_set(err, ERR_SYSTEM, "look for uploads: out of memory");
    a->config = config;
    a->quit.fd = -1;
    if (cancel_init(&a->quit, err) < 0) {
        arrivals_stop(a);
        return -1;
    }
    problem = pthread_create(&a->thread, NULL, look_forever, a);
    a->started = problem == 0;
    if (problem) {
        arrivals_stop(a);
        return error_errno(err, problem, "start a thread");
    }
    *ret = a;
    return 0;
}

void arrivals_stop(struct arrivals *a)
{
    if (!a)
        return;
    if (a->quit.fd >= 0)
        cancel_throw(&a->quit);
    if (a->started)
        (void)pthread_join(a->thread, NULL);
    cancel_release(&a->quit);
    free(a);
}
