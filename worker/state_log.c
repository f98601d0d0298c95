/* worker/state_log — a build's log lines and a target's events. */
#include "worker/state_internal.h"

int log_end(struct state *s, const char *id, int64_t *ret_seq, int64_t *ret_time, struct error *err)
{
    bool row;

    QUERY(q, s->db, "select seq, time from log_lines where build = ? order by seq desc limit 1");
    query_text(&q, id);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret_seq = row ? query_get_int(&q, 0) : 0;
    *ret_time = row ? query_get_int(&q, 1) : 0;
    return 0;
}

static void bind_event(struct query *q, const struct log_event *e)
{
    query_int(q, e->step);
    query_int(q, e->state);
    query_int(q, e->stream);
    query_int(q, e->skip);
    query_int(q, e->began);
    query_int(q, (int64_t)e->bytes);
    query_int(q, e->code);
}

/* From the columns after the line's own. */
static struct log_event read_event(struct query *q)
{
    return (struct log_event){
        .step = (int)query_get_int(q, 4),
        .state = (enum log_step)query_get_int(q, 5),
        .stream = (enum log_stream)query_get_int(q, 6),
        .skip = (int)query_get_int(q, 7),
        .began = query_get_int(q, 8),
        .bytes = (uint64_t)query_get_int(q, 9),
        .code = (int)query_get_int(q, 10),
    };
}

#define LINE_COLUMNS "seq, time, severity, text, step, state, stream, skip, began, bytes, code"

/* Eight at once are one round trip to a server instead of eight. */
#define ROW          "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define EIGHT_ROWS   ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW "," ROW
#define ROWS_AT_ONCE 8

/* The log's end, as lines are added to it. */
struct end {
    int64_t seq, time;
    int64_t now; /* for lines without a time */
};

static void bind_line(struct query *q, const char *id, const struct log_line *line, struct end *end)
{
    /* Clients drop a line that equals another in time and text (PROTOCOL.md 1.4). */
    const int64_t written = line->time ? line->time : end->now;

    end->time = written > end->time ? written : end->time + 1;
    query_text(q, id);
    query_int(q, ++end->seq);
    query_int(q, end->time);
    query_int(q, line->severity);
    query_text(q, line->text);
    bind_event(q, &line->event);
}

static int insert_lines(struct state *s, const char *id, const struct log_line *lines, size_t n,
                        struct end *end, struct error *err)
{
    QUERY(eight, s->db, "insert into log_lines values " EIGHT_ROWS);
    QUERY(one, s->db, "insert into log_lines values " ROW);
    for (size_t i = 0; i < n;) {
        const size_t rows = n - i < ROWS_AT_ONCE ? 1 : ROWS_AT_ONCE;
        struct query *put = rows == 1 ? &one : &eight;

        query_reset(put);
        for (size_t to = i + rows; i < to; i++)
            bind_line(put, id, &lines[i], end);
        if (query_run(put, NULL, err) < 0)
            return -1;
    }
    return 0;
}

int state_log_append(struct state *s, const char *id, const struct log_line *lines, size_t n,
                     struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct end end;

    if (n == 0)
        return 0;
    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || build_lock(s, id, err) < 0 ||
        log_end(s, id, &end.seq, &end.time, err) < 0)
        return -1;
    end.now = clock_now(&s->clock); /* once the turn has come: how long readers could see them */
    if (insert_lines(s, id, lines, n, &end, err) < 0)
        return -1;
    QUERY(touch, s->db, "update builds set last_line = ? where id = ?");
    /* Not before it could be read: build_status. */
    query_int(&touch, end.time > end.now ? end.time : end.now);
    query_text(&touch, id);
    if (query_run(&touch, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_log_read(struct state *s, const char *id, int64_t after, bool newest, int64_t limit,
                   void (*each)(void *self, const struct log_line *l), void *self,
                   int64_t *ret_total, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t unused;
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 || log_end(s, id, ret_total, &unused, err) < 0)
        return -1;
    QUERY(q, s->db,
          newest ? "select " LINE_COLUMNS " from log_lines where build = ? and seq > ?"
                   " order by seq desc limit ?"
                 : "select " LINE_COLUMNS " from log_lines where build = ? and seq > ?"
                   " order by seq limit ?");
    query_text(&q, id);
    query_int(&q, after);
    query_int(&q, limit);
    while (query_row(&q, &rc, err)) {
        struct log_line line;

        line = (struct log_line){query_get_int(&q, 0), query_get_int(&q, 1),
                                 (enum log_severity)query_get_int(&q, 2), query_get_text(&q, 3),
                                 read_event(&q)};
        each(self, &line);
    }
    return rc;
}

int event_add(struct state *s, const struct target *t, const struct build *b,
              const struct event_draft *draft, struct error *err)
{
    char kind[96];

    (void)snprintf(kind, sizeof(kind), "ai.blaxel.controlplane.%s", draft->type);
    QUERY(q, s->db,
          "insert into events (workspace, type, name, time, kind, status, message, revision,"
          " build, of_resource, final) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    bind_target(&q, t);
    query_int(&q, clock_now(&s->clock));
    query_text(&q, kind);
    query_text(&q, draft->status);
    query_text(&q, draft->message);
    query_text(&q, b ? b->tag : "");
    query_text(&q, b ? b->id : "");
    query_int(&q, draft->of_resource);
    query_int(&q, draft->final);
    return query_run(&q, NULL, err);
}

int event_add_progress(struct state *s, const struct build *b, enum progress_told told,
                       const char *message, struct error *err)
{
    static const struct event_draft drafts[][3] = {
        [BUILD_FOR_TEMPLATE] = {{"volumetemplate.created", "CREATED", "Starting to pack", true,
                                 false},
                                {"volumetemplate.ready", "READY", "", true, false},
                                {"volumetemplate.failed", "FAILED", "", true, false}},
        [BUILD_FOR_VOLUME] = {{"volume.created", "BUILDING", "Starting to write", true, false},
                              {"volume.ready", "DEPLOYED", "", true, false},
                              {"volume.failed", "FAILED", "", true, false}},
    };
    struct target t = build_target(b);
    struct event_draft draft;

    if (b->purpose != BUILD_FOR_TEMPLATE && b->purpose != BUILD_FOR_VOLUME)
        return 0;
    draft = drafts[b->purpose][told];
    if (message[0])
        draft.message = message;
    return event_add(s, &t, b, &draft, err);
}

int state_event_list(struct state *s, const struct target *t,
                     void (*each)(void *self, const struct event *e), void *self, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select time, kind, status, message, revision, build, of_resource, final from"
          " (select * from events where workspace = ? and type = ? and name = ?"
          "  order by id desc limit ?) last order by id");
    bind_target(&q, t);
    query_int(&q, EVENTS_SHOWN);
    while (query_row(&q, &rc, err)) {
        struct event e;

        e = (struct event){.time = query_get_int(&q, 0),
                           .type = query_get_text(&q, 1),
                           .status = query_get_text(&q, 2),
                           .message = query_get_text(&q, 3),
                           .revision = query_get_text(&q, 4),
                           .of_resource = query_get_int(&q, 6) != 0,
                           .final = query_get_int(&q, 7) != 0};
        COPY_TEXT(e.build, query_get_text(&q, 5));
        each(self, &e);
    }
    return rc;
}
