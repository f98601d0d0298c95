/* worker/worker — the threads: some that build, and one janitor that ends what nobody else will. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "worker/credentials.h"
#include "worker/pack.h"
#include "worker/planner.h"
#include "worker/run.h"

#define IDLE_MS     500  /* between looks at a queue that another process fills */
#define HEARING_MS  2000 /* the same where that process is heard */
#define JANITOR_MS  1000
#define TIDY_MS     5000 /* for what a build leaves in an object store to be removed, at the end */
#define SWEEP_PAUSE (600 * NS_PER_SEC)
/* What a machine leaves to others before it claims: with a full disk, and after faults of its own,
 * twice as long after each. */
#define FULL_MS   10000
#define FAULT_MS  500
#define FAULT_MAX 30000
#define REST_MS   100 /* between looks at whether that is over */
/* Pieces of old logs that go each second, and the rest for everybody else after each. */
#define LOG_PIECES  20
#define LOG_REST_MS 10

struct worker {
    const struct worker_config *config;
    pthread_t *threads;
    int n_threads;
    pthread_t janitor;
    bool has_janitor;
    atomic_bool stopping;
    atomic_int busy;
    atomic_bool full;    /* the disk is, and that was said */
    atomic_uint claims;  /* numbers the holders of leases */
    struct cancel drain; /* thrown when running builds shall be handed back */
    struct cancel quit;  /* the janitor's */
    int64_t expires;     /* clock_monotonic: from when on the janitor ends leases */
};

static void say(const struct worker_config *c, const char *what, const struct error *err)
{
    char line[1200];

    (void)snprintf(line, sizeof(line), "error: %s: %s", what, err->msg);
    if (c->log)
        c->log(c->log_self, &(const struct note){.line = line});
}

/* A claim that failed may have been done all the same, when the connection broke; nobody works on
 * that build then.  holder: of that claim, and "" once it is known to have nothing. */
static void let_go(const struct worker_config *c, char holder[WORKER_HOLDER])
{
    struct error err = ERROR_INIT;

    if (*holder && state_worker_died(c->state, holder, &err) == 0)
        *holder = '\0';
}

/* A machine that cannot build fails builds faster than others make them, and so would get most of
 * them, try by try.  One that is alone goes on, slower. */

static int64_t rest_after(int faults) /* in a row; the first may have been the build's */
{
    const int64_t ms = faults < 2 ? 0 : (int64_t)FAULT_MS << (faults > 7 ? 6 : faults - 1);

    return ms < FAULT_MAX ? ms : FAULT_MAX;
}

static void rest(struct worker *w, int64_t ms, bool while_full)
{
    const int64_t end = clock_monotonic() + ms * NS_PER_MS;

    while (!atomic_load(&w->stopping) && clock_monotonic() < end &&
           !(while_full && !builder_is_full(w->config->builder)))
        (void)poll(NULL, 0, REST_MS);
}

static void rest_while_full(struct worker *w)
{
    const struct builder *b = w->config->builder;

    if (builder_is_full(b)) {
        if (!atomic_exchange(&w->full, true))
            run_log(w->config, NULL, "the disk of %s is full: builds are left to other machines",
                    builder_configuration(b)->dir);
        rest(w, FULL_MS, true);
    }
    if (!builder_is_full(b) && atomic_exchange(&w->full, false))
        run_log(w->config, NULL, "the disk of %s has room again", builder_configuration(b)->dir);
}

static void wait_for_work(struct worker *w)
{
    struct state *s = w->config->state;

    while (!atomic_load(&w->stopping))
        if (state_wait(s, state_hears(s) ? HEARING_MS : IDLE_MS))
            return;
}

static void *build_forever(void *self)
{
    struct worker *w = self;
    const struct worker_config *c = w->config;
    char doubtful[WORKER_HOLDER] = "";
    int faults = 0;

    while (!atomic_load(&w->stopping)) {
        struct build b = {.created = 0};
        struct error err = ERROR_INIT;
        enum presence presence = ABSENT;
        char holder[WORKER_HOLDER];

        rest_while_full(w);
        if (atomic_load(&w->stopping))
            break;
        (void)snprintf(holder, sizeof(holder), "%s#%u", c->name, atomic_fetch_add(&w->claims, 1));
        let_go(c, doubtful);
        if (!*doubtful && state_claim(c->state, holder, c->lease_ns, &presence, &b, &err) < 0) {
            say(c, "claim a build", &err);
            memcpy(doubtful, holder, sizeof(doubtful));
        }
        if (presence == ABSENT) {
            wait_for_work(w);
            continue;
        }
        atomic_fetch_add(&w->busy, 1);
        faults = run_build(c, &b, holder, &w->drain) ? 0 : faults + 1;
        atomic_fetch_sub(&w->busy, 1);
        rest(w, rest_after(faults), false);
    }
    return NULL;
}

