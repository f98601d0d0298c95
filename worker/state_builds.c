/* worker/state_builds — a build from its request to its accepted upload.
 *
 * Of one target only the newest build counts.  A new request cancels those that still wait for an
 * upload (their URL is dead: the client has a newer one); an accepted upload cancels those that are
 * queued or running.  So an upload that never comes harms nobody. */
#include <string.h>

#include "base/digest.h"
#include "worker/state_internal.h"
#include "worker/status.h"

void build_from_row(struct query *q, struct build *ret)
{
    COPY_TEXT(ret->id, query_get_text(q, 0));
    COPY_TEXT(ret->workspace, query_get_text(q, 1));
    COPY_TEXT(ret->type, query_get_text(q, 2));
    COPY_TEXT(ret->name, query_get_text(q, 3));
    ret->purpose = (enum build_purpose)query_get_int(q, 4);
    ret->phase = (enum build_phase)query_get_int(q, 5);
    COPY_TEXT(ret->tag, query_get_text(q, 6));
    COPY_TEXT(ret->archive, query_get_text(q, 7));
    ret->archive_size = (uint64_t)query_get_int(q, 8);
    ret->attempts = (int)query_get_int(q, 9);
    COPY_TEXT(ret->step, query_get_text(q, 10));
    COPY_TEXT(ret->fault, query_get_text(q, 11));
    COPY_TEXT(ret->message, query_get_text(q, 12));
    COPY_TEXT(ret->digest, query_get_text(q, 13));
    ret->image_size = (uint64_t)query_get_int(q, 14);
    ret->created = query_get_int(q, 15);
    ret->upload_expires = query_get_int(q, 16);
    ret->uploaded = query_get_int(q, 17);
    ret->started = query_get_int(q, 18);
    ret->finished = query_get_int(q, 19);
    ret->last_line = query_get_int(q, 20);
    ret->building_seen = query_get_int(q, 21);
    ret->log_read = query_get_int(q, 22);
    COPY_TEXT(ret->source, query_get_text(q, 23));
    ret->no_cache = query_get_int(q, 24) != 0;
    ret->log_removed = query_get_int(q, 25);
    ret->deploying = query_get_int(q, 26);
    ret->deploying_seen = query_get_int(q, 27);
}

static int load_one(struct query *q, enum presence *ret_presence, struct build *ret,
                    struct error *err)
{
    bool row;

    if (query_next(q, &row, err) < 0)
        return -1;
    if (row)
        build_from_row(q, ret);
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

int build_lock(struct state *s, const char *id, struct error *err)
{
    bool row;

    QUERY(q, s->db, "select 1 from builds where id = ? for update");
    query_text(&q, id);
    return query_next(&q, &row, err);
}

int build_load(struct state *s, const char *id, enum presence *ret_presence, struct build *ret,
               struct error *err)
{
    QUERY(q, s->db, "select " BUILD_COLUMNS " from builds where id = ?");
    query_text(&q, id);
    return load_one(&q, ret_presence, ret, err);
}

int builds_cancel(struct state *s, const struct target *t, int64_t before, const char *why,
                  struct error *err)
{
    QUERY(waiting, s->db,
          "update builds set phase = 5, message = ?1, finished = ?2"
          " where workspace = ?3 and type = ?4 and name = ?5 and created < ?6"
          " and phase in (0, 1)");
    query_text(&waiting, why);
    query_int(&waiting, clock_now(&s->clock));
    bind_target(&waiting, t);
    query_int(&waiting, before);
    if (query_run(&waiting, NULL, err) < 0)
        return -1;

