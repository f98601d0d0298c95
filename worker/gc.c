/* worker/gc — see the header. */
#include "worker/gc.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "worker/audit.h"

#define LOOK_MS (60 * 1000)         /* between looks whether something is due */
#define LEASE   (1800 * NS_PER_SEC) /* for a task; who comes after a dead one does it again */
#define REST_US 10000               /* for everybody else, after each piece */

struct gc {
    struct gc_config config;
    struct cancel quit;
    pthread_t thread;
    bool started;
};

/* ---- the tasks ---- */

/* Moments are the database's. */
static int64_t ago(const struct gc_config *c, int64_t ns)
{
    return ns ? clock_now(state_clock(c->state)) - ns : 0;
}

static int look_for_events(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    return state_events_find_old(c->state, ago(c, c->event_ns), ret, err);
}

static int remove_events(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    bool more = true;

    if (look_for_events(c, ret, err) < 0)
        return -1;
    while (more)
        if (state_events_remove_old(c->state, ago(c, c->event_ns), c->cancel, &more, err) < 0)
            return -1;
    return 0;
}

static int look_for_logs(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    return state_logs_find_old(c->state, ago(c, c->log_ns), ret, err);
}

/* Workers do it all the time; this is for who has none. */
static int remove_logs(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    bool more = c->log_ns > 0;

    if (look_for_logs(c, ret, err) < 0)
        return -1;
    while (more && !(c->cancel && cancel_is_thrown(c->cancel))) {
        if (state_log_remove_old(c->state, ago(c, c->log_ns), &more, err) < 0)
            return -1;
        usleep(REST_US);
    }
    return 0;
}

static int look_for_expired(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    return state_expired_find(c->state, ret, err);
}

static int remove_expired(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    return state_expired_find(c->state, ret, err) < 0 ? -1 : state_expired_remove(c->state, err);
}

static int look_for_entries(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    return state_audit_find_old(c->state, ago(c, c->audit_ns), ret, err);
}

static int remove_entries(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    bool more = c->audit_ns > 0;

    if (look_for_entries(c, ret, err) < 0)
        return -1;
    while (more && !(c->cancel && cancel_is_thrown(c->cancel))) {
        if (state_audit_remove_old(c->state, ago(c, c->audit_ns), &more, err) < 0)
            return -1;
        usleep(REST_US);
    }
    return 0;
}

static void note_workspace(void *self, const struct workspace *w)
{
    argv_push1(self, w->name);
}

/* Calls each with the store of every workspace that has one. */
static int each_store(const struct gc_config *c,
                      int (*each)(const struct gc_config *c, const char *workspace,
                                  struct template_store *store, struct gc_found *found,
                                  struct error *err),
                      struct gc_found *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    *ret = (struct gc_found){.items = 0};
    if (state_workspace_list(c->state, NULL, note_workspace, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        CLEANUP(template_store_freep) struct template_store *store = NULL;

        if (places_open_store(c->places, names.v[i], &store, err) < 0 ||
            (store && each(c, names.v[i], store, ret, err) < 0))
            return error_wrap(err, "workspace %s", names.v[i]);
    }
    return 0;
}

static int weigh_store(const struct gc_config *c, const char *workspace,
                       struct template_store *store, struct gc_found *found, struct error *err)
{
    struct template_gc_report report;

    (void)c;
    (void)workspace;
    if (template_gc_look(store, &report, err) < 0)
        return -1;
    found->items += (int64_t)report.packs_waiting;
    found->bytes += (int64_t)report.bytes_waiting;
    return 0;
}

static int look_for_chunks(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    return each_store(c, weigh_store, ret, err);
}

/* A worker does it, in a jail. */
static int order_collection(const struct gc_config *c, const char *workspace,
                            struct template_store *store, struct gc_found *found, struct error *err)
{
    (void)store;
    found->items++;
    return places_collect_later(c->state, workspace, err);
}

static int remove_chunks(const struct gc_config *c, struct gc_found *ret, struct error *err)
{
    return each_store(c, order_collection, ret, err);
}

const struct gc_task gc_tasks[] = {
    {"audit", "entries of the audit log that are older than audit_retention", look_for_entries,
     remove_entries},
    {"events", "events that are older than event_retention, or never shown", look_for_events,
     remove_events},
    {"expired", "access tokens and offers of images whose time is over", look_for_expired,
     remove_expired},
    {"logs", "logs that are older than log_retention", look_for_logs, remove_logs},
    {"templates", "chunks that no volume template needs: a worker is told", look_for_chunks,
     remove_chunks},
    {NULL, NULL, NULL, NULL},
};

/* ---- running them ---- */

int gc_run_task(const struct gc_config *c, const struct gc_task *task, int64_t interval,
                bool *ret_done, struct gc_found *ret, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int result;

    *ret = (struct gc_found){.items = 0};
    if (state_gc_begin(c->state, task->name, c->name, interval, LEASE, ret_done, err) < 0)
        return -1;
    if (!*ret_done)
        return 0;
    result = task->run(c, ret, err);
    if (state_gc_end(c->state, task->name, c->name, ret->items, ret->bytes,
                     result < 0 ? err->msg : "", result < 0 ? &ignored : err) < 0)
        return -1;
    return result;
}

static void say(const struct gc_config *c, const char *task, const char *what)
{
    char line[1200];

    (void)snprintf(line, sizeof(line), "gc %s: %s", task, what);
    if (c->log)
        c->log(c->log_self, &(const struct note){.line = line});
}

static void run_due(const struct gc_config *c, const struct gc_task *task)
{
    struct error err = ERROR_INIT;
    struct gc_found found;
    char size[TEXT_SIZE], text[100];
    bool done;

    if (gc_run_task(c, task, c->interval, &done, &found, &err) < 0) {
        say(c, task->name, err.msg);
    } else if (done && found.items) {
        text_size((uint64_t)found.bytes, size);
        (void)snprintf(text, sizeof(text), "%lld, %s", (long long)found.items, size);
        say(c, task->name, text);
    }
}

static void *collect_forever(void *self)
{
    struct gc *g = self;
    struct pollfd quit = {.fd = g->quit.fd, .events = POLLIN};

    do {
        for (const struct gc_task *t = gc_tasks; t->name && !cancel_is_thrown(&g->quit); t++)
            run_due(&g->config, t);
    } while (poll(&quit, 1, LOOK_MS) <= 0);
    return NULL;
}

int gc_start(const struct gc_config *config, struct gc **ret, struct error *err)
{
    struct gc *g = NULL;
    int problem;

    *ret = NULL;
    if (!config->interval)
        return 0;
    g = calloc(1, sizeof(*g));
    if (!g)
        return error_set(err, ERR_SYSTEM, "start to collect garbage: out of memory");
    g->config = *config;
    g->config.cancel = &g->quit;
    g->quit.fd = -1;
    if (cancel_init(&g->quit, err) < 0) {
        gc_stop(g);
        return -1;
    }
    problem = pthread_create(&g->thread, NULL, collect_forever, g);
    g->started = problem == 0;
    if (problem) {
        gc_stop(g);
        return error_errno(err, problem, "start a thread");
    }
    *ret = g;
    return 0;
}

void gc_stop(struct gc *g)
{
    if (!g)
        return;
    if (g->quit.fd >= 0)
        cancel_throw(&g->quit);
    if (g->started)
        (void)pthread_join(g->thread, NULL);
    cancel_release(&g->quit);
    free(g);
}
