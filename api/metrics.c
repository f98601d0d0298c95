/* api/metrics — GET /metrics: what Prometheus reads (text format 0.0.4).
 *
 * Counters are of this process and begin at 0 with it; what is queued and running is of the whole
 * installation, from the database. */
#include "api/metrics.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUTES_MAX 160 /* the last one counts what matches no route */
#define CLASSES    6   /* by the status' first digit; 0: no answer */
#define BUCKETS    10

static const double bounds[BUCKETS] = {0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30}; /* s */

static struct {
    atomic_uint_fast64_t requests[ROUTES_MAX][CLASSES];
    atomic_uint_fast64_t took[BUCKETS + 1]; /* not more than bounds[i] s, but than bounds[i-1] */
    atomic_uint_fast64_t ns;
    atomic_uint_fast64_t limited[LIMITS];
    atomic_uint_fast64_t ends[CONNECTION_ENDS];
    _Atomic int64_t certificate_ends; /* ns; 0: there is none */
} counts;

static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_note_request(const struct route *route, int status, int64_t ns)
{
    size_t i = route >= api_routes && route < api_routes + api_routes_count
                   ? (size_t)(route - api_routes)
                   : ROUTES_MAX - 1;
    size_t bucket = 0;

    add(&counts.requests[i < ROUTES_MAX ? i : ROUTES_MAX - 1]
                        [status >= 100 && status < 600 ? status / 100 : 0],
        1);
    while (bucket < BUCKETS && (double)ns / NS_PER_SEC > bounds[bucket])
        bucket++;
    add(&counts.took[bucket], 1);
    add(&counts.ns, (uint64_t)ns);
}

void metrics_note_limited(enum limit limit)
{
    add(&counts.limited[limit], 1);
}

void metrics_note_connections(enum connection_end end, unsigned n)
{
    add(&counts.ends[end], n);
}

void metrics_note_certificate(int64_t ends)
{
    atomic_store(&counts.certificate_ends, ends);
}

/* ---- the text ---- */

