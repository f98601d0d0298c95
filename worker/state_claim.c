/* worker/state_claim — which build a worker gets next.
 *
 * Workspaces that have queued builds take turns: of those that have one that may run, the one that
 * was served longest ago is next (round robin), and gets its oldest.  One that comes to the queue
 * is the last of the round.  So however many builds a workspace queues, it keeps another's waiting
 * for one claim, not for all of them.  Volumes, which take moments and for which somebody waits,
 * have turns of their own (lane 1); they are neither counted nor kept waiting by a workspace's
 * limit.
 *
 * The table "turns" has a row for each workspace and lane with a queued build, and for some time
 * after the last one.  Whoever queues a build adds it; that is in a write of the workspace, or one
 * that excludes all others.  turns_tidy removes what has nothing queued, in such a write too, so a
 * row is never missing.
 *
 * A claim locks the row, passing by those that other claims have locked, and only when there is no
 * other it waits for one.  So it has the claims of that workspace to itself, and what it looks at
 * after that, in a statement of its own, holds: the workspace's limit, and that none of the build's
 * target runs.
 *
 * Builds that pause before another try (not_before) lie apart in the index, so that no claim passes
 * them by one by one.  When their pause is over not_before is set to 0, and they have the place
 * back that they had. */
#include "worker/state_internal.h"

/* Pauses that are ended after one claim: more than it takes. */
#define RIPE_MAX "20"
/* The turns, the oldest first, that are looked at at once for those that nobody waits for. */
#define TIDY_MAX 200

/* clang-format off */
/* The two kinds of builds that have a turn each. */
#define LANE(b) "(case when " b "purpose > 2 then 1 else 0 end)"

/* How many builds the workspace w may have RUNNING: its own limit, or ?1. */
#define BUILDS_MAX(w) "ifnull((select builds_max from workspaces where name = " w "), ?1)"
#define HAS_ROOM(w, lane)                                                                          \
    "(" lane " = 1 or " BUILDS_MAX(w) " = 0"                                                       \
    " or " BUILDS_MAX(w) " > (select count(*) from builds r"                                       \
    "  where r.workspace = " w " and r.phase = 2 and r.purpose <= 2))"

/* The oldest that may run of a workspace's lane (a number: SQLite does not look up a column's in
 * the index).  Counting keeps PostgreSQL from a plan that looks at all builds first. */
#define NEXT_BUILD(w, lane)                                                                        \
    "(select b.id from builds b where b.phase = 1 and b.workspace = " w                            \
    "  and " LANE("b.") " = " lane " and b.not_before = 0"                                         \
    "  and 0 = (select count(*) from builds r where r.workspace = b.workspace"                     \
    "   and r.type = b.type and r.name = b.name and r.phase = 2)"                                  \
    "  order by b.uploaded, b.rowid limit 1)"

/* Whose turn it is, and whether any pause is over at the moment ?2. */
#define NEXT_TURN                                                                                  \
    "select t.workspace, t.lane, (select count(*) from"                                            \
    "  (select 1 from builds where phase = 1 and not_before > 0 and not_before <= ?2 limit 1) x)"  \
    " from turns t where " NEXT_BUILD("t.workspace", "+t.lane") " is not null"                     \
    " and " HAS_ROOM("t.workspace", "t.lane") " order by t.served, t.workspace, t.lane limit 1"
/* clang-format on */

struct turn {
    char workspace[NAME_SIZE]; /* "": nobody's */
    int64_t lane;
    bool ripe; /* a pause is over */
};

static int find_turn(struct state *s, const char *sql, struct turn *ret, struct error *err)
{
    bool row;

    QUERY(q, s->db, sql);
    query_int(&q, s->limits.builds);
    query_int(&q, clock_now(&s->clock));
    if (query_next(&q, &row, err) < 0)
        return -1;
    (void)snprintf(ret->workspace, NAME_SIZE, "%s", row ? query_get_text(&q, 0) : "");
    ret->lane = row ? query_get_int(&q, 1) : 0;
    ret->ripe = row && query_get_int(&q, 2) != 0;
    return 0;
}

static int look_for_ripe(struct state *s, bool *ret, struct error *err)
{
    QUERY(q, s->db,
          "select 1 from builds where phase = 1 and not_before > 0 and not_before <= ?"
          " limit 1");
    query_int(&q, clock_now(&s->clock));
    return query_next(&q, ret, err);
}

/* Of those whose pause is over longest; one claim at a time. */
static int end_pauses(struct state *s, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || tx_lock(&tx, "pauses", "", err) < 0)
        return -1;
    /* By id alone: with more said of them PostgreSQL looks at all that pause. */
    QUERY(q, s->db,
          "update builds set not_before = 0 where id in"
          " (select id from builds where phase = 1 and not_before > 0 and not_before <= ?"
          "  order by not_before limit " RIPE_MAX ")");
    query_int(&q, clock_now(&s->clock));
    return query_run(&q, NULL, err) < 0 ? -1 : tx_commit(&tx, err);
}

bool queue_has_work(struct state *s)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct error err = ERROR_INIT;
    struct turn turn;
    bool ripe;

    if (atomic_load(&s->claim_failed) || tx_begin(&tx, s->db, TX_READ, &err) < 0 ||
        find_turn(s, NEXT_TURN, &turn, &err) < 0)
        return false;
    return *turn.workspace || (look_for_ripe(s, &ripe, &err) == 0 && ripe);
}

