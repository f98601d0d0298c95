/* worker/state_finish — how a build ends, or goes back to the queue, and who is told. */
#include "worker/state_internal.h"

#define RETRY_PAUSE_MAX_NS (60 * NS_PER_SEC)

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
    return webhook_add(s, b, "", result->message, false, err);
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

int build_end_failed(struct state *s, const struct build *failed, const struct build_result *result,
                     struct error *err)
{
    struct build copy = *failed;
    struct build *b = &copy;

    if (end_build(s, b->id, BUILD_FAILED, error_kind_name(result->kind), result->message, err) < 0)
        return -1;
    if (!purpose_is_image(b->purpose))
        return event_add_progress(s, b, TOLD_FAILED, result->message, err) < 0 ||
                       (b->purpose != BUILD_TO_COLLECT &&
                        webhook_add(s, b, "", result->message, false, err) < 0)
                   ? -1
                   : 0;
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
    return webhook_add(s, b, "", "", true, err);
}

int build_end_cancelled(struct state *s, const char *id, struct error *err)
{
    QUERY(q, s->db,
          "update builds set phase = 5, message = cancel, finished = ?, step = '', worker = '',"
          " lease_until = 0 where id = ?");
    query_int(&q, clock_now(&s->clock));
    query_text(&q, id);
    return query_run(&q, NULL, err);
}

int build_requeue(struct state *s, const char *id, int64_t pause, bool count_try, struct error *err)
{
    QUERY(q, s->db,
          "update builds set phase = 1, worker = '', lease_until = 0, step = '', not_before = ?,"
          " attempts = attempts - ? where id = ?");
    query_int(&q, pause ? clock_now(&s->clock) + pause : 0);
    query_int(&q, count_try ? 0 : 1);
    query_text(&q, id);
    return query_run(&q, NULL, err) < 0 ? -1 : turn_add(s, id, err);
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
        return build_requeue(s, b->id, retry_pause(b->attempts), true, err);
    return build_end_failed(s, b, result, err);
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
        lease_look(s, id, worker, &verdict, err) < 0 || load_present(s, id, &b, err) < 0)
        return -1;
    tx_tell(&tx); /* the target is free for its next build, or this one is queued again */
    if (verdict == LEASE_KEPT && settle(s, &b, result, err) < 0)
        return -1;
    if (verdict == LEASE_CANCELLED && build_end_cancelled(s, id, err) < 0)
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
    return build_end_failed(s, &b, &result, err) < 0 ? -1 : tx_commit(&tx, err);
}