static void say(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void say_one(struct buf *b, const char *name, const char *type, const char *help,
                    double value)
{
    say(b, name, type, help);
    buf_addf(b, "%s %.17g\n", name, value);
}

static void add_requests(struct buf *b)
{
    say(b, "kiln_http_requests_total", "counter", "Requests that ended, by route and status.");
    for (size_t i = 0; i < ROUTES_MAX; i++) {
        const struct route *r = i < api_routes_count ? &api_routes[i] : NULL;

        for (size_t c = 0; c < CLASSES; c++)
            if (get(&counts.requests[i][c]))
                buf_addf(
                    b, "kiln_http_requests_total{method=\"%s\",route=\"%s\",status=\"%s\"} %llu\n",
                    r ? r->method : "", r ? r->pattern : "",
                    (const char *const[]){"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[c],
                    (unsigned long long)get(&counts.requests[i][c]));
    }
}

static void add_durations(struct buf *b)
{
    static const char name[] = "kiln_http_request_duration_seconds";
    uint64_t sum = 0;

    say(b, name, "histogram", "From a request's first line to its answer's end, uploads too.");
    for (size_t i = 0; i < BUCKETS; i++)
        buf_addf(b, "%s_bucket{le=\"%g\"} %llu\n", name, bounds[i],
                 (unsigned long long)(sum += get(&counts.took[i])));
    sum += get(&counts.took[BUCKETS]);
    buf_addf(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9f\n%s_count %llu\n", name,
             (unsigned long long)sum, name, (double)get(&counts.ns) / NS_PER_SEC, name,
             (unsigned long long)sum);
}

static void add_limited(struct buf *b)
{
    static const char *const limits[] = {[LIMIT_KEY] = "key",
                                         [LIMIT_WORKSPACE] = "workspace",
                                         [LIMIT_ADDRESS] = "address",
                                         [LIMIT_LOGIN] = "login"};

    say(b, "kiln_http_limited_total", "counter", "Requests answered with 429, by the limit.");
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        buf_addf(b, "kiln_http_limited_total{limit=\"%s\"} %llu\n", limits[i],
                 (unsigned long long)get(&counts.limited[i]));
    say(b, "kiln_http_connections_ended_total", "counter",
        "Connections that the server ended: too many of an address, or too slow.");
    buf_addf(b,
             "kiln_http_connections_ended_total{why=\"address\"} %llu\n"
             "kiln_http_connections_ended_total{why=\"slow\"} %llu\n",
             (unsigned long long)get(&counts.ends[CONNECTION_OF_TOO_MANY]),
             (unsigned long long)get(&counts.ends[CONNECTION_TOO_SLOW]));
}

static void add_certificate(struct buf *b)
{
    const int64_t ends = atomic_load(&counts.certificate_ends);

    if (ends)
        say_one(b, "kiln_tls_certificate_expires_seconds", "gauge",
                "When the API's certificate does, in seconds since 1970.",
                (double)(ends / NS_PER_SEC));
}

static int add_load(struct api_call *c, struct buf *b, struct error *err)
{
    struct state_load load;
    int64_t age = 0;

    if (state_load(c->config->state, &load, err) < 0)
        return -1;
    say(b, "kiln_builds", "gauge", "Builds that have not ended, of all machines.");
    buf_addf(b,
             "kiln_builds{state=\"uploading\"} %lld\nkiln_builds{state=\"queued\"} %lld\n"
             "kiln_builds{state=\"running\"} %lld\n",
             (long long)load.uploading, (long long)load.queued, (long long)load.running);
    if (load.queued_since && c->now > load.queued_since)
        age = c->now - load.queued_since;
    say_one(b, "kiln_queue_oldest_seconds", "gauge",
            "How long the build has waited that waits longest.", (double)age / NS_PER_SEC);
    return 0;
}

/* ---- garbage ---- */

#define GC_TASKS_MAX 16

struct gc_runs {
    struct gc_run v[GC_TASKS_MAX];
    size_t n;
};

static void note_run(void *self, const struct gc_run *r)
{
    struct gc_runs *runs = self;

    if (r->ended && runs->n < GC_TASKS_MAX)
        runs->v[runs->n++] = *r;
}

static int add_gc(struct api_call *c, struct buf *b, struct error *err)
{
    struct gc_runs runs = {.n = 0};

    if (state_gc_list(c->config->state, note_run, &runs, err) < 0)
        return -1;
    say(b, "kiln_gc_ended_timestamp_seconds", "gauge", "When a task of kiln gc last ended.");
    for (size_t i = 0; i < runs.n; i++)
        buf_addf(b, "kiln_gc_ended_timestamp_seconds{task=\"%s\"} %.3f\n", runs.v[i].task,
                 (double)runs.v[i].ended / NS_PER_SEC);
    say(b, "kiln_gc_freed_bytes", "gauge", "What that freed, about.");
    for (size_t i = 0; i < runs.n; i++)
        buf_addf(b, "kiln_gc_freed_bytes{task=\"%s\"} %lld\n", runs.v[i].task,
                 (long long)runs.v[i].bytes);
    say(b, "kiln_gc_failed", "gauge", "1 where it ended with an error.");
    for (size_t i = 0; i < runs.n; i++)
        buf_addf(b, "kiln_gc_failed{task=\"%s\"} %d\n", runs.v[i].task,
                 runs.v[i].message[0] != '\0');
    return 0;
}

static void add_tries(struct buf *b)
{
    struct worker_counts tries;

    counts_read(&tries);
    say(b, "kiln_tries_total", "counter", "Tries of builds that ended in this process.");
    for (int i = 0; i < TRY_ENDS; i++)
        buf_addf(b, "kiln_tries_total{end=\"%s\"} %llu\n", try_end_names[i],
                 (unsigned long long)tries.ended[i]);
    say(b, "kiln_tries_seconds_total", "counter", "What they took.");
    for (int i = 0; i < TRY_ENDS; i++)
        buf_addf(b, "kiln_tries_seconds_total{end=\"%s\"} %.3f\n", try_end_names[i],
                 (double)tries.ns[i] / NS_PER_SEC);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = -3; /* ".", "..", and the one that reads it */

    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

static double resident_bytes(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%*d %lld", &pages) != 1)
        pages = 0;
    (void)fclose(f);
    return (double)(pages * sysconf(_SC_PAGESIZE));
}

/* By the names that every Prometheus client library has. */
static void add_process(struct buf *b)
{
    struct rusage use = {.ru_maxrss = 0};

    (void)getrusage(RUSAGE_SELF, &use);
    say_one(b, "process_cpu_seconds_total", "counter", "Processor time, user and system.",
            (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    say_one(b, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    say_one(b, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
}

int api_get_metrics(struct api_call *c, struct error *err)
{
    struct buf *b = &c->resp->body;

    say(b, "kiln_build_info", "gauge", "1; its label says which Kiln this is.");
    buf_addf(b, "kiln_build_info{version=\"%s\"} 1\n", KILN_VERSION);
    if (add_load(c, b, err) < 0 || add_gc(c, b, err) < 0)
        return -1;
    add_tries(b);
    add_requests(b);
    add_durations(b);
    add_limited(b);
    add_certificate(b);
    add_process(b);
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    return 0;
}
