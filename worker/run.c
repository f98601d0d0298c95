/* worker/run — one try of one build; see the header.
 *
 * The ticking thread is what the queue sees of a worker: while it lives the lease lives.  It tells
 * the pipeline to stop by throwing the cancel switch, which ends the child that runs. */
#include "worker/run.h"

#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "worker/cache_registry.h"
#include "worker/counts.h"
#include "worker/credentials.h"
#include "worker/pack.h"

#define TICK_MS       200
#define HEARTBEAT_MAX (2 * NS_PER_SEC) /* so that a cancelled build ends soon */
#define TEXT_MAX      (4 << 20)
#define RECORD_MS     500 /* before an end is recorded again */

/* ---- the ticking thread ---- */

struct ticker {
    struct run *run;
    const struct cancel *drain;
    pthread_t thread;
    struct cancel stop;
    int64_t next_beat; /* clock_monotonic */
    int64_t kept;      /* when the lease was last renewed */
    atomic_bool drained;
    bool failing; /* the log's lines are not written, and that was said */
};

void run_log(const struct worker_config *c, const struct build *b, const char *fmt, ...)
{
    char line[2048];
    const struct note note = {
        .line = line, .workspace = b ? b->workspace : NULL, .build = b ? b->id : NULL};
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (c->log)
        c->log(c->log_self, &note);
}

/* Renews the lease, and notes until when it holds: not longer than the database takes it for. */
static int renew(struct run *r, enum lease_verdict *ret_verdict, struct error *err)
{
    const struct worker_config *c = r->config;
    const int64_t before = clock_monotonic();

    if (state_heartbeat(c->state, r->build.id, r->holder, c->lease_ns, ret_verdict, err) < 0)
        return -1;
    if (*ret_verdict == LEASE_KEPT)
        atomic_store(&r->leased, before + c->lease_ns);
    if (*ret_verdict == LEASE_LOST)
        atomic_store(&r->lost, true);
    if (*ret_verdict != LEASE_KEPT)
        cancel_throw(&r->cancel);
    return 0;
}

static void beat(struct ticker *t)
{
    const struct worker_config *c = t->run->config;
    int64_t now = clock_monotonic();
    int64_t pause = c->lease_ns / 3 < HEARTBEAT_MAX ? c->lease_ns / 3 : HEARTBEAT_MAX;
    enum lease_verdict verdict;
    struct error err = ERROR_INIT;

    if (now < t->next_beat)
        return;
    t->next_beat = now + pause;
    if (renew(t->run, &verdict, &err) < 0) {
        run_log(c, &t->run->build, "error: build %s: heartbeat: %s", t->run->build.id, err.msg);
        if (clock_monotonic() - t->kept > c->lease_ns) /* it may have waited for long */
            cancel_throw(&t->run->cancel);
        return;
    }
    t->kept = now;
}

/* What is not written stays, and is tried again at the next tick. */
static void flush(struct ticker *t)
{
    struct error err = ERROR_INIT;
    bool failed = !atomic_load(&t->run->lost) && journal_flush(&t->run->journal, &err) < 0;

    if (failed && !t->failing)
        run_log(t->run->config, &t->run->build, "error: build %s: write its log: %s",
                t->run->build.id, err.msg);
    t->failing = failed;
}

static void *tick(void *self)
{
    struct ticker *t = self;
    struct pollfd stop = {.fd = t->stop.fd, .events = POLLIN};

    while (poll(&stop, 1, TICK_MS) <= 0) {
        flush(t);
        beat(t);
        if (cancel_is_thrown(t->drain) && !atomic_exchange(&t->drained, true))
            cancel_throw(&t->run->cancel);
    }
    return NULL;
}

static int ticker_start(struct ticker *t, struct run *run, const struct cancel *drain,
                        struct error *err)
{
    int problem;

    *t = (struct ticker){.run = run, .drain = drain, .kept = clock_monotonic()};
    if (cancel_init(&t->stop, err) < 0)
        return -1;
    problem = pthread_create(&t->thread, NULL, tick, t);
    if (problem) {
        cancel_release(&t->stop);
        return error_errno(err, problem, "start a thread");
    }
    return 0;
}

static void ticker_stop(struct ticker *t)
{
    cancel_throw(&t->stop);
    (void)pthread_join(t->thread, NULL);
    cancel_release(&t->stop);
}