/* ---- the janitor ---- */

static bool keep_archive(void *self, const char *key)
{
    const struct worker_config *c = self;
    struct error err = ERROR_INIT;
    char id[BUILD_ID];
    bool keep = true;

    if (state_archive_in_use(c->state, key, &keep, &err) < 0 || keep)
        return true;
    /* An archive that was received but not accepted yet: its build still waits for it. */
    (void)snprintf(id, sizeof(id), "%.32s", key);
    return state_build_unfinished(c->state, id, &keep, &err) < 0 || keep;
}

/* The job of a try that still runs. */
static bool keep_job(void *self, const char *name)
{
    const struct worker_config *c = self;
    struct error err = ERROR_INIT;
    struct build b = {.created = 0};
    enum presence presence;
    char id[BUILD_ID];
    char current[JOB_NAME];

    if (planner_owns_job(name))
        return true;
    (void)snprintf(id, sizeof(id), "%.32s", name);
    if (state_build_get(c->state, id, &presence, &b, &err) < 0)
        return true;
    if (presence == ABSENT || b.phase != BUILD_RUNNING)
        return false;
    pipeline_job_name(&b, current);
    return strcmp(name, current) == 0;
}

/* Those of a build that is not over. */
static bool keep_credentials(void *self, const char *id)
{
    const struct worker_config *c = self;
    struct error ignored = ERROR_INIT;
    enum presence presence;
    struct build b;

    if (state_build_get(c->state, id, &presence, &b, &ignored) < 0)
        return true;
    return presence == PRESENT && b.phase <= BUILD_RUNNING;
}

void worker_sweep(const struct worker_config *c)
{
    struct error err = ERROR_INIT;

    if (upload_store_sweep(c->uploads, keep_archive, (void *)c, &err) < 0)
        say(c, "sweep archives", &err);
    if (builder_sweep(c->builder, keep_job, (void *)c, &err) < 0)
        say(c, "sweep job directories", &err);
    if (volume_sweep(c, keep_job, (void *)c, &err) < 0)
        say(c, "sweep volumes", &err);
    credentials_sweep(c->credentials_dir, keep_credentials, (void *)c);
}

/* Workers of this machine are named machine:pid:start time, so that a dead one is known at once and
 * its builds need not wait for their leases. */
static bool is_dead_neighbour(const char *self, const char *other)
{
    char now[WORKER_NAME];
    int pid;
    const char *colon = strchr(other, ':');
    size_t host = colon ? (size_t)(colon - other) + 1 : 0;

    if (!host || strncmp(self, other, host) != 0 || sscanf(other + host, "%d", &pid) != 1)
        return false;
    return !worker_name_of(pid, now) || strncmp(now, other, strlen(now)) != 0 ||
           other[strlen(now)] != '#';
}

/* True when a dead one was found: it may have left something. */
static bool bury_the_dead(const struct worker_config *c, bool *ret_reached)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error err = ERROR_INIT;
    bool found = false;

    *ret_reached = state_worker_list(c->state, &names, &err) == 0;
    if (!*ret_reached)
        say(c, "list workers", &err);
    for (size_t i = 0; i < names.n; i++) {
        if (!is_dead_neighbour(c->name, names.v[i]))
            continue;
        found = true;
        if (state_worker_died(c->state, names.v[i], &err) < 0)
            say(c, "take over from a dead worker", &err);
    }
    return found;
}

/* Who could not reach the database does not know whether others could: when it is back, they get
 * the time of a lease to say that they live. */
static void expire(struct worker *w, bool reached)
{
    struct error err = ERROR_INIT;

    if (!reached)
        w->expires = clock_monotonic() + w->config->lease_ns;
    else if (clock_monotonic() >= w->expires && state_expire(w->config->state, &err) < 0)
        say(w->config, "expire", &err);
}

static void sweep_logs(const struct worker_config *c, struct pollfd *quit)
{
    const int64_t before = clock_now(state_clock(c->state)) - c->log_ns;
    struct error err = ERROR_INIT;
    bool more = c->log_ns > 0;

    for (int i = 0; more && i < LOG_PIECES; i++) {
        if (state_log_remove_old(c->state, before, &more, &err) < 0) {
            say(c, "remove old logs", &err);
            return;
        }
        if (more && poll(quit, 1, LOG_REST_MS) > 0)
            return;
    }
}

