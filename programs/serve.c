/* programs/serve — `kiln serve`: API, uploads, workers and the registry in one process;
 * `kiln worker`: workers alone. */
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "api/api.h"
#include "base/notify.h"
#include "programs/audit.h"
#include "programs/commands.h"
#include "programs/installation.h"

#define DRAIN_MS      5000 /* for running builds at SIGTERM, before they are handed back */
#define VOLUME_WAIT   (5 * NS_PER_SEC) /* so that most volumes are there with the answer */
#define PLANS_AT_ONCE 2                /* POST /v0/plan: a jail each */
#define FILES_WANTED  4096 /* descriptors: followed logs, requests, and what builds have open */
/* glibc gives threads heaps of their own, each of which keeps the most that it ever held: with a
 * thread for each connection, memory would grow for tens of thousands of requests. */
#define HEAPS 1

static void say(const struct installation *i, const char *fmt, ...) PRINTF(2, 3);
static void say(const struct installation *i, const char *fmt, ...)
{
    char line[2048];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    operator_log((void *)(uintptr_t)&i->log, &(const struct note){.line = line});
}

static bool logs_json(const struct config *c)
{
    return strcmp(c->log_format, "json") == 0;
}

/* Why it ends, or does not begin. */
static void fail(const struct config *c, const char *command, const struct error *err)
{
    const struct installation i = {.log = {.json = true}};

    if (logs_json(c))
        say(&i, "error: kiln %s: %s", command, err->msg);
    else
        fprintf(stderr, "kiln %s: %s\n", command, err->msg);
}

/* For Prometheus and the like; *ret NULL: it was not asked for. */
static int start_operators(const struct installation *i, struct api_config *ret_config,
                           struct api_server **ret, struct error *err)
{
    *ret = NULL;
    if (!i->config->operator_listen[0])
        return 0;
    *ret_config = (struct api_config){.state = i->state,
                                      .registry = &i->registry,
                                      .clock = state_clock(i->state),
                                      .operators = true,
                                      .log = operator_log,
                                      .log_self = (void *)(uintptr_t)&i->log};
    if (api_server_start(ret_config, i->config->operator_listen, ret, err) < 0)
        return error_wrap(err, "operator_listen");
    say(i, "metrics are at http://%s/metrics", i->config->operator_listen);
    return 0;
}

/* The manager of services is to start the Kiln that is installed now. */
static bool is_superseded(const struct installation *i)
{
    struct error ignored = ERROR_INIT;
    bool superseded = false;

    if (state_look_superseded(i->state, &superseded, &ignored) < 0 || !superseded)
        return false;
    say(i, "a newer kiln has changed the database: stopping, as this one cannot work with it. What "
           "is built here is built again by that one");
    return true;
}

/* That it lives, and trusts the keys that are. */
static void tend_registry(const struct installation *i, struct registry_server *registry)
{
    struct error err = ERROR_INIT;
    bool restarted = false;

    if (registry_server_check(registry, &restarted, &err) < 0)
        say(i, "registry: %s", err.msg);
    else if (restarted)
        say(i, "registry: had died and was started again");
    if (!i->registry_keys)
        return;
    if (registry_keys_tend(i->registry_keys, &err) < 0 ||
        registry_server_renew(registry, &restarted, &err) < 0)
        say(i, "registry: %s", err.msg);
    else if (restarted)
        say(i, "registry: was started again, with other keys");
}