int run_has_lease(void *self, struct error *err)
{
    struct run *r = self;
    struct pollfd cancel = {.fd = r->cancel.fd, .events = POLLIN};
    struct error why = ERROR_INIT;
    enum lease_verdict verdict;
    bool renewed = false;

    while (!renewed && !cancel_is_thrown(&r->cancel) &&
           clock_monotonic() + r->config->lease_ns / 2 > atomic_load(&r->leased)) {
        renewed = renew(r, &verdict, &why) == 0;
        if (renewed)
            continue;
        if (why.kind != ERR_REMOTE) {
            *err = why;
            return -1;
        }
        (void)poll(&cancel, 1, TICK_MS);
    }
    return cancel_is_thrown(&r->cancel) ? error_set(err, ERR_SYSTEM, "cancelled") : 0;
}

struct registry run_registry(struct run *r)
{
    struct registry ret = *r->config->registry;

    ret.cancel = &r->cancel;
    ret.may_tag = run_has_lease;
    ret.may_tag_self = r;
    return ret;
}

/* ---- the run ---- */

static int run_init(struct run *r, const struct worker_config *config, const struct build *build,
                    const char *holder, struct error *err)
{
    *r = (struct run){.config = config,
                      .build = *build,
                      .epoch = -1,
                      .begun = clock_monotonic(),
                      .dockerfile_text = BUF_INIT(TEXT_MAX),
                      .failure = BUF_INIT(TEXT_MAX)};
    (void)snprintf(r->holder, sizeof(r->holder), "%s", holder);
    upload_report_init(&r->report);
    dockerfile_plan_init(&r->plan);
    journal_init(&r->journal, config->state, state_clock(config->state), build->id,
                 config->log_max);
    r->plain_log.journal = &r->journal;
    return cancel_init(&r->cancel, err);
}

static void run_release(struct run *r)
{
    attest_release(&r->attest);
    builder_job_end(r->job);
    upload_report_release(&r->report);
    dockerfile_plan_release(&r->plan);
    argv_release(&r->build_args);
    dockerfile_free(r->dockerfile);
    buf_release(&r->dockerfile_text);
    argv_release(&r->images);
    argv_release(&r->open);
    builder_image_release(&r->image);
    buf_release(&r->failure);
    journal_release(&r->journal);
    cancel_release(&r->cancel);
}

/* What was pushed for a build that does not count any more: gone, unless a tag names it. */
static void forget_push(struct run *r)
{
    struct target t = {r->build.workspace, r->build.type, r->build.name};
    char repository[3 * NAME_SIZE];
    struct error err = ERROR_INIT;
    bool used = true;

    if (!r->digest[0])
        return;
    pipeline_repository(&r->build, repository);
    if (state_digest_in_use(r->config->state, &t, r->digest, &used, &err) < 0 ||
        (!used && registry_delete_image(r->config->registry, repository, r->digest, &err) < 0))
        run_log(r->config, &r->build, "error: build %s: forget its image: %s", r->build.id,
                err.msg);
}

static bool is_final(enum build_phase phase)
{
    return phase == BUILD_SUCCEEDED || phase == BUILD_FAILED || phase == BUILD_CANCELLED;
}

static enum try_end end_of(enum lease_verdict verdict, enum build_phase phase)
{
    return verdict == LEASE_LOST      ? TRY_LOST
           : phase == BUILD_SUCCEEDED ? TRY_SUCCEEDED
           : phase == BUILD_QUEUED    ? TRY_QUEUED
           : phase == BUILD_CANCELLED ? TRY_CANCELLED
                                      : TRY_FAILED;
}

/* The rest of the log, and the end.  While the database is not to be reached it is tried again, as
 * nobody else knows it. */
static int record_end(struct run *r, const struct build_result *result, const struct cancel *drain,
                      enum lease_verdict *ret_verdict, enum build_phase *ret_phase,
                      struct error *err)
{
    struct pollfd quit = {.fd = drain->fd, .events = POLLIN};
    bool told = false;

    for (;;) {
        struct error why = ERROR_INIT;
        bool flushed = atomic_load(&r->lost) || journal_flush(&r->journal, &why) == 0;

        if (!flushed && why.kind != ERR_REMOTE)
            run_log(r->config, &r->build, "error: build %s: write its log: %s", r->build.id,
                    why.msg);
        if ((flushed || why.kind != ERR_REMOTE) &&
            state_finish(r->config->state, r->build.id, r->holder, result, ret_verdict, ret_phase,
                         &why) == 0)
            return 0;
        if (why.kind != ERR_REMOTE || cancel_is_thrown(drain)) {
            *err = why;
            return -1;
        }
        if (!told)
            run_log(r->config, &r->build,
                    "error: build %s: its end is recorded when the database is back: %s",
                    r->build.id, why.msg);
        told = true;
        (void)poll(&quit, 1, RECORD_MS);
    }
}

