/* worker/state_log_retention — logs that are too old go, a piece at a time, oldest lines first.
 *
 * A line stays in the place of the last that went: whoever reads on from before it is told, lines
 * that are added later go on counting from there, and no reader needs to know of any of this. */
#include "worker/state_internal.h"

#define LINES_AT_ONCE 1000 /* a transaction of a few milliseconds */
#define REMOVED       "[the log up to here was removed: it is older than logs are kept]"

static int oldest_log(struct state *s, int64_t before, bool *ret_found, char ret_id[BUILD_ID],
                      struct error *err)
{
    QUERY(q, s->db,
          "select id from builds where log_removed = 0 and finished <> 0 and finished < ?"
          " order by finished limit 1");
    query_int(&q, before);
    if (query_next(&q, ret_found, err) < 0)
        return -1;
    if (*ret_found)
        (void)snprintf(ret_id, BUILD_ID, "%s", query_get_text(&q, 0));
    return 0;
}

/* The line that a piece ends with, and whether the log does, too.  0: there is no line. */
static int piece_end(struct state *s, const char *id, int64_t *ret_seq, int64_t *ret_time,
                     bool *ret_last, struct error *err)
{
    bool row;

    QUERY(piece, s->db,
          "select seq, time from log_lines where build = ? order by seq limit 1 offset ?");
    query_text(&piece, id);
    query_int(&piece, LINES_AT_ONCE - 1);
    if (query_next(&piece, &row, err) < 0)
        return -1;
    *ret_last = !row;
    if (!row)
        return log_end(s, id, ret_seq, ret_time, err);
    *ret_seq = query_get_int(&piece, 0);
    *ret_time = query_get_int(&piece, 1);
    return 0;
}

static int replace_lines(struct state *s, const char *id, int64_t seq, int64_t time,
                         struct error *err)
{
    QUERY(remove, s->db, "delete from log_lines where build = ? and seq <= ?");
    query_text(&remove, id);
    query_int(&remove, seq);
    QUERY(tell, s->db,
          "insert into log_lines (build, seq, time, severity, text) values (?, ?, ?, ?, ?)");
    query_text(&tell, id);
    query_int(&tell, seq);
    query_int(&tell, time);
    query_int(&tell, LOG_WARNING);
    query_text(&tell, REMOVED);
    if (query_run(&remove, NULL, err) < 0)
        return -1;
    return query_run(&tell, NULL, err);
}

static int mark_removed(struct state *s, const char *id, struct error *err)
{
    QUERY(q, s->db, "update builds set log_removed = ? where id = ?");
    query_int(&q, clock_now(&s->clock));
    query_text(&q, id);
    return query_run(&q, NULL, err);
}

/* A look keeps nobody waiting, where a write does. */
static int look_for_old(struct state *s, int64_t before, bool *ret_found, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    char id[BUILD_ID];

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    return oldest_log(s, before, ret_found, id, err);
}

int state_log_remove_old(struct state *s, int64_t before, bool *ret_more, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    char id[BUILD_ID];
    int64_t seq, time;
    bool found, last;

    if (look_for_old(s, before, ret_more, err) < 0)
        return -1;
    if (!*ret_more)
        return 0;
    if (tx_begin(&tx, s->db, TX_NOTE, err) < 0 || oldest_log(s, before, &found, id, err) < 0)
        return -1;
    if (found && (piece_end(s, id, &seq, &time, &last, err) < 0 ||
                  (seq && replace_lines(s, id, seq, time, err) < 0) ||
                  (last && mark_removed(s, id, err) < 0) || tx_commit(&tx, err) < 0))
        return -1;
    *ret_more = found;
    return 0;
}