/* For wait_for_signal, before there are threads. */
static void keep_hangup(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* The certificate is read again where its files changed, or always. */
static void reload(const struct installation *i, struct api_server *api, bool always)
{
    struct error err = ERROR_INIT;
    bool renewed = false;

    if (!api)
        return;
    if (api_server_reload(api, always, &renewed, &err) < 0)
        say(i, "error: TLS goes on with the certificate it has: %s", err.msg);
    else if (renewed)
        say(i, "TLS: certificate and key were read again");
}

/* Until SIGINT or SIGTERM, or until the terminal it was started on is gone, or, *ret_superseded, a
 * newer Kiln takes over; meanwhile sees to the registry, and to it that the certificate is the
 * newest.  Both may be NULL. */
static void wait_for_signal(const struct installation *i, struct registry_server *registry,
                            struct api_server *api, bool *ret_superseded)
{
    const bool on_terminal = isatty(STDERR_FILENO) == 1;
    const struct timespec second = {.tv_sec = 1};
    sigset_t set;
    int signal = 0;

    *ret_superseded = false;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    for (;;) {
        signal = sigtimedwait(&set, NULL, &second);
        if (signal == SIGHUP && !(on_terminal && isatty(STDERR_FILENO) != 1)) {
            reload(i, api, true);
            continue;
        }
        if (signal > 0 || (*ret_superseded = is_superseded(i)))
            break;
        reload(i, api, false);
        if (registry)
            tend_registry(i, registry);
    }
    notify("STOPPING=1");
    if (!*ret_superseded)
        say(i, "stopping on %s", strsignal(signal));
}

/* ---- serve ---- */

static void note_key(void *self, const struct api_key *key)
{
    (void)key;
    *(bool *)self = true;
}

/* On an installation without any key, makes a first one, so that a laptop needs no setup. */
static int make_first_key(const struct installation *i, const char *url, struct error *err)
{
    struct state *state = i->state;
    const struct key_draft draft = {
        .workspace = "default", .label = "made at the first start", .role = ROLE_ADMIN};
    char text[API_KEY_TEXT];
    struct api_key key;
    bool any = false;

    if (state_key_list(state, NULL, NULL, note_key, &any, err) < 0)
        return -1;
    if (any)
        return 0;
    /* What is told a journal is told whoever may read it. */
    if (getenv("JOURNAL_STREAM") || i->log.json) {
        say(i, "there is no API key yet: kiln key create --workspace default");
        return 0;
    }
    if (state_key_create(state, &draft, text, &key, err) < 0 ||
        audit_note(state, "key.create", key.account, key.workspace, key.id, err) < 0)
        return -1;
    fprintf(stderr,
            "\nThis is the first start: workspace \"default\" was made, with an API key that is "
            "shown\nonly now (`kiln key create` makes more):\n\n"
            "  export BL_API_URL=%s/v0 BL_WORKSPACE=default BL_API_KEY=%s\n\n",
            url, text);
    return 0;
}

struct service {
    struct installation installation;
    struct registry_server *registry;
    struct worker_config worker_config;
    struct worker *worker;
    struct courier_config courier_config;
    struct courier *courier;
    struct arrivals_config arrivals_config;
    struct arrivals *arrivals; /* NULL: uploads come by the API */
    struct state *gc_state;
    struct gc *gc;
    struct planner planner;
    struct api_config api_config, operator_config;
    struct api_server *api, *operators;
};

/* The workers first: what they build may need tokens of the API until then, and nobody waits for an
 * object store once they have had their time. */
static void service_stop(struct service *s, int drain_ms)
{
    worker_stop(s->worker, drain_ms);
    if (s->installation.transfers && s->installation.transfers->fd >= 0)
        cancel_throw(s->installation.transfers);
    api_server_stop(s->api);
    arrivals_stop(s->arrivals);
    gc_stop(s->gc);
    state_close(s->gc_state);
    courier_stop(s->courier);
    registry_server_free(s->registry);
    api_server_stop(s->operators);
    installation_release(&s->installation);
}

static void set_api_config(struct service *s, const struct config *c)
{
    s->api_config = (struct api_config){
        .state = s->installation.state,
        .uploads = s->installation.uploads,
        .registry = &s->installation.registry,
        .registry_name = s->installation.registry_name,
        .credentials_dir = s->installation.credentials_dir,
        .public_url = c->public_url[0] ? c->public_url : NULL,
        .tls_certificate = c->tls_key[0] ? c->tls_certificate : NULL,
        .tls_key = c->tls_key[0] ? c->tls_key : NULL,
        .connections_max = (unsigned)c->connections_max,
        .address_connections_max = (unsigned)c->address_connections_max,
        .proxies = &c->proxies,
        .rates = {.key = c->key_rate,
                  .workspace = c->workspace_rate,
                  .address = c->address_rate,
                  .failed_logins = c->failed_logins_max},
        .clock = state_clock(s->installation.state),
        .upload_seconds = c->upload_expiry,
        .upload_max = (uint64_t)c->upload_max,
        .places = &s->installation.places,
        .volume_wait = VOLUME_WAIT,
        .planner = &s->planner,
        .log = operator_log,
        .log_self = &s->installation.log,
    };
}

/* "http://127.0.0.1:8080", with the port that was found when 0 was asked for. */
static void url_of(const struct config *c, const struct api_server *api, char url[300])
{
    const char *colon = strrchr(c->listen, ':');

    if (c->public_url[0])
        (void)snprintf(url, 300, "%s", c->public_url);
    else
        (void)snprintf(url, 300, "http%s://%.*s:%d", c->tls_key[0] ? "s" : "",
                       (int)(colon - c->listen), c->listen, api_server_port(api));
}

static int start_arrivals(struct service *s, const struct config *c, struct error *err)
{
    s->arrivals_config = (struct arrivals_config){.state = s->installation.state,
                                                  .uploads = s->installation.uploads,
                                                  .upload_max = (uint64_t)c->upload_max,
                                                  .log = operator_log,
                                                  .log_self = &s->installation.log};
    return upload_store_remote(s->installation.uploads)
               ? arrivals_start(&s->arrivals_config, &s->arrivals, err)
               : 0;
}

static void warn_of_certificate(const struct installation *i)
{
    const struct config *c = i->config;
    struct error err = ERROR_INIT;
    struct api_tls_facts facts;

    if (c->tls_key[0] && api_tls_examine(c->tls_certificate, c->tls_key, NULL, &facts, &err) == 0 &&
        facts.ends <= clock_now(&clock_system))
        say(i, "warning: tls_certificate: %s has expired, and clients will refuse it",
            c->tls_certificate);
}

static int start_gc(struct service *s, const struct config *c, struct error *err)
{
    struct gc_config config = installation_gc(&s->installation, operator_log);

    if (!config.interval)
        return 0;
    if (installation_open_state(c, NULL, &s->gc_state, err) < 0)
        return -1;
    config.state = s->gc_state;
    return gc_start(&config, &s->gc, err);
}

/* The API first: the registry has to know where its clients get their tokens, and the workers need
 * the registry.  ret_url: where the API is. */
static int service_start(struct service *s, const struct config *c, char ret_url[300],
                         struct error *err)
{
    if (installation_open(c, c->data_dir, NULL, &s->installation, err) < 0)
        return -1;
    s->installation.log.json = logs_json(c);
    s->worker_config = installation_worker(&s->installation, (int)c->workers, operator_log);
    s->planner.config = &s->worker_config;
    s->planner.max = PLANS_AT_ONCE;
    set_api_config(s, c);
    if (start_operators(&s->installation, &s->operator_config, &s->operators, err) < 0 ||
        api_server_start(&s->api_config, c->listen, &s->api, err) < 0)
        return -1;
    url_of(c, s->api, ret_url);
    warn_of_certificate(&s->installation);
    if (installation_start_registry(&s->installation, ret_url, &s->registry, err) < 0 ||
        start_arrivals(s, c, err) < 0)
        return -1;
    if (installation_courier(&s->installation, operator_log, &s->courier_config, err) < 0 ||
        courier_start(&s->courier_config, &s->courier, err) < 0)
        return -1;
    if (start_gc(s, c, err) < 0)
        return -1;
    return c->workers > 0 ? worker_start(&s->worker_config, &s->worker, err) : 0;
}

/* The soft limit mostly is 1024, for programs that use select. */
static void allow_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= FILES_WANTED)
        return;
    files.rlim_cur = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