static void settle(struct run *r, const struct build_result *result, const struct cancel *drain)
{
    const struct worker_config *c = r->config;
    enum lease_verdict verdict;
    enum build_phase phase;
    enum try_end end;
    struct error err = ERROR_INIT;

    if (record_end(r, result, drain, &verdict, &phase, &err) < 0) {
        run_log(c, &r->build, "error: build %s: record its end: %s", r->build.id, err.msg);
        return; /* the lease runs out, and another try is made */
    }
    if (!purpose_is_image(r->build.purpose))
        pack_settled(r, verdict, phase);
    else if (verdict == LEASE_CANCELLED)
        forget_push(r);
    if (verdict == LEASE_KEPT && phase == BUILD_SUCCEEDED)
        attest_attach(r);
    if (verdict != LEASE_LOST && is_final(phase) && r->build.archive[0] &&
        upload_store_remove(c->uploads, r->build.archive, &err) < 0)
        run_log(c, &r->build, "error: build %s: remove its archive: %s", r->build.id, err.msg);
    if (verdict != LEASE_LOST && is_final(phase))
        credentials_forget(c->credentials_dir, r->build.id);
    end = end_of(verdict, phase);
    counts_add(end, clock_monotonic() - r->begun);
    run_log(c, &r->build, "build %s %s/%s/%s: %s%s%s", r->build.id, r->build.workspace,
            r->build.type, r->build.name, try_end_names[end], result->kind ? ": " : "",
            result->kind ? result->message : "");
}

/* Tells the log that a fault is not the user's, and what comes of it. */
static void tell_fault(struct run *r, const struct error *err)
{
    if (!error_may_retry(err->kind))
        return;
    journal_addf(&r->journal, LOG_ERROR, "This is a fault of the %s, not of your files.",
                 err->kind == ERR_REMOTE ? "network or of a registry" : "build machine");
    if (r->build.attempts < r->config->attempts)
        journal_addf(&r->journal, LOG_WARNING, "Trying again: %d of %d tries are used.",
                     r->build.attempts, r->config->attempts);
}

static void conclude(struct run *r, int outcome, struct error *err, bool drained,
                     const struct cancel *drain)
{
    const struct worker_config *c = r->config;
    struct build_result result = {.kind = ERR_NONE, .digest = r->digest};

    /* What was cut off with it is no fault. */
    if (outcome < 0 && drained && !atomic_load(&r->lost) &&
        (err->kind == ERR_NONE || error_may_retry(err->kind))) {
        builder_job_end(TAKE(r->job)); /* this try is not counted: the next has the same name */
        if (state_give_back(c->state, r->build.id, r->holder, err) < 0)
            run_log(c, &r->build, "error: build %s: give it back: %s", r->build.id, err->msg);
        return;
    }
    result.image_size = r->image_size;
    result.reused = r->reused;
    result.image = r->made[0] ? r->made : NULL;
    if (outcome < 0 && err->kind == ERR_NONE) {
        /* Stopped because the lease said so: state_finish knows whether cancelled or lost. */
        result = (struct build_result){.kind = ERR_SYSTEM, .message = "the build was stopped"};
    } else if (outcome < 0) {
        tell_fault(r, err);
        result = (struct build_result){.kind = err->kind,
                                       .message = err->msg,
                                       .digest = r->digest,
                                       .image_size = r->image_size,
                                       .built = r->pushed && !error_may_retry(err->kind)};
        if (r->failure.len)
            result.event = buf_str(&r->failure);
    }
    settle(r, &result, drain);
}

bool run_build(const struct worker_config *config, const struct build *build, const char *holder,
               const struct cancel *drain)
{
    struct error err = ERROR_INIT;
    struct ticker ticker;
    struct run r;
    bool machine_is_fine;
    int outcome;

    if (run_init(&r, config, build, holder, &err) < 0 ||
        ticker_start(&ticker, &r, drain, &err) < 0) {
        run_log(config, build, "error: build %s: %s", build->id, err.msg);
        run_release(&r);
        return false;
    }
    outcome = pipeline_run(&r, &err);
    machine_is_fine = outcome == 0 || err.kind != ERR_SYSTEM;
    ticker_stop(&ticker);
    conclude(&r, outcome, &err, atomic_load(&ticker.drained), drain);
    if (!atomic_load(&r.lost) && (outcome == 0 || err.kind != ERR_NONE)) /* and not cancelled */
        cache_registry_export(&r, drain);
    run_release(&r); /* removes the job directory, which may take long and nobody waits for */
    return machine_is_fine;
}