static void *clean_forever(void *self)
{
    struct worker *w = self;
    struct pollfd quit = {.fd = w->quit.fd, .events = POLLIN};
    int64_t next_sweep = clock_monotonic() + SWEEP_PAUSE;

    while (poll(&quit, 1, JANITOR_MS) <= 0) {
        bool reached;
        bool due = bury_the_dead(w->config, &reached) || clock_monotonic() >= next_sweep;

        expire(w, reached);
        if (w->config->sweep)
            sweep_logs(w->config, &quit);
        if (due && w->config->sweep) {
            worker_sweep(w->config);
            next_sweep = clock_monotonic() + SWEEP_PAUSE;
        }
    }
    return NULL;
}

/* ---- names ---- */

/* The kernel's start time of a process, field 22 of /proc/PID/stat (proc(5)). */
static bool start_time(int pid, unsigned long long *ret)
{
    CLEANUP(buf_release) struct buf stat = BUF_INIT(4096);
    char path[64];
    const char *after;
    struct error err;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (fs_read_file(AT_FDCWD, path, &stat, &err) < 0)
        return false;
    after = strrchr(buf_str(&stat), ')'); /* the name before it may hold anything */
    return after && sscanf(after + 1,
                           " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
                           " %*d %*d %llu",
                           ret) == 1;
}

/* What tells apart machines, and containers, that have the same name: when it was booted, and which
 * processes it sees. */
static void add_machine(struct buf *name)
{
    CLEANUP(buf_release) struct buf boot = BUF_INIT(64);
    struct error ignored = ERROR_INIT;
    struct stat ns = {.st_ino = 0};

    if (fs_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot, &ignored) == 0)
        buf_addf(name, "/%.8s", buf_str(&boot));
    if (stat("/proc/self/ns/pid", &ns) == 0)
        buf_addf(name, "/%llu", (unsigned long long)ns.st_ino);
}

bool worker_name_of(int pid, char name[WORKER_NAME])
{
    CLEANUP(buf_release) struct buf machine = BUF_INIT(WORKER_NAME);
    char host[HOST_NAME_MAX + 1] = "";
    unsigned long long start;

    if (gethostname(host, sizeof(host) - 1) < 0 || !start_time(pid, &start))
        return false;
    buf_adds(&machine, host);
    add_machine(&machine);
    (void)snprintf(name, WORKER_NAME, "%s:%d:%llu", buf_str(&machine), pid, start);
    return true;
}

/* ---- start and stop ---- */

static int start_threads(struct worker *w, struct error *err)
{
    int problem = 0;

    while (problem == 0 && w->n_threads < w->config->threads) {
        problem = pthread_create(&w->threads[w->n_threads], NULL, build_forever, w);
        w->n_threads += problem == 0;
    }
    if (problem == 0)
        problem = pthread_create(&w->janitor, NULL, clean_forever, w);
    w->has_janitor = problem == 0;
    return problem ? error_errno(err, problem, "start a thread") : 0;
}

int worker_start(const struct worker_config *config, struct worker **ret, struct error *err)
{
    struct worker *w = calloc(1, sizeof(*w));
    bool reached;

    if (w)
        w->threads = calloc((size_t)config->threads, sizeof(*w->threads));
    if (!w || !w->threads) {
        free(w);
        return error_set(err, ERR_SYSTEM, "start a worker: out of memory");
    }
    w->config = config;
    w->drain.fd = w->quit.fd = -1;
    (void)bury_the_dead(config, &reached);
    expire(w, reached);
    if (config->sweep)
        worker_sweep(config);
    if (cancel_init(&w->drain, err) < 0 || cancel_init(&w->quit, err) < 0 ||
        start_threads(w, err) < 0) {
        worker_stop(w, 0);
        return -1;
    }
    *ret = w;
    return 0;
}

static void wait_for_builds(const struct worker *w, int64_t ms)
{
    const int64_t deadline = clock_monotonic() + ms * NS_PER_MS;

    while (atomic_load(&w->busy) > 0 && clock_monotonic() < deadline)
        (void)poll(NULL, 0, 50);
}

void worker_stop(struct worker *w, int64_t drain_ms)
{
    struct error err = ERROR_INIT;

    if (!w)
        return;
    atomic_store(&w->stopping, true);
    state_wake(w->config->state);
    wait_for_builds(w, drain_ms);
    if (w->drain.fd >= 0)
        cancel_throw(&w->drain);
    if (w->config->transfers) {
        wait_for_builds(w, TIDY_MS);
        cancel_throw(w->config->transfers);
    }
    if (w->quit.fd >= 0)
        cancel_throw(&w->quit);
    for (int i = 0; i < w->n_threads; i++)
        (void)pthread_join(w->threads[i], NULL);
    if (w->has_janitor)
        (void)pthread_join(w->janitor, NULL);
    if (w->has_janitor && w->config->sweep && builder_sync(w->config->builder, &err) < 0)
        say(w->config, "have the builds' caches reach the disk", &err);
    cancel_release(&w->drain);
    cancel_release(&w->quit);
    free(w->threads);
    free(w);
}
