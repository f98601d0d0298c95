/* worker/state_queue — who may work on a build, until when, and how it ends.
 *
 * A lease is a promise of the worker to come back before lease_until.  Every transition names the
 * worker that it believes to hold the lease, so a worker that was thought dead and comes back can
 * change nothing.  One machine, one clock: SQLite's state is never shared between machines. */
#include <string.h>

#include "worker/state_internal.h"

#define RETRY_PAUSE_MAX_NS (60 * NS_PER_SEC)

/* How many builds a workspace may have RUNNING: b's, or ?2. */
#define BUILDS_MAX "ifnull((select builds_max from workspaces w where w.name = b.workspace), ?2)"

/* The oldest build that may run at the moment ?1: not paused, none of its target RUNNING, and not
 * as many of its workspace as may be.  Volumes are neither counted nor kept waiting (purpose 3 and
 * 4): they take moments, and somebody waits for the answer. */
#define NEXT_BUILD                                                                                 \
    "(select id from builds b where phase = 1 and not_before <= ?1"                                \
    " and not exists (select 1 from builds r where r.workspace = b.workspace"                      \
    "  and r.type = b.type and r.name = b.name and r.phase = 2)"                                   \
    " and (purpose > 2 or " BUILDS_MAX " = 0 or " BUILDS_MAX " > (select count(*) from builds r"   \
    "  where r.workspace = b.workspace and r.phase = 2 and r.purpose <= 2))"                       \
    " order by uploaded limit 1)"

bool queue_has_work(struct state *s)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct error err = ERROR_INIT;
    bool row;

    if (atomic_load(&s->claim_failed) || tx_begin(&tx, s->db, TX_READ, &err) < 0)
        return false;
    QUERY(q, s->db, "select 1 from " NEXT_BUILD);
    query_int(&q, clock_now(&s->clock));
    query_int(&q, s->limits.builds);
    return query_next(&q, &row, &err) == 0 && row;
}

static int claim(struct state *s, const char *worker, int64_t lease_ns, enum presence *ret_presence,
                 struct build *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t now;
    bool row;

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0)
        return -1;
    now = clock_now(&s->clock);
    QUERY(q, s->db,
          "update builds set phase = 2, worker = ?3, lease_until = ?4, attempts = attempts + 1,"
          " step = '', cancel = '', started = case started when 0 then ?1 else started end"
          " where id = " NEXT_BUILD " returning " BUILD_COLUMNS);
    query_int(&q, now);
    query_int(&q, s->limits.builds);
    query_text(&q, worker);
    query_int(&q, now + lease_ns);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        build_from_row(&q, ret);
    query_end(&q);
    if (tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

int state_claim(struct state *s, const char *worker, int64_t lease_ns, enum presence *ret_presence,
                struct build *ret, struct error *err)
{
    int rc = claim(s, worker, lease_ns, ret_presence, ret, err);

    atomic_store(&s->claim_failed, rc < 0);
    return rc;
}

/* Whether the worker still holds the build, and whether it should go on. */
static int look_at_lease(struct state *s, const char *id, const char *worker,
                         enum lease_verdict *ret_verdict, struct error *err)
{
    bool row;

    QUERY(q, s->db, "select cancel from builds where id = ? and worker = ? and phase = 2");
    query_text(&q, id);
    query_text(&q, worker);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (!row)
        *ret_verdict = LEASE_LOST;
    else
        *ret_verdict = query_get_text(&q, 0)[0] ? LEASE_CANCELLED : LEASE_KEPT;
    return 0;
}

int state_heartbeat(struct state *s, const char *id, const char *worker, int64_t lease_ns,
                    enum lease_verdict *ret_verdict, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    enum lease_verdict verdict;

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0 || look_at_lease(s, id, worker, &verdict, err) < 0)
        return -1;
    if (verdict != LEASE_LOST) {
        QUERY(q, s->db, "update builds set lease_until = ? where id = ?");
        query_int(&q, clock_now(&s->clock) + lease_ns);
        query_text(&q, id);
        if (query_run(&q, NULL, err) < 0 || tx_commit(&tx, err) < 0)
            return -1;
    }
    *ret_verdict = verdict;
    return 0;
}

int state_step(struct state *s, const char *id, const char *worker, const char *step,
               enum lease_verdict *ret_verdict, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    enum lease_verdict verdict;

    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0 || look_at_lease(s, id, worker, &verdict, err) < 0)
        return -1;
    if (verdict == LEASE_KEPT) {
        QUERY(q, s->db, "update builds set step = ? where id = ?");
        query_text(&q, step);
        query_text(&q, id);
        if (query_run(&q, NULL, err) < 0 || tx_commit(&tx, err) < 0)
            return -1;
    }
    *ret_verdict = verdict;
    return 0;
}

/* ---- ends ---- */

