/* bench/queue_claims — how long a worker waits for its next build when the queue is long, and how
 * many builds a second the queue lets through.
 *
 *     queue_claims [BUILDS [DIRECTORY]]
 *     queue_claims BUILDS postgresql://…
 *
 * Fills a database in DIRECTORY (default: a new one beneath $TMPDIR or /tmp), or an empty one on a
 * PostgreSQL server, with BUILDS (default 100000) queued builds, each of its own target, of one
 * workspace, and prints what a claim, a heartbeat and a finish take: at the full queue; by four
 * threads at once, each with a connection of its own as four processes have; with a thousandth and
 * a tenth of the queue pausing before a retry; as those pauses end; with the whole queue held back
 * by its workspace's limit, and another workspace's builds behind it; and with as many builds more
 * of 1,000 workspaces.  At last the builds that 1, 2 and 4 threads claim and finish in a second,
 * without anything between the two.  Of all these a finish waits for the disk. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fs.h"
#include "worker/db.h"
#include "worker/state.h"

#define SAMPLES 1000
#define THREADS 4
#define MANY    1000 /* workspaces */
#define CYCLES  2000 /* claimed and finished for a rate */
#define LEASE   (3600 * NS_PER_SEC)

struct timing {
    const char *what;
    int64_t ns[SAMPLES * THREADS];
    size_t n;
};

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void print_timing(struct timing *t)
{
    qsort(t->ns, t->n, sizeof(t->ns[0]), compare);
    printf("%-38s %5zu  p50 %7.3f ms  p99 %7.3f ms  max %7.3f ms\n", t->what, t->n,
           (double)t->ns[t->n / 2] / 1e6, (double)t->ns[t->n * 99 / 100] / 1e6,
           (double)t->ns[t->n - 1] / 1e6);
}

static void note(struct timing *t, int64_t begin)
{
    t->ns[t->n++] = clock_monotonic() - begin;
}

static _Noreturn void die(const struct error *err)
{
    (void)fprintf(stderr, "queue_claims: %s\n", err->msg);
    exit(1);
}

static void run_sql(const char *path, const char *sql, int64_t number, struct error *err)
{
    struct db *db = NULL;

    if (db_open(path, &db, err) < 0)
        die(err);
    {
        QUERY(q, db, sql);
        query_int(&q, number);
        if (query_run(&q, NULL, err) < 0)
            die(err);
    }
    db_close(db);
}

static struct state *open_state(const char *path)
{
    const struct state_config config = {
        .path = path, .clock = &clock_system, .attempts_max = 3, .upload_ns = LEASE};
    struct error err = ERROR_INIT;
    struct state *s = NULL;

    if (state_open(&config, &s, &err) < 0 || state_workspace_ensure(s, "bench", &err) < 0)
        die(&err);
    return s;
}

static struct build claim(struct state *s, const char *worker, struct timing *t)
{
    struct error err = ERROR_INIT;
    enum presence presence;
    struct build b;
    int64_t begin = clock_monotonic();

    if (state_claim(s, worker, LEASE, &presence, &b, &err) < 0)
        die(&err);
    note(t, begin);
    if (presence == ABSENT) {
        (void)fprintf(stderr, "queue_claims: the queue is empty: ask for more builds\n");
        exit(1);
    }
    return b;
}

static void measure_one_worker(struct state *s)
{
    struct timing claims = {.what = "claim"};
    struct timing beats = {.what = "heartbeat"};
    struct timing ends = {.what = "finish, with tags and events"};
    const struct build_result result = {.kind = ERR_NONE, .digest = "sha256:0", .image_size = 1};
    struct error err = ERROR_INIT;
    enum lease_verdict verdict;
    enum build_phase phase;

    for (int i = 0; i < SAMPLES; i++) {
        struct build b = claim(s, "one", &claims);
        int64_t begin = clock_monotonic();

        if (state_heartbeat(s, b.id, "one", LEASE, &verdict, &err) < 0)
            die(&err);
        note(&beats, begin);
        begin = clock_monotonic();
        if (state_finish(s, b.id, "one", &result, &verdict, &phase, &err) < 0)
            die(&err);
        note(&ends, begin);
    }
    print_timing(&claims);
    print_timing(&beats);
    print_timing(&ends);
}

