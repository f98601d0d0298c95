/* worker/state_queue — who may work on a build, until when, and how it ends.
 *
 * A lease is a promise of the worker to come back before lease_until.  Every transition names the
 * worker that it believes to hold the lease, so a worker that was thought dead and comes back can
 * change nothing.  Moments are those of the clock that all who use the database share (db_clock).
 *
 * A claim locks the build that it wants and passes those by that others have locked.  Then it has
 * the claims of that workspace to itself, and looks again whether the build may run: between the
 * two somebody may have taken another of that target, or the last place. */
#include <string.h>

#include "worker/state_internal.h"

#define RETRY_PAUSE_MAX_NS (60 * NS_PER_SEC)

/* How many builds the workspace of b may have RUNNING: its own limit, or ?2. */
#define BUILDS_MAX "ifnull((select builds_max from workspaces w where w.name = b.workspace), ?2)"

/* Whether b may run at the moment ?1: queued, not paused, none of its target RUNNING, and not as
 * many of its workspace as may be.  Volumes are neither counted nor kept waiting (purpose 3 and 4):
 * they take moments, and somebody waits for the answer.  Counting keeps PostgreSQL from a plan that
 * looks at all builds first. */
#define MAY_RUN                                                                                    \
    "phase = 1 and not_before <= ?1"                                                               \
    " and 0 = (select count(*) from builds r where r.workspace = b.workspace"                      \
    "  and r.type = b.type and r.name = b.name and r.phase = 2)"                                   \
    " and (purpose > 2 or " BUILDS_MAX " = 0 or " BUILDS_MAX " > (select count(*) from builds r"   \
    "  where r.workspace = b.workspace and r.phase = 2 and r.purpose <= 2))"
/* The oldest of those. */
#define NEXT_BUILD "builds b where " MAY_RUN " order by uploaded, rowid limit 1"

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

/* A build to claim, locked; id is "" without any. */
static int choose(struct state *s, int64_t now, char id[BUILD_ID], char workspace[NAME_SIZE],
                  struct error *err)
{
    bool row;

    QUERY(q, s->db, "select id, workspace from " NEXT_BUILD " for update skip locked");
    query_int(&q, now);
    query_int(&q, s->limits.builds);
    if (query_next(&q, &row, err) < 0)
        return -1;
    (void)snprintf(id, BUILD_ID, "%s", row ? query_get_text(&q, 0) : "");
    (void)snprintf(workspace, NAME_SIZE, "%s", row ? query_get_text(&q, 1) : "");
    return 0;
}

/* Gives it to the worker, if it still may run. */
static int take(struct state *s, const char *id, const char *worker, int64_t now, int64_t lease_ns,
                bool *ret_taken, struct build *ret, struct error *err)
{
    QUERY(q, s->db,
          "update builds as b set phase = 2, worker = ?3, lease_until = ?4,"
          " attempts = attempts + 1, step = '', cancel = '', deploying = 0, deploying_seen = 0,"
          " started = case started when 0 then ?1 else started end"
          " where id = ?5 and " MAY_RUN " returning " BUILD_COLUMNS);
    query_int(&q, now);
    query_int(&q, s->limits.builds);
    query_text(&q, worker);
    query_int(&q, now + lease_ns);
    query_text(&q, id);
    if (query_next(&q, ret_taken, err) < 0)
        return -1;
    if (*ret_taken)
        build_from_row(&q, ret);
    return 0;
}

/* *ret_again: somebody was quicker. */
static int claim(struct state *s, const char *worker, int64_t lease_ns, bool *ret_again,
                 enum presence *ret_presence, struct build *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    char id[BUILD_ID], workspace[NAME_SIZE];
    bool taken;
    int64_t now;

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0)
        return -1;
    now = clock_now(&s->clock);
    if (choose(s, now, id, workspace, err) < 0)
        return -1;
    *ret_again = false;
    *ret_presence = ABSENT;
    if (!*id)
        return 0;
    if (tx_lock(&tx, "claims", workspace, err) < 0 ||
        take(s, id, worker, now, lease_ns, &taken, ret, err) < 0)
        return -1;
    *ret_again = !taken;
    if (!taken)
        return 0;
    *ret_presence = PRESENT;
    return tx_commit(&tx, err);
}

int state_claim(struct state *s, const char *worker, int64_t lease_ns, enum presence *ret_presence,
                struct build *ret, struct error *err)
{
    enum presence presence = ABSENT;
    bool again = true;
    int rc = 0;

    while (rc == 0 && again)
        rc = claim(s, worker, lease_ns, &again, &presence, ret, err);
    if (rc == 0)
        *ret_presence = presence;
    atomic_store(&s->claim_failed, rc < 0);
    return rc;
}

/* Whether the worker still holds the build, and whether it should go on. */
static int look_at_lease(struct state *s, const char *id, const char *worker,
                         enum lease_verdict *ret_verdict, struct error *err)
{
    bool row;