static int end_build(struct state *s, const char *id, enum build_phase phase, const char *fault,
                     const char *message, struct error *err)
{
    QUERY(q, s->db,
          "update builds set phase = ?, fault = ?, message = ?, finished = ?, step = '',"
          " worker = '', lease_until = 0 where id = ?");
    query_int(&q, phase);
    query_text(&q, fault);
    query_text(&q, message);
    query_int(&q, clock_now(&s->clock));
    query_text(&q, id);
    return query_run(&q, NULL, err);
}

static int end_failed(struct state *s, const struct build *b, const struct build_result *result,
                      struct error *err)
{
    struct event_draft image = {.type = "buildimage.failed", .status = "FAILED", .final = true};
    struct event_draft resource = {.type = "deployment.failed",
                                   .status = "FAILED",
                                   .message = "Deployment has failed",
                                   .of_resource = true,
                                   .final = true};
    struct target t = build_target(b);

    image.message = result->event ? result->event : result->message;
    if (end_build(s, b->id, BUILD_FAILED, error_kind_name(result->kind), result->message, err) < 0)
        return -1;
    if (!purpose_is_image(b->purpose))
        return event_add_progress(s, b, TOLD_FAILED, result->message, err);
    if (event_add(s, &t, b, &image, err) < 0)
        return -1;
    return b->purpose == BUILD_FOR_RESOURCE ? event_add(s, &t, b, &resource, err) : 0;
}

static int end_succeeded(struct state *s, struct build *b, const struct build_result *result,
                         struct error *err)
{
    const struct event_draft image = {.type = "buildimage.succeeded",
                                      .status = "BUILT",
                                      .message = result->reused ? "Reused an identical image build"
                                                                : "Build image succeeded",
                                      .final = true};
    static const struct event_draft resource[] = {
        {"deployment.created", "BUILT", "", true, true},
        {"deployment.ready", "DEPLOYED", "Deployment ready on a cluster", true, true},
        {"deployment.succeeded", "DEPLOYED", "Deployments successfully done", true, true},
    };
    struct target t = build_target(b);

    COPY_TEXT(b->digest, result->digest);
    b->image_size = result->image_size;
    QUERY(q, s->db, "update builds set digest = ?, image_size = ? where id = ?");
    query_text(&q, b->digest);
    query_int(&q, (int64_t)b->image_size);
    query_text(&q, b->id);
    if (query_run(&q, NULL, err) < 0 || end_build(s, b->id, BUILD_SUCCEEDED, "", "", err) < 0)
        return -1;
    if (!purpose_is_image(b->purpose))
        return resource_record(s, b, result->image, err);
    if (image_record(s, b, err) < 0 || event_add(s, &t, b, &image, err) < 0)
        return -1;
    for (size_t i = 0; b->purpose == BUILD_FOR_RESOURCE && i < 3; i++)
        if (event_add(s, &t, b, &resource[i], err) < 0)
            return -1;
    return 0;
}

/* The end of a RUNNING build that was told to stop. */
static int end_cancelled(struct state *s, const char *id, struct error *err)
{
    QUERY(q, s->db,
          "update builds set phase = 5, message = cancel, finished = ?, step = '', worker = '',"
          " lease_until = 0 where id = ?");
    query_int(&q, clock_now(&s->clock));
    query_text(&q, id);
    return query_run(&q, NULL, err);
}

static int requeue(struct state *s, const struct build *b, int64_t pause, bool count_try,
                   struct error *err)
{
    QUERY(q, s->db,
          "update builds set phase = 1, worker = '', lease_until = 0, step = '', not_before = ?,"
          " attempts = attempts - ? where id = ?");
    query_int(&q, clock_now(&s->clock) + pause);
    query_int(&q, count_try ? 0 : 1);
    query_text(&q, b->id);
    return query_run(&q, NULL, err);
}

/* 1, 2, 4 … seconds after the first, second, third try. */
static int64_t retry_pause(int attempts)
{
    int64_t pause = NS_PER_SEC << (attempts < 1 ? 0 : attempts > 6 ? 6 : attempts - 1);

    return pause > RETRY_PAUSE_MAX_NS ? RETRY_PAUSE_MAX_NS : pause;
}

static int settle(struct state *s, struct build *b, const struct build_result *result,
                  struct error *err)
{
    if (result->kind == ERR_NONE)
        return end_succeeded(s, b, result, err);
    if (error_may_retry(result->kind) && b->attempts < s->attempts_max)
        return requeue(s, b, retry_pause(b->attempts), true, err);
    return end_failed(s, b, result, err);
}

static int load_present(struct state *s, const char *id, struct build *ret, struct error *err)
{
    enum presence presence;

    if (build_load(s, id, &presence, ret, err) < 0)
        return -1;
    if (presence == ABSENT)
        return error_set(err, ERR_SYSTEM, "build %s is not in the database", id);
    return 0;
}

