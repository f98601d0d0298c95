/* worker/state_lease — who works on a build, and until when.
 *
 * A lease is a promise of the worker to come back before lease_until.  Every transition names the
 * worker that it believes to hold the lease, so a worker that was thought dead and comes back can
 * change nothing.  Moments are those of the clock that all who use the database share (db_clock).
 */
#include "worker/state_internal.h"

int lease_look(struct state *s, const char *id, const char *worker, enum lease_verdict *ret_verdict,
               struct error *err)
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

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || lease_look(s, id, worker, &verdict, err) < 0)
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

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || lease_look(s, id, worker, &verdict, err) < 0)
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

static int give_back(struct state *s, const char *id, const char *worker, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    enum lease_verdict verdict;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || lease_look(s, id, worker, &verdict, err) < 0)
        return -1;
    if (verdict == LEASE_LOST)
        return 0;
    tx_tell(&tx);
    if ((verdict == LEASE_CANCELLED ? build_end_cancelled(s, id, err)
                                    : build_requeue(s, id, 0, false, err)) < 0 ||
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

int state_worker_list(struct state *s, struct argv *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select distinct worker from builds where phase = 2");
    return query_list(&q, "workers", ret, err);
}