/* The turn, locked. */
static int choose(struct state *s, struct turn *ret, struct error *err)
{
    if (find_turn(s, NEXT_TURN " for update skip locked", ret, err) < 0)
        return -1;
    if (*ret->workspace)
        return 0;
    return find_turn(s, NEXT_TURN " for update", ret, err);
}

/* Gives the worker the turn's build, if there still is one that may run. */
static int take(struct state *s, const struct turn *turn, const char *worker, int64_t lease_ns,
                bool *ret_taken, struct build *ret, struct error *err)
{
    const int64_t now = clock_now(&s->clock);

    QUERY(q, s->db,
          "update builds set phase = 2, worker = ?4, lease_until = ?5,"
          " attempts = attempts + 1, step = '', cancel = '', deploying = 0, deploying_seen = 0,"
          " started = case started when 0 then ?6 else started end"
          " where phase = 1 and not_before = 0 and id = " NEXT_BUILD("?2", "?3") " and " HAS_ROOM(
              "?2", "?3") " returning " BUILD_COLUMNS);
    query_int(&q, s->limits.builds);
    query_text(&q, turn->workspace);
    query_int(&q, turn->lane);
    query_text(&q, worker);
    query_int(&q, now + lease_ns);
    query_int(&q, now);
    if (query_next(&q, ret_taken, err) < 0)
        return -1;
    if (*ret_taken)
        build_from_row(&q, ret);
    return 0;
}

/* It was served: it is the last of the next round. */
static int pass_turn(struct state *s, const struct turn *turn, struct error *err)
{
    QUERY(q, s->db,
          "update turns set served = (select max(served) from turns) + 1"
          " where workspace = ? and lane = ?");
    query_text(&q, turn->workspace);
    query_int(&q, turn->lane);
    return query_run(&q, NULL, err);
}

/* *ret_again: somebody was quicker.  *ret_ripe: a pause is over. */
static int claim(struct state *s, const char *worker, int64_t lease_ns, bool *ret_again,
                 bool *ret_ripe, enum presence *ret_presence, struct build *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct turn turn;
    bool taken;

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0 || choose(s, &turn, err) < 0)
        return -1;
    *ret_again = false;
    *ret_ripe = turn.ripe;
    *ret_presence = ABSENT;
    if (!*turn.workspace)
        return look_for_ripe(s, ret_ripe, err);
    if (take(s, &turn, worker, lease_ns, &taken, ret, err) < 0)
        return -1;
    *ret_again = !taken;
    if (!taken)
        return 0;
    *ret_presence = PRESENT;
    return pass_turn(s, &turn, err) < 0 ? -1 : tx_commit(&tx, err);
}

int state_claim(struct state *s, const char *worker, int64_t lease_ns, enum presence *ret_presence,
                struct build *ret, struct error *err)
{
    enum presence presence = ABSENT;
    struct error later = ERROR_INIT;
    bool again = true, ripe = false;
    int rc = 0;

    while (rc == 0 && again) {
        rc = claim(s, worker, lease_ns, &again, &ripe, &presence, ret, err);
        /* Once a build is taken, the next claim is to say what is wrong with that. */
        if (rc == 0 && ripe && end_pauses(s, presence == PRESENT ? &later : err) < 0)
            rc = presence == PRESENT ? 0 : -1;
        again = again || (ripe && presence == ABSENT);
    }
    if (rc == 0)
        *ret_presence = presence;
    atomic_store(&s->claim_failed, rc < 0);
    return rc;
}

int turn_add(struct state *s, const char *build, struct error *err)
{
    QUERY(q, s->db,
          "insert into turns (workspace, lane, served) select b.workspace, " LANE(
              "b.") ","
                    " ifnull((select max(served) from turns), 0) + 1 from builds b where b.id = ?"
                    " on conflict (workspace, lane) do nothing");
    query_text(&q, build);
    return query_run(&q, NULL, err);
}

/* ---- turns that nobody waits for ---- */

/* They are never served again, and so come to be the oldest. */

#define HAS_NONE                                                                                   \
    "0 = (select count(*) from (select 1 from builds b where b.phase = 1"                          \
    " and b.workspace = turns.workspace and " LANE("b.") " = +turns.lane limit 1) x)"

static int list_idle(struct state *s, struct argv *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(
        q, s->db,
        "select distinct workspace from (select workspace, lane from turns order by served limit ?)"
        " turns where " HAS_NONE);
    query_int(&q, TIDY_MAX);
    return query_list(&q, "turns", ret, err);
}

static int remove_idle(struct state *s, const char *workspace, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin_in(&tx, s->db, TX_NOTE, workspace, err) < 0)
        return -1;
    QUERY(q, s->db, "delete from turns where workspace = ? and " HAS_NONE);
    query_text(&q, workspace);
    return query_run(&q, NULL, err) < 0 ? -1 : tx_commit(&tx, err);
}

int turns_tidy(struct state *s, struct error *err)
{
    CLEANUP(argv_release) struct argv idle = ARGV_INIT;

    if (list_idle(s, &idle, err) < 0)
        return -1;
    for (size_t i = 0; i < idle.n; i++)
        if (remove_idle(s, idle.v[i], err) < 0)
            return -1;
    return 0;
}
