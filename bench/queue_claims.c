/* bench/queue_claims — how long a worker waits for its next build when the queue is long.
 *
 *     queue_claims [BUILDS [DIRECTORY]]
 *     queue_claims BUILDS postgresql://…
 *
 * Fills a database in DIRECTORY (default: a new one beneath $TMPDIR or /tmp), or an empty one on a
 * PostgreSQL server, with BUILDS (default 100000) queued builds, each of its own target, and prints
 * what a claim, a heartbeat and a finish take: at the full queue, with a thousandth and a tenth of
 * it pausing before a retry, and by four threads at once, each with a connection of its own as four
 * processes have.  Of these a finish waits for the disk. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "worker/db.h"
#include "worker/state.h"

#define SAMPLES 1000
#define THREADS 4
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
    printf("%-34s %5zu  p50 %7.3f ms  p99 %7.3f ms  max %7.3f ms\n", t->what, t->n,
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

static void measure_threads(const char *path)
{
    struct claimer *c = calloc(THREADS, sizeof(*c));
    struct timing all = {.what = "claim, 4 threads at once"};
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
    printf("%-34s %.0f claims per second\n", "", (double)all.n * 1e9 / (double)lasted);
    for (int i = 0; i < THREADS; i++)
        state_close(c[i].s);
    free(c);
}

/* Builds as accept leaves them; made in one transaction, as only the claims are measured. */
static const char fill[] =
    "insert into builds (id, workspace, type, name, purpose, phase, tag, archive, created,"
    " upload_expires, uploaded)"
    " with recursive n (i) as (select 1 union all select i + 1 from n where i < ?)"
    " select 'build' || i, 'bench', 'sandbox', 'n' || i, 0, 1, 'tag' || i, 'archive' || i, i, i, i"
    " from n";
static const char pause_head[] =
    "update builds set not_before = 9000000000000000000 where id in"
    " (select id from builds where phase = 1 and not_before = 0 order by uploaded limit ?)";

static void measure(const char *path, int64_t builds)
{
    struct state *s = open_state(path);
    struct error err = ERROR_INIT;

    run_sql(path, fill, builds, &err);
    printf("%lld builds queued\n", (long long)builds);
    measure_one_worker(s);
    measure_threads(path);
    run_sql(path, pause_head, builds / 1000, &err);
    measure_claims(s, "claim, 0.1 % pause at the head");
    run_sql(path, pause_head, builds / 10, &err);
    measure_claims(s, "claim, 10 % pause at the head");
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