    QUERY(running, s->db,
          "update builds set cancel = ? where workspace = ? and type = ? and name = ?"
          " and created < ? and phase = 2");
    query_text(&running, why);
    bind_target(&running, t);
    query_int(&running, before);
    return query_run(&running, NULL, err);
}

/* The image row exists from the first build on. */
static int image_touch(struct state *s, const struct target *t, int64_t now, struct error *err)
{
    QUERY(q, s->db,
          "insert into images (workspace, type, name, created, updated) values (?1, ?2, ?3, ?4, ?4)"
          " on conflict (workspace, type, name) do update set updated = excluded.updated");
    bind_target(&q, t);
    query_int(&q, now);
    return query_run(&q, NULL, err);
}

static int build_insert(struct state *s, const struct build *b, struct error *err)
{
    QUERY(q, s->db,
          "insert into builds (id, workspace, type, name, purpose, phase, tag, created,"
          " upload_expires, uploaded, source, no_cache)"
          " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query_text(&q, b->id);
    query_text(&q, b->workspace);
    query_text(&q, b->type);
    query_text(&q, b->name);
    query_int(&q, b->purpose);
    query_int(&q, b->phase);
    query_text(&q, b->tag);
    query_int(&q, b->created);
    query_int(&q, b->upload_expires);
    query_int(&q, b->uploaded);
    query_text(&q, b->source);
    query_int(&q, b->no_cache);
    return query_run(&q, NULL, err);
}

/* Later than every build of the target, so that "newest" has one answer. */
static int creation_time(struct state *s, const struct target *t, int64_t *ret, struct error *err)
{
    bool row;

    QUERY(q, s->db,
          "select max(created) from builds where workspace = ? and type = ? and name = ?");
    bind_target(&q, t);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = clock_now(&s->clock);
    if (row && query_get_int(&q, 0) >= *ret)
        *ret = query_get_int(&q, 0) + 1;
    return 0;
}

void state_build_draw_id(char ret[BUILD_ID])
{
    unsigned char id[16];

    digest_random(id, sizeof(id));
    digest_hex(id, sizeof(id), ret);
}

static void draw_names(struct build *b, const struct target *t)
{
    state_build_draw_id(b->id);
    if (purpose_is_image(b->purpose))
        digest_random_name(b->tag, sizeof(b->tag) - 1);
    COPY_TEXT(b->workspace, t->workspace);
    COPY_TEXT(b->type, t->type);
    COPY_TEXT(b->name, t->name);
}

/* Within the caller's transaction. */
static int begin(struct state *s, const struct target *t, const struct build *b, struct error *err)
{
    static const struct event_draft created = {
        .type = "buildimage.created", .status = "UPLOADED", .message = "Starting build image"};

    if (build_insert(s, b, err) < 0)
        return -1;
    if (!purpose_is_image(b->purpose))
        return event_add_progress(s, b, TOLD_BEGUN, "", err);
    if (image_touch(s, t, b->created, err) < 0)
        return -1;
    return event_add(s, t, b, &created, err);
}

static int ask_for_upload(struct state *s, const struct target *t, const struct build_order *order,
                          struct build *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {
        .purpose = order->purpose, .phase = BUILD_UPLOADING, .no_cache = order->no_cache};

    draw_names(&b, t);
    if (tx_begin_in(&tx, s->db, TX_WRITE, t->workspace, err) < 0 ||
        creation_time(s, t, &b.created, err) < 0)
        return -1;
    b.upload_expires = b.created + s->upload_ns;

    QUERY(q, s->db,
          "update builds set phase = 5, message = 'a newer upload URL was asked for', finished = ?"
          " where workspace = ? and type = ? and name = ? and phase = 0");
    query_int(&q, b.created);
    bind_target(&q, t);
    if (query_run(&q, NULL, err) < 0 || begin(s, t, &b, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    *ret = b;
    return 0;
}

static int ask_of_source(struct state *s, const struct target *t, const struct build_order *order,
                         struct build *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {
        .purpose = order->purpose, .phase = BUILD_QUEUED, .no_cache = order->no_cache};

    draw_names(&b, t);
    if (order->id)
        COPY_TEXT(b.id, order->id);
    COPY_TEXT(b.source, order->source);
    if (tx_begin_in(&tx, s->db, TX_WRITE, t->workspace, err) < 0 ||
        creation_time(s, t, &b.created, err) < 0)
        return -1;
    tx_tell(&tx);
    b.upload_expires = b.uploaded = b.created;
    if (begin(s, t, &b, err) < 0 || turn_add(s, b.id, err) < 0 ||
        builds_cancel(s, t, b.created, "superseded by a newer build", err) < 0 ||
        tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    *ret = b;
    state_wake(s);
    return 0;
}

int state_build_ask(struct state *s, const struct target *t, const struct build_order *order,
                    struct build *ret, struct error *err)
{
    return DB_RETRY(s->db, err,
                    (order->source ? ask_of_source : ask_for_upload)(s, t, order, ret, err));
}

int state_build_begin(struct state *s, const struct target *t, enum build_purpose purpose,
                      struct build *ret, struct error *err)
{
    return state_build_ask(s, t, &(struct build_order){.purpose = purpose}, ret, err);
}

int state_build_from_source(struct state *s, const struct target *t, enum build_purpose purpose,
                            const char *source, struct build *ret, struct error *err)
{
    return state_build_ask(s, t, &(struct build_order){.purpose = purpose, .source = source}, ret,
                           err);
}

static enum upload_outcome judge_upload(const struct state *s, const struct build *b,
                                        enum presence presence, const char *workspace, int64_t now)
{
    if (presence == ABSENT || strcmp(b->workspace, workspace) != 0)
        return UPLOAD_UNKNOWN;
    if (b->archive[0])
        return UPLOAD_USED;
    if (b->phase == BUILD_CANCELLED)
        return UPLOAD_SUPERSEDED;
    if (b->phase != BUILD_UPLOADING || (!s->uploads_elsewhere && now >= b->upload_expires))
        return UPLOAD_EXPIRED;
    return UPLOAD_ACCEPTED;
}

int state_upload_check(struct state *s, const char *workspace, const char *id,
                       enum upload_outcome *ret_outcome, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    enum presence presence;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 || build_load(s, id, &presence, &b, err) < 0)
        return -1;
    *ret_outcome = judge_upload(s, &b, presence, workspace, clock_now(&s->clock));
    return 0;
}

static int accept_upload(struct state *s, const char *workspace, const char *id,
                         const char *archive, uint64_t size, enum upload_outcome *ret_outcome,
                         struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    enum upload_outcome outcome;
    enum presence presence;
    struct target t;
    int64_t now;

    if (tx_begin_in(&tx, s->db, TX_WRITE, workspace, err) < 0 ||
        build_load(s, id, &presence, &b, err) < 0)
        return -1;
    now = clock_now(&s->clock); /* once the turn has come: what follows counts from here */
    outcome = judge_upload(s, &b, presence, workspace, now);
    if (outcome != UPLOAD_ACCEPTED) {
        *ret_outcome = outcome;
        return 0;
    }
    QUERY(q, s->db,
          "update builds set phase = 1, archive = ?, archive_size = ?, uploaded = ? where id = ?");
    query_text(&q, archive);
    query_int(&q, (int64_t)size);
    query_int(&q, now);
    query_text(&q, id);
    t = build_target(&b);
    tx_tell(&tx);
    if (query_run(&q, NULL, err) < 0 || turn_add(s, id, err) < 0 ||
        builds_cancel(s, &t, b.created, "superseded by a newer upload", err) < 0 ||
        tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    *ret_outcome = UPLOAD_ACCEPTED;
    state_wake(s);
    return 0;
}

int state_upload_accept(struct state *s, const char *workspace, const char *id, const char *archive,
                        uint64_t size, enum upload_outcome *ret_outcome, struct error *err)
{
    return DB_RETRY(s->db, err, accept_upload(s, workspace, id, archive, size, ret_outcome, err));
}

int state_uploads_awaited(struct state *s, void (*each)(void *self, const struct build *b),
                          void *self, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select " BUILD_COLUMNS " from builds where phase = 0");
    while (query_row(&q, &rc, err)) {
        struct build b = {.created = 0};

        build_from_row(&q, &b);
        each(self, &b);
    }
    return rc;
}

int state_build_get(struct state *s, const char *id, enum presence *ret_presence, struct build *ret,
                    struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    return build_load(s, id, ret_presence, ret, err);
}

int state_build_newest(struct state *s, const struct target *t, enum presence *ret_presence,
                       struct build *ret, struct error *err)
{
    return state_build_newest_between(s, t, 0, INT64_MAX, ret_presence, ret, err);
}

int state_build_newest_between(struct state *s, const struct target *t, int64_t since,
                               int64_t until, enum presence *ret_presence, struct build *ret,
                               struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select " BUILD_COLUMNS " from builds where workspace = ? and type = ? and name = ?"
          " and phase <> 5 and created <= ? and (finished = 0 or finished >= ?)"
          " order by created desc limit 1");
    bind_target(&q, t);
    query_int(&q, until);
    query_int(&q, since);
    return load_one(&q, ret_presence, ret, err);
}

static int build_count(struct state *s, const char *workspace, int64_t *ret, struct error *err)
{
    bool row;

    QUERY(q, s->db, "select count(*) from builds where workspace = ? and purpose <> 4");
    query_text(&q, workspace);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = row ? query_get_int(&q, 0) : 0;
    return 0;
}

int state_build_list(struct state *s, const char *workspace, const char *before, int64_t limit,
                     void (*each)(void *self, const struct build *b), void *self,
                     int64_t *ret_total, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 || build_count(s, workspace, ret_total, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select " BUILD_COLUMNS " from builds where workspace = ?1 and purpose <> 4"
          " and (?2 = '' or (created, id) < (select created, id from builds where id = ?2))"
          " order by created desc, id desc limit ?3");
    query_text(&q, workspace);
    query_text(&q, before);
    query_int(&q, limit);
    while (query_row(&q, &rc, err)) {
        struct build b = {.created = 0};

        build_from_row(&q, &b);
        each(self, &b);
    }
    return rc;
}

/* Only while the end is not visible: an end that was shown must not be taken back. */
static int stamp(struct state *s, const char *id, const char *sql, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    enum presence presence;
    enum status status;
    int64_t now;

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || build_lock(s, id, err) < 0 ||
        build_load(s, id, &presence, &b, err) < 0)
        return -1;
    now = clock_now(&s->clock);
    status = build_status(&b, b.purpose, now);
    if (presence == ABSENT || (status != STATUS_BUILDING && status != STATUS_DEPLOYING))
        return 0;
    QUERY(q, s->db, sql);
    query_int(&q, now);
    query_text(&q, id);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_build_seen(struct state *s, const char *id, struct error *err)
{
    return stamp(s, id, "update builds set building_seen = ? where id = ? and building_seen = 0",
                 err);
}

int state_build_deploying_seen(struct state *s, const char *id, struct error *err)
{
    return stamp(s, id, "update builds set deploying_seen = ? where id = ? and deploying_seen = 0",
                 err);
}

int state_build_log_read(struct state *s, const char *id, struct error *err)
{
    return stamp(s, id, "update builds set log_read = ? where id = ?", err);
}

static int exists(struct state *s, const char *sql, const char *key, bool *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, sql);
    query_text(&q, key);
    return query_next(&q, ret, err);
}

int state_archive_in_use(struct state *s, const char *archive, bool *ret, struct error *err)
{
    return exists(s, "select 1 from builds where archive = ? and phase in (1, 2)", archive, ret,
                  err);
}

int state_build_unfinished(struct state *s, const char *id, bool *ret, struct error *err)
{
    return exists(s, "select 1 from builds where id = ? and phase in (0, 1, 2)", id, ret, err);
}

static int keep_dockerfile(struct state *s, const char *id, const char *text, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0)
        return -1;
    QUERY(q, s->db, "update builds set dockerfile = ? where id = ?");
    query_text(&q, text);
    query_text(&q, id);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_build_keep_dockerfile(struct state *s, const char *id, const char *text,
                                struct error *err)
{
    return DB_RETRY(s->db, err, keep_dockerfile(s, id, text, err));
}

int state_build_dockerfile(struct state *s, const char *id, struct buf *out, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select dockerfile from builds where id = ?");
    query_text(&q, id);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        buf_adds(out, query_get_text(&q, 0));
    return buf_check(out, "the Dockerfile", err);
}

static int keep_inputs(struct state *s, const char *id, const char *inputs, struct error *err)
{
    QUERY(q, s->db, "update builds set inputs = ? where id = ?");
    query_text(&q, inputs);
    query_text(&q, id);
    return query_run(&q, NULL, err);
}

static int find_identical(struct state *s, const struct target *t, const char *inputs,
                          enum presence *ret_presence, char ret_digest[DIGEST_SIZE],
                          struct error *err)
{
    bool row;

    QUERY(q, s->db,
          "select digest from builds where workspace = ? and type = ? and name = ? and inputs = ?"
          " and inputs <> '' and phase = 3 order by created desc limit 1");
    bind_target(&q, t);
    query_text(&q, inputs);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        (void)snprintf(ret_digest, DIGEST_SIZE, "%s", query_get_text(&q, 0));
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

static int keep_and_find(struct state *s, const struct target *t, const char *id,
                         const char *inputs, enum presence *ret_presence,
                         char ret_digest[DIGEST_SIZE], struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || keep_inputs(s, id, inputs, err) < 0 ||
        find_identical(s, t, inputs, ret_presence, ret_digest, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_build_find_identical(struct state *s, const struct target *t, const char *id,
                               const char *inputs, enum presence *ret_presence,
                               char ret_digest[DIGEST_SIZE], struct error *err)
{
    return DB_RETRY(s->db, err, keep_and_find(s, t, id, inputs, ret_presence, ret_digest, err));
}