static void measure_claims(struct state *s, const char *what)
{
    struct timing claims = {.what = what};

    for (int i = 0; i < SAMPLES; i++)
        (void)claim(s, "many", &claims);
    print_timing(&claims);
}

struct claimer {
    struct state *s;
    pthread_t thread;
    struct timing timing;
};

static void *claim_many(void *self)
{
    struct claimer *c = self;

    for (int i = 0; i < SAMPLES; i++)
        (void)claim(c->s, "thread", &c->timing);
    return NULL;
}

static void measure_threads(const char *path, const char *what)
{
    struct claimer *c = calloc(THREADS, sizeof(*c));
    struct timing all = {.what = what};
    int64_t begin, lasted;

    if (!c)
        exit(1);
    for (int i = 0; i < THREADS; i++) {
        c[i].s = open_state(path);
    }
    begin = clock_monotonic();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&c[i].thread, NULL, claim_many, &c[i]) != 0)
            exit(1);
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(c[i].thread, NULL);
        memcpy(all.ns + all.n, c[i].timing.ns, c[i].timing.n * sizeof(all.ns[0]));
        all.n += c[i].timing.n;
    }
    lasted = clock_monotonic() - begin;
    print_timing(&all);
    printf("%-38s %.0f claims per second\n", "", (double)all.n * 1e9 / (double)lasted);
    for (int i = 0; i < THREADS; i++)
        state_close(c[i].s);
    free(c);
}

/* ---- how many a second ---- */

struct cycler {
    struct state *s;
    pthread_t thread;
    char name[16];
    int n;
};

static void *claim_and_finish(void *self)
{
    const struct build_result result = {.kind = ERR_NONE, .digest = "sha256:0", .image_size = 1};
    struct cycler *c = self;

    for (int i = 0; i < c->n; i++) {
        struct timing ignored = {.what = ""};
        struct build b = claim(c->s, c->name, &ignored);
        struct error err = ERROR_INIT;
        enum lease_verdict verdict;
        enum build_phase phase;

        if (state_finish(c->s, b.id, c->name, &result, &verdict, &phase, &err) < 0)
            die(&err);
    }
    return NULL;
}

static double processor_seconds(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void measure_rate(const char *path, int threads)
{
    struct cycler c[THREADS];
    double cpu = processor_seconds();
    int64_t begin;
    double lasted;

    for (int i = 0; i < threads; i++) {
        c[i] = (struct cycler){.s = open_state(path), .n = CYCLES / threads};
        (void)snprintf(c[i].name, sizeof(c[i].name), "worker-%d", i);
    }
    begin = clock_monotonic();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&c[i].thread, NULL, claim_and_finish, &c[i]) != 0)
            exit(1);
    for (int i = 0; i < threads; i++)
        (void)pthread_join(c[i].thread, NULL);
    lasted = (double)(clock_monotonic() - begin) / 1e9;
    for (int i = 0; i < threads; i++)
        state_close(c[i].s);
    printf(
        "claimed and finished by %d at once: %6.0f a second, %.2f ms of processor time each here\n",
        threads, CYCLES / lasted, (processor_seconds() - cpu) * 1e3 / CYCLES);
}

/* Builds as accept leaves them; made in one transaction, as only the claims are measured. */
static const char fill[] =
    "insert into builds (id, workspace, type, name, purpose, phase, tag, archive, created,"
    " upload_expires, uploaded)"
    " with recursive n (i) as (select 1 union all select i + 1 from n where i < ?)"
    " select 'build' || i, 'bench', 'sandbox', 'n' || i, 0, 1, 'tag' || i, 'archive' || i, i, i, i"
    " from n";
