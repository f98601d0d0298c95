/* worker/state_expire — ends what nobody else will: uploads that never came, leases of the dead. */
#include "worker/state_internal.h"

static int expire_upload(struct state *s, const struct build *b, struct error *err)
{
    struct build_result r = {.kind = ERR_INPUT,
                             .message = "no archive was uploaded before the upload URL expired: "
                                        "deploy again to get a new one"};

    return build_end_failed(s, b, &r, err);
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
        return build_end_cancelled(s, b->id, err);
    if (b->attempts < s->attempts_max)
        return build_requeue(s, b->id, 0, true, err);
    return build_end_failed(s, b, &r, err);
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
    if (end_all(s, &leases, NULL, clock_now(&s->clock), err) < 0)
        return -1;
    return turns_tidy(s, err);
}

int state_worker_died(struct state *s, const char *worker, struct error *err)
{
    static const struct ending held = ENDING("phase = 2 and worker = ?", expire_lease);

    return end_all(s, &held, worker, 0, err);
}
