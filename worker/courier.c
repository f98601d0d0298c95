/* worker/courier — messages go to their URLs; see worker/webhooks.h. */
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "worker/webhooks.h"

#define IDLE_MS     250 /* between looks at what waits */
#define ANSWER_MAX  (64 << 10)
#define LEASE_SLACK (5 * NS_PER_SEC) /* beyond a request's time limit */
#define PAUSE_MAX   (600 * NS_PER_SEC)
#define ASKED_MAX   (3600 * NS_PER_SEC)
#define KEPT        (30 * 86400 * NS_PER_SEC) /* what was delivered, to be looked at */
#define TIDY_PAUSE  (3600 * NS_PER_SEC)

struct route {
    struct courier *courier;
    const char *url;
    pthread_t thread;
};

struct courier {
    const struct courier_config *config;
    struct cancel quit;
    struct route *routes;
    size_t n; /* started */
};

static void say(const struct courier_config *c, const char *fmt, ...) PRINTF(2, 3);
static void say(const struct courier_config *c, const char *fmt, ...)
{
    char line[2048];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (c->log)
        c->log(c->log_self, &(const struct note){.line = line});
}

/* ---- when to try again ---- */

int64_t courier_pause(int attempts, int64_t asked_ms)
{
    const int64_t asked = asked_ms > ASKED_MAX / NS_PER_MS ? ASKED_MAX : asked_ms * NS_PER_MS;
    int64_t pause = NS_PER_SEC << (attempts < 1 ? 0 : attempts > 10 ? 10 : attempts - 1);

    if (pause > PAUSE_MAX)
        pause = PAUSE_MAX;
    return pause > asked ? pause : asked;
}

/* ---- one request ---- */

static int make_headers(const struct courier_config *c, const struct webhook_message *m,
                        struct argv *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
    CLEANUP(buf_release) struct buf signature = BUF_INIT(64 << 10);
    const int64_t seconds = clock_now(&clock_system) / NS_PER_SEC;

    if (webhook_secrets_read(c->secrets, &secrets, err) < 0 ||
        webhook_sign(&secrets, m->id, seconds, buf_str(&m->body), m->body.len, &signature, err) < 0)
        return -1;
    argv_push1(ret, "Content-Type: application/json");
    argv_pushf(ret, "User-Agent: %s", c->program);
    argv_pushf(ret, "webhook-id: %s", m->id);
    argv_pushf(ret, "webhook-timestamp: %lld", (long long)seconds);
    argv_pushf(ret, "webhook-signature: %s", buf_str(&signature));
    return ret->failed ? error_set(err, ERR_SYSTEM, "send a webhook: out of memory") : 0;
}

/* The status of a 2xx answer is all that is wanted of it, however long the rest is. */
static int stop_reading(void *self, const struct http_response *resp, const void *data, size_t len,
                        struct error *err)
{
    (void)data;
    (void)len;
    *(int *)self = resp->status;
    return error_set(err, ERR_SYSTEM, "the rest of the answer is not read");
}

/* *ret_status: of the answer. */
static int request(const struct courier *c, const struct webhook_message *m, int *ret_status,
                   struct http_response *resp, struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    int stopped_at = 0;
    const struct http_sink sink = {.take = stop_reading, .self = &stopped_at};
    const struct http_request req = {.method = "POST",
                                     .url = m->url,
                                     .headers = &headers,
                                     .body = buf_str(&m->body),
                                     .body_len = m->body.len,
                                     .sink = &sink,
                                     .timeout_ms = c->config->timeout_ms,
                                     .ca_file = c->config->ca_file,
                                     .cancel = &c->quit};

    if (make_headers(c->config, m, &headers, err) < 0)
        return -1;
    if (c->config->http->request(c->config->http->self, &req, resp, err) < 0 && !stopped_at)
        return -1;
    *ret_status = stopped_at ? stopped_at : resp->status;
    return 0;
}