/* Behind those; as many of each. */
static const char fill_many[] =
    "insert into builds (id, workspace, type, name, purpose, phase, tag, archive, created,"
    " upload_expires, uploaded)"
    " with recursive n (i) as (select 1 union all select i + 1 from n where i < ?)"
    " select 'other' || i, 'bench' || (i % 1000), 'sandbox', 'n' || i, 0, 1, 'tag' || i,"
    " 'archive' || i, i, i, 1000000000 + i from n";
static const char fill_turns[] =
    "insert into turns (workspace, lane, served) select distinct workspace, 0, 0 from builds"
    " where phase = 1 and ? > 0 on conflict (workspace, lane) do nothing";
static const char pause_head[] =
    "update builds set not_before = 9000000000000000000 where id in"
    " (select id from builds where phase = 1 and not_before = 0 order by uploaded limit ?)";
static const char end_pauses[] = "update builds set not_before = 1 where not_before > ?";
static const char analyze[] = "analyze builds";

/* ?: as a server that runs for a while does of itself. */
static void settle(const char *path)
{
    struct error err = ERROR_INIT;
    struct db *db = NULL;

    if (db_open(path, &db, &err) < 0)
        die(&err);
    {
        QUERY(q, db, analyze);
        if (query_run(&q, NULL, &err) < 0)
            die(&err);
    }
    db_close(db);
}

static void limit_bench(struct state *s, int64_t builds)
{
    const struct workspace_limits limits = {builds, LIMIT_KEPT, LIMIT_KEPT};
    struct error err = ERROR_INIT;
    enum presence presence;

    if (state_limits_set(s, "bench", &limits, &presence, &err) < 0)
        die(&err);
}

static void make_many(struct state *s)
{
    struct error err = ERROR_INIT;
    char name[16];

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "bench%d", i);
        if (state_workspace_ensure(s, name, &err) < 0)
            die(&err);
    }
}

static void measure(const char *path, int64_t builds)
{
    struct state *s = open_state(path);
    struct error err = ERROR_INIT;

    run_sql(path, fill, builds, &err);
    run_sql(path, fill_turns, 1, &err);
    printf("%lld builds queued\n", (long long)builds);
    measure_one_worker(s);
    measure_threads(path, "claim, 4 threads at once");
    run_sql(path, pause_head, builds / 1000, &err);
    measure_claims(s, "claim, 0.1 % pause at the head");
    run_sql(path, pause_head, builds / 10, &err);
    measure_claims(s, "claim, 10 % pause at the head");
    run_sql(path, end_pauses, 0, &err);
    measure_claims(s, "claim, as those pauses end");
    make_many(s);
    run_sql(path, fill_many, builds, &err);
    run_sql(path, fill_turns, 1, &err);
    settle(path);
    limit_bench(s, 1);
    measure_claims(s, "claim, the workspace is at its limit");
    limit_bench(s, 0);
    measure_claims(s, "claim, 1,001 workspaces");
    measure_threads(path, "claim, 1,001 workspaces, 4 threads");
    for (int threads = 1; threads <= THREADS; threads *= 2)
        measure_rate(path, threads);
    state_close(s);
}

int main(int argc, char **argv)
{
    int64_t builds = argc > 1 ? atoll(argv[1]) : 100000;
    const char *tmp = getenv("TMPDIR");
    struct error err = ERROR_INIT;
    char dir[4000];
    char path[4096];

    if (argc > 2 && db_is_remote(argv[2])) {
        measure(argv[2], builds);
        return 0;
    }
    if (argc > 2)
        (void)snprintf(dir, sizeof(dir), "%s", argv[2]);
    else
        (void)snprintf(dir, sizeof(dir), "%s/kiln-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (argc <= 2 && !mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    (void)snprintf(path, sizeof(path), "%s/queue.db", dir);
    measure(path, builds);
    if (argc <= 2 && fs_remove_tree(AT_FDCWD, dir, &err) < 0)
        die(&err);
    return 0;
}