    QUERY(q, s->db,
          "select cancel from builds where id = ? and worker = ? and phase = 2 for update");
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

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || look_at_lease(s, id, worker, &verdict, err) < 0)
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

static int note_step(struct state *s, const char *id, const char *worker, const char *step,
                     enum lease_verdict *ret_verdict, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    enum lease_verdict verdict;

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || look_at_lease(s, id, worker, &verdict, err) < 0)
        return -1;
    if (verdict == LEASE_KEPT) {
        QUERY(q, s->db,
              "update builds set step = ?1,"
              " deploying = case ?1 when '" STEP_DEPLOY "' then ?2 else deploying end"
              " where id = ?3");
        query_text(&q, step);
        query_int(&q, clock_now(&s->clock));
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
    return DB_RETRY(s->db, err, note_step(s, id, worker, step, ret_verdict, err));
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

/* What a build made, or did not. */
static int tell_image(struct state *s, const struct build *b, const struct build_result *result,
                      bool made, struct error *err)
{
    const struct target t = build_target(b);
    struct event_draft e = {.type = "buildimage.succeeded",
                            .status = "BUILT",
                            .message = result->reused ? "Reused an identical image build"
                                                      : "Build image succeeded",
                            .final = true};

    if (!made) {
        e.type = "buildimage.failed";
        e.status = "FAILED";
        e.message = result->event ? result->event : result->message;
    }
    return event_add(s, &t, b, &e, err);
}

/* The reason is told once: by the event of the image, or, when that was made, by this one. */
static int tell_failed_deployment(struct state *s, const struct build *b,
                                  const struct build_result *result, struct error *err)
{
    const struct target t = build_target(b);
    CLEANUP(buf_release) struct buf message = BUF_INIT(1 << 20);
    struct event_draft e = {
        .type = "deployment.failed", .status = "FAILED", .of_resource = true, .final = true};

    buf_adds(&message, "Deployment has failed");
    if (result->built)
        buf_addf(&message, ": %s", result->message);
    e.message = buf_str(&message);
    if (event_add(s, &t, b, &e, err) < 0)
        return -1;
    return webhook_add(s, b, "FAILED", result->message, err);
}

/* Notes what was made. */
static int set_image(struct state *s, struct build *b, const struct build_result *result,
                     struct error *err)
{
    COPY_TEXT(b->digest, result->digest);
    b->image_size = result->image_size;
    QUERY(q, s->db, "update builds set digest = ?, image_size = ? where id = ?");
    query_text(&q, b->digest);
    query_int(&q, (int64_t)b->image_size);
    query_text(&q, b->id);
    return query_run(&q, NULL, err);
}

static int end_failed(struct state *s, const struct build *failed,
                      const struct build_result *result, struct error *err)
{
    struct build copy = *failed;
    struct build *b = &copy;

    if (end_build(s, b->id, BUILD_FAILED, error_kind_name(result->kind), result->message, err) < 0)
        return -1;
    if (!purpose_is_image(b->purpose))
        return event_add_progress(s, b, TOLD_FAILED, result->message, err);
    if (result->built && (set_image(s, b, result, err) < 0 || image_keep(s, b, err) < 0))
        return -1;
    if (tell_image(s, b, result, result->built, err) < 0)
        return -1;
    return b->purpose == BUILD_FOR_RESOURCE ? tell_failed_deployment(s, b, result, err) : 0;
}

static int end_succeeded(struct state *s, struct build *b, const struct build_result *result,
                         struct error *err)
{
    static const struct event_draft resource[] = {
        {"deployment.created", "BUILT", "", true, true},
        {"deployment.ready", "DEPLOYED", "Deployment ready on a cluster", true, true},
        {"deployment.succeeded", "DEPLOYED", "Deployments successfully done", true, true},
    };
    struct target t = build_target(b);

    if (set_image(s, b, result, err) < 0 || end_build(s, b->id, BUILD_SUCCEEDED, "", "", err) < 0)
        return -1;
    if (!purpose_is_image(b->purpose))
        return resource_record(s, b, result->image, err);
    if (image_record(s, b, err) < 0 || tell_image(s, b, result, true, err) < 0)
        return -1;
    if (b->purpose != BUILD_FOR_RESOURCE)
        return 0;
    for (size_t i = 0; i < 3; i++)
        if (event_add(s, &t, b, &resource[i], err) < 0)
            return -1;
    return webhook_add(s, b, "DEPLOYED", "", err);
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

static int finish(struct state *s, const char *id, const char *worker, const char *workspace,
                  const struct build_result *result, enum lease_verdict *ret_verdict,
                  enum build_phase *ret_phase, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    enum lease_verdict verdict;

    if (tx_begin_in(&tx, s->db, TX_WRITE, workspace, err) < 0 ||
        look_at_lease(s, id, worker, &verdict, err) < 0 || load_present(s, id, &b, err) < 0)
        return -1;
    tx_tell(&tx); /* the target is free for its next build, or this one is queued again */
    if (verdict == LEASE_KEPT && settle(s, &b, result, err) < 0)
        return -1;
    if (verdict == LEASE_CANCELLED && end_cancelled(s, id, err) < 0)
        return -1;
    if (load_present(s, id, &b, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    *ret_verdict = verdict;
    *ret_phase = b.phase;
    state_wake(s);
    return 0;
}

/* Which workspace's it is, outside of any transaction: that never changes. */
static int owner_of(struct state *s, const char *id, char workspace[NAME_SIZE], struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 || load_present(s, id, &b, err) < 0)
        return -1;
    (void)snprintf(workspace, NAME_SIZE, "%s", b.workspace);
    return 0;
}

int state_finish(struct state *s, const char *id, const char *worker,
                 const struct build_result *result, enum lease_verdict *ret_verdict,
                 enum build_phase *ret_phase, struct error *err)
{
    char workspace[NAME_SIZE];

    if (owner_of(s, id, workspace, err) < 0)
        return -1;
    return DB_RETRY(s->db, err,
                    finish(s, id, worker, workspace, result, ret_verdict, ret_phase, err));
}

static int give_back(struct state *s, const char *id, const char *worker, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    enum lease_verdict verdict;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || look_at_lease(s, id, worker, &verdict, err) < 0)
        return -1;
    if (verdict == LEASE_LOST)
        return 0;
    tx_tell(&tx);
    COPY_TEXT(b.id, id);
    if ((verdict == LEASE_CANCELLED ? end_cancelled(s, id, err) : requeue(s, &b, 0, false, err)) <
            0 ||
        tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    state_wake(s);
    return 0;
}

int state_give_back(struct state *s, const char *id, const char *worker, struct error *err)
{
    return DB_RETRY(s->db, err, give_back(s, id, worker, err));
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

/* Builds that are to end: whether there are any, and one of them, locked.  What somebody has locked
 * is alive. */
struct ending {
    const char *look, *choose;
    int (*end)(struct state *, const struct build *, struct error *);
};
#define ENDING(condition, function)                                                                \
    {                                                                                              \
        .look = "select 1 from builds where " condition " limit 1",                                \
        .choose = "select " BUILD_COLUMNS " from builds where " condition                          \
                  " limit 1 for update skip locked",                                               \
        .end = (function)                                                                          \
    }

/* sql's parameter is text or, without it, number. */
static int find_ending(struct state *s, const char *sql, const char *text, int64_t number,
                       bool *ret_row, struct build *ret, struct error *err)
{
    QUERY(q, s->db, sql);
    if (text)
        query_text(&q, text);
    else
        query_int(&q, number);
    if (query_next(&q, ret_row, err) < 0)
        return -1;
    if (*ret_row && ret)
        build_from_row(&q, ret);
    return 0;
}

/* A look costs others nothing, where a write keeps them waiting. */
static int look_for_ending(struct state *s, const struct ending *e, const char *text,
                           int64_t number, bool *ret_row, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    return find_ending(s, e->look, text, number, ret_row, NULL, err);
}

/* *ret_more: there was one. */
static int end_one(struct state *s, const struct ending *e, const char *text, int64_t number,
                   bool *ret_more, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 ||
        find_ending(s, e->choose, text, number, ret_more, &b, err) < 0)
        return -1;
    if (!*ret_more)
        return 0;
    tx_tell(&tx);
    if (e->end(s, &b, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

static int end_all(struct state *s, const struct ending *e, const char *text, int64_t number,
                   struct error *err)
{
    bool more;

    if (look_for_ending(s, e, text, number, &more, err) < 0)
        return -1;
    if (!more)
        return 0;
    while (more)
        if (end_one(s, e, text, number, &more, err) < 0)
            return -1;
    state_wake(s);
    return 0;
}

int state_expire_uploads(struct state *s, struct error *err)
{
    static const struct ending uploads = ENDING("phase = 0 and upload_expires <= ?", expire_upload);

    return end_all(s, &uploads, NULL, clock_now(&s->clock), err);
}

int state_expire(struct state *s, struct error *err)
{
    static const struct ending leases = ENDING("phase = 2 and lease_until <= ?", expire_lease);

    if (!s->uploads_elsewhere && state_expire_uploads(s, err) < 0)
        return -1;
    return end_all(s, &leases, NULL, clock_now(&s->clock), err);
}

int state_worker_died(struct state *s, const char *worker, struct error *err)
{
    static const struct ending held = ENDING("phase = 2 and worker = ?", expire_lease);

    return end_all(s, &held, worker, 0, err);
}

int state_worker_list(struct state *s, struct argv *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select distinct worker from builds where phase = 2");
    while (query_row(&q, &rc, err)) {
        argv_push1(ret, query_get_text(&q, 0));
    }
    return rc;
}