static void deliver(const struct courier *c, const struct webhook_message *m, const char *holder)
{
    const struct courier_config *config = c->config;
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
    struct error err = ERROR_INIT;
    char answer[WEBHOOK_ANSWER];
    int64_t pause;
    int status = 0;
    bool done;

    if (request(c, m, &status, &resp, &err) < 0)
        (void)snprintf(answer, sizeof(answer), "%.250s", err.msg);
    else
        (void)snprintf(answer, sizeof(answer), "HTTP %d", status);
    done = status / 100 == 2;
    pause = cancel_is_thrown(&c->quit) ? 0 /* it was us */
                                       : courier_pause(m->attempts, http_retry_after(&resp));
    if (!done)
        say(config, "webhook %s to %s, attempt %d: %s; the next is in %lld s", m->id, m->url,
            m->attempts, answer, (long long)(pause / NS_PER_SEC));
    else if (m->attempts > 1)
        say(config, "webhook %s to %s: delivered by attempt %d", m->id, m->url, m->attempts);
    err = (struct error)ERROR_INIT;
    if (state_webhook_settle(config->state, m, holder, done, answer, done ? 0 : pause, &err) < 0)
        say(config, "webhook %s to %s: record its end: %s", m->id, m->url, err.msg);
}

/* ---- the threads ---- */

/* False: there was none. */
static bool deliver_next(const struct route *r)
{
    const struct courier_config *c = r->courier->config;
    const int64_t lease = c->timeout_ms * NS_PER_MS + LEASE_SLACK;
    CLEANUP(webhook_message_release) struct webhook_message m = {.attempts = 0};
    enum presence presence = ABSENT;
    struct error err = ERROR_INIT;

    if (state_webhook_claim(c->state, r->url, c->name, lease, &presence, &m, &err) < 0)
        say(c, "look for a webhook's message: %s", err.msg);
    if (presence == PRESENT)
        deliver(r->courier, &m, c->name);
    return presence == PRESENT;
}

static void tidy(const struct courier_config *c, int64_t *next)
{
    struct error err = ERROR_INIT;

    if (clock_monotonic() < *next)
        return;
    *next = clock_monotonic() + TIDY_PAUSE;
    if (state_webhook_forget(c->state, c->urls, clock_now(state_clock(c->state)) - KEPT, &err) < 0)
        say(c, "forget webhooks' messages: %s", err.msg);
}

static void *run(void *self)
{
    const struct route *r = self;
    struct pollfd quit = {.fd = r->courier->quit.fd, .events = POLLIN};
    bool busy = false;
    int64_t next_tidy = 0;

    while (poll(&quit, 1, busy ? 0 : IDLE_MS) <= 0) {
        if (r == r->courier->routes)
            tidy(r->courier->config, &next_tidy);
        busy = deliver_next(r);
    }
    return NULL;
}

int courier_start(const struct courier_config *config, struct courier **ret, struct error *err)
{
    struct courier *c = NULL;

    *ret = NULL;
    if (config->urls->n == 0)
        return 0;
    c = calloc(1, sizeof(*c));
    if (!c)
        return error_set(err, ERR_SYSTEM, "start a courier: out of memory");
    *c = (struct courier){.config = config, .quit = {.fd = -1}};
    c->routes = calloc(config->urls->n, sizeof(*c->routes));
    if (!c->routes)
        (void)error_set(err, ERR_SYSTEM, "start a courier: out of memory");
    if (!c->routes || cancel_init(&c->quit, err) < 0) {
        courier_stop(c);
        return -1;
    }
    for (; c->n < config->urls->n; c->n++) {
        struct route *r = &c->routes[c->n];
        int problem;

        *r = (struct route){.courier = c, .url = config->urls->v[c->n]};
        problem = pthread_create(&r->thread, NULL, run, r);
        if (problem) {
            courier_stop(c);
            return error_errno(err, problem, "start a thread");
        }
    }
    *ret = c;
    return 0;
}

void courier_stop(struct courier *c)
{
    if (!c)
        return;
    if (c->quit.fd >= 0)
        cancel_throw(&c->quit);
    for (size_t i = 0; i < c->n; i++)
        (void)pthread_join(c->routes[i].thread, NULL);
    cancel_release(&c->quit);
    free(c->routes);
    free(c);
}