int command_serve(const struct config *c, int argc, char **argv)
{
    struct service s = {.registry = NULL};
    struct error err = ERROR_INIT;
    char url[300];
    bool superseded = false;
    int code = 1;

    if (argc > 1) {
        fprintf(stderr, "kiln serve: unexpected word \"%s\"; see `kiln serve --help`\n", argv[1]);
        return 2;
    }
    keep_hangup();
    allow_files();
    (void)mallopt(M_ARENA_MAX, HEAPS);
    if (service_start(&s, c, url, &err) == 0 && make_first_key(&s.installation, url, &err) == 0) {
        say(&s.installation, "images go to %s, data is in %s", s.installation.registry_name,
            c->data_dir);
        if (s.installation.log.json)
            say(&s.installation, "ready at %s/v0", url);
        else
            fprintf(stderr, "kiln: ready at %s/v0\n", url);
        notify("READY=1");
        wait_for_signal(&s.installation, s.registry, s.api, &superseded);
        code = superseded ? 1 : 0;
    } else {
        fail(c, "serve", &err);
    }
    service_stop(&s, superseded ? 0 : DRAIN_MS);
    return code;
}

/* ---- worker ---- */

int command_worker(const struct config *c, int argc, char **argv)
{
    CLEANUP(installation_release) struct installation i = {.config = c};
    struct worker_config config;
    struct api_config operator_config;
    struct api_server *operators = NULL;
    struct worker *worker = NULL;
    struct courier_config courier_config;
    struct courier *courier = NULL;
    struct error err = ERROR_INIT;
    bool superseded;

    if (argc > 1) {
        fprintf(stderr, "kiln worker: unexpected word \"%s\"; see `kiln worker --help`\n", argv[1]);
        return 2;
    }
    if (c->workers == 0) {
        fprintf(stderr, "kiln worker: with workers = 0 there is nothing to do\n");
        return 2;
    }
    keep_hangup();
    if (installation_open(c, c->data_dir, NULL, &i, &err) < 0)
        goto fail;
    i.log.json = logs_json(c);
    config = installation_worker(&i, (int)c->workers, operator_log);
    if (start_operators(&i, &operator_config, &operators, &err) < 0 ||
        installation_courier(&i, operator_log, &courier_config, &err) < 0 ||
        courier_start(&courier_config, &courier, &err) < 0 ||
        worker_start(&config, &worker, &err) < 0)
        goto fail;
    say(&i, "worker %s: %d builds at once, data is in %s", config.name, config.threads,
        c->data_dir);
    notify("READY=1");
    wait_for_signal(&i, NULL, NULL, &superseded);
    worker_stop(worker, superseded ? 0 : DRAIN_MS);
    courier_stop(courier);
    api_server_stop(operators);
    return superseded ? 1 : 0;
fail:
    courier_stop(courier);
    api_server_stop(operators);
    fail(c, "worker", &err);
    return 1;
}
