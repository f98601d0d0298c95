/* worker/state_load — how much there is to do: what decides how many workers there should be. */
#include "worker/state_internal.h"

static int count(struct state *s, const char *sql, int64_t *ret_n, int64_t *ret_first,
                 struct error *err)
{
    bool row;

    QUERY(q, s->db, sql);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret_n = query_get_int(&q, 0);
    *ret_first = query_get_int(&q, 1);
    return 0;
}

/* Each by the index of its phase, however many builds have ended. */
int state_load(struct state *s, struct state_load *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t ignored;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 ||
        count(s, "select count(*), min(upload_expires) from builds where phase = 0",
              &ret->uploading, &ignored, err) < 0 ||
        count(s, "select count(*), min(uploaded) from builds where phase = 1", &ret->queued,
              &ret->queued_since, err) < 0 ||
        count(s, "select count(*), 0 from builds where phase = 2", &ret->running, &ignored, err) <
            0)
        return -1;
    return 0;
}