int state_finish(struct state *s, const char *id, const char *worker,
                 const struct build_result *result, enum lease_verdict *ret_verdict,
                 enum build_phase *ret_phase, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    enum lease_verdict verdict;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 ||
        look_at_lease(s, id, worker, &verdict, err) < 0 || load_present(s, id, &b, err) < 0)
        return -1;
    if (verdict == LEASE_KEPT && settle(s, &b, result, err) < 0)
        return -1;
    if (verdict == LEASE_CANCELLED && end_cancelled(s, id, err) < 0)
        return -1;
    if (load_present(s, id, &b, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    *ret_verdict = verdict;
    *ret_phase = b.phase;
    state_wake(s); /* the target is free for its next build */
    return 0;
}

int state_give_back(struct state *s, const char *id, const char *worker, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    enum lease_verdict verdict;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || look_at_lease(s, id, worker, &verdict, err) < 0)
        return -1;
    if (verdict == LEASE_LOST)
        return 0;
    COPY_TEXT(b.id, id);
    if ((verdict == LEASE_CANCELLED ? end_cancelled(s, id, err) : requeue(s, &b, 0, false, err)) <
            0 ||
        tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    state_wake(s);
    return 0;
}

/* ---- what nobody else ends ---- */

static int expire_upload(struct state *s, const struct build *b, struct error *err)
{
    struct build_result r = {.kind = ERR_INPUT,
                             .message = "no archive was uploaded before the upload URL expired: "
                                        "deploy again to get a new one"};

    return end_failed(s, b, &r, err);
}

int state_upload_refuse(struct state *s, const char *id, enum error_kind kind, const char *message,
                        struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    const struct build_result result = {.kind = kind, .message = message};
    struct build b = {.created = 0};

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || load_present(s, id, &b, err) < 0)
        return -1;
    if (b.phase != BUILD_UPLOADING)
        return 0;
    return end_failed(s, &b, &result, err) < 0 ? -1 : tx_commit(&tx, err);
}

/* A lease ran out: its worker is dead or cut off. */
static int expire_lease(struct state *s, const struct build *b, struct error *err)
{
    struct build_result r = {.kind = ERR_SYSTEM,
                             .message = "the worker stopped during this build, and so on every "
                                        "try: ask the operator to look at the workers' log"};
    bool cancelled;

    QUERY(q, s->db, "select 1 from builds where id = ? and cancel <> ''");
    query_text(&q, b->id);
    if (query_next(&q, &cancelled, err) < 0)
        return -1;
    if (cancelled)
        return end_cancelled(s, b->id, err);
    if (b->attempts < s->attempts_max)
        return requeue(s, b, 0, true, err);
    return end_failed(s, b, &r, err);
}

/* Ends one build of those the query selects; *ret_more: there was one. */
static int expire_one(struct state *s, const char *sql, const char *text, int64_t number,
                      int (*end)(struct state *, const struct build *, struct error *),
                      bool *ret_more, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    bool row;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db, sql);
    if (text)
        query_text(&q, text);
    else
        query_int(&q, number);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row) {
        build_from_row(&q, &b);
        query_end(&q);
        if (end(s, &b, err) < 0 || tx_commit(&tx, err) < 0)
            return -1;
    }
    *ret_more = row;
    return 0;
}

int state_expire_uploads(struct state *s, struct error *err)
{
    const int64_t now = clock_now(&s->clock);
    bool more = true;

    while (more)
        if (expire_one(s,
                       "select " BUILD_COLUMNS
                       " from builds where phase = 0 and upload_expires <= ? limit 1",
                       NULL, now, expire_upload, &more, err) < 0)
            return -1;
    return 0;
}

int state_expire(struct state *s, struct error *err)
{
    const int64_t now = clock_now(&s->clock);
    bool more = true;

    if (!s->uploads_elsewhere && state_expire_uploads(s, err) < 0)
        return -1;
    while (more)
        if (expire_one(s,
                       "select " BUILD_COLUMNS
                       " from builds where phase = 2 and lease_until <= ? limit 1",
                       NULL, now, expire_lease, &more, err) < 0)
            return -1;
    return 0;
}

int state_worker_died(struct state *s, const char *worker, struct error *err)
{
    bool more = true;

    while (more)
        if (expire_one(
                s, "select " BUILD_COLUMNS " from builds where phase = 2 and worker = ? limit 1",
                worker, 0, expire_lease, &more, err) < 0)
            return -1;
    state_wake(s);
    return 0;
}

int state_worker_list(struct state *s, struct argv *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select distinct worker from builds where phase = 2");
    for (;;) {
        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            return 0;
        argv_push1(ret, query_get_text(&q, 0));
    }
}
