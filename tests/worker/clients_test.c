/* Whole clients against builds of every length: each is a model of when it asks, and what it makes
 * of the answers (PROTOCOL.md 1.4, 1.5, 2.5, 2.10, 3.1, 3.2, 6.1).  The state is real, the time is
 * not.  Every client must come to its end, and one that watches the log must have fetched the last
 * line before it stops looking. */
#include "tests/worker/state_fixture.h"

#include "worker/status.h"

#define MS       NS_PER_MS
#define NEVER    INT64_MAX
#define GIVES_UP (900 * NS_PER_SEC)

/* ---- the clients ---- */

enum verdict { GO_ON, SUCCESS, FAILURE };

struct client {
    const struct habits *habits;
    int64_t delay;    /* from the acceptance of its upload until it has the answer */
    int64_t trip;     /* of each request; added to its pauses */
    int64_t next_ask; /* moments since the acceptance, ns */
    int64_t next_poll;
    int asks;
    bool saw_building, saw_other;
    enum status last;
    enum verdict verdict;
    int64_t ended;
    int64_t fetched;       /* the last line of the log that it has */
    int64_t lines_by_then; /* how many there were when it was told DEPLOYING; 0: it was not */
};

struct habits {
    const char *name;
    enum build_purpose purpose;
    int64_t first, period; /* of its questions about the status */
    bool watches_from_upload;
    enum verdict (*judge)(struct client *c, enum status status, int64_t now);
};

#define FIRST_POLL (2200 * MS)
#define POLL_PAUSE (2000 * MS)

static enum verdict judge_push(struct client *c, enum status status, int64_t now)
{
    (void)c, (void)now;
    return status == STATUS_BUILT ? SUCCESS : status == STATUS_FAILED ? FAILURE : GO_ON;
}

/* bl deploy in a terminal, c47b38a: what it asks first is not a tick, a tick that says the same as
 * the one before is not looked at, and DEPLOYED is for real only after a tick that said BUILDING.
 */
static enum verdict judge_deploy(struct client *c, enum status status, int64_t now)
{
    if (c->asks == 1 || (c->asks > 2 && status == c->last))
        return GO_ON;
    c->last = status;
    if (status == STATUS_BUILDING && !c->saw_building) {
        c->saw_building = true;
        c->next_poll = now + FIRST_POLL;
    }
    if (status != STATUS_BUILDING)
        c->next_poll = NEVER; /* the watcher is stopped, without a last look */
    if (status == STATUS_FAILED)
        return FAILURE;
    return status == STATUS_DEPLOYED && c->saw_building ? SUCCESS : GO_ON;
}

/* The same of toolkit@new, without the shortcut by a new revision in the events. */
static enum verdict judge_deploy_new(struct client *c, enum status status, int64_t now)
{
    (void)now;
    c->saw_building |= status == STATUS_BUILDING;
    if (status == STATUS_FAILED)
        return FAILURE;
    return status == STATUS_DEPLOYED && c->saw_building ? SUCCESS : GO_ON;
}

static enum verdict judge_sdk(struct client *c, enum status status, int64_t now)
{
    (void)now;
    c->saw_other |= status != STATUS_DEPLOYED;
    if (status == STATUS_FAILED)
        return FAILURE;
    return status == STATUS_DEPLOYED && c->saw_other ? SUCCESS : GO_ON;
}

static enum verdict judge_script(struct client *c, enum status status, int64_t now)
{
    (void)c, (void)now;
    return status == STATUS_DEPLOYED ? SUCCESS : status == STATUS_FAILED ? FAILURE : GO_ON;
}

static const struct habits push = {"bl push", BUILD_FOR_IMAGE, 5000 * MS, 5000 * MS,
                                   true,      judge_push};
static const struct habits deploy = {"bl deploy", BUILD_FOR_RESOURCE, 1000 * MS, 3000 * MS,
                                     false,       judge_deploy};
static const struct habits deploy_new = {
    "bl deploy, new", BUILD_FOR_RESOURCE, 1000 * MS, 3000 * MS, false, judge_deploy_new};
static const struct habits sdk = {"SDK", BUILD_FOR_RESOURCE, 3 * MS, 3000 * MS, false, judge_sdk};
static const struct habits script = {"script", BUILD_FOR_RESOURCE, 3000 * MS, 3000 * MS,
                                     false,    judge_script};
static const struct habits eager_script = {"eager script", BUILD_FOR_RESOURCE, 20 * MS, 3000 * MS,
                                           false,          judge_script};
/* Not a client of ours, but it asks too: a page that refreshes itself. */
static const struct habits page = {"page", BUILD_FOR_RESOURCE, 50 * MS, 500 * MS,
                                   false,  judge_script};

static struct client client_new(const struct habits *habits, int64_t delay, int64_t trip)
{
    return (struct client){.habits = habits,
                           .delay = delay,
                           .trip = trip,
                           .next_ask = delay + habits->first + trip,
                           .next_poll =
                               habits->watches_from_upload ? delay + FIRST_POLL + trip : NEVER};
}

/* ---- the build ---- */

struct plan {
    int64_t queued, lasts;   /* ns: until it is claimed, and from then to its end */
    int64_t pause;           /* between its lines */
    enum error_kind outcome; /* its last line is written right before the end */
    int64_t deploying;       /* how long before the end the step "deploy" begins */
};

#define CHATTY (700 * MS)
#define QUIET  (100000 * MS) /* one line at its start, one at its end */

struct world {
    struct fixture *f;
    struct plan plan;
    struct build build;
    int64_t next_line, step_at, end_at;
    int64_t lines;
    int rank[2]; /* of the last answer, by view */
};

static void append_line(struct world *w)
{
    const struct log_line line = {.severity = LOG_INFO, .text = "line"};

    MUST(w->f, state_log_append(w->f->s, w->build.id, &line, 1, &w->f->err));
    w->lines++;
}

static void begin_world(struct world *w, const struct plan *plan, enum build_purpose purpose)
{
    w->plan = *plan;
    w->build = begin_build(w->f, "one", purpose);
    assert_int_equal(accept_upload(w->f, &w->build), UPLOAD_ACCEPTED);
    w->next_line = plan->queued;
    w->end_at = plan->queued + plan->lasts;
    w->step_at = w->end_at - plan->deploying;
    if (w->step_at < w->next_line)
        w->step_at = w->next_line;
    w->lines = 0;
    w->rank[0] = w->rank[1] = 0;
}

static int64_t build_next(const struct world *w)
{
    int64_t next = w->end_at;

    if (w->next_line < next)
        next = w->next_line;
    return w->step_at < next ? w->step_at : next;
}

static void build_act(struct world *w, int64_t now)
{
    enum lease_verdict verdict;

    if (now >= w->next_line) {
        if (now == w->plan.queued)
            w->build = must_claim(w->f, "w");
        append_line(w);
        w->next_line = now + w->plan.pause < w->end_at ? now + w->plan.pause : NEVER;
    } else if (now >= w->step_at) {
        MUST(w->f, state_step(w->f->s, w->build.id, "w", "deploy", &verdict, &w->f->err));
        w->step_at = NEVER;
    } else {
        append_line(w);
        finish_build(w->f, &w->build, "w", w->plan.outcome);
        w->end_at = NEVER;
    }
}

/* ---- the API between them, as api/ does it ---- */

static enum status answer_status(struct world *w, enum build_purpose view)
{
    static const int ranks[] = {
        [STATUS_UPLOADING] = 0, [STATUS_BUILDING] = 1, [STATUS_DEPLOYING] = 2,
        [STATUS_DEPLOYED] = 3,  [STATUS_BUILT] = 3,    [STATUS_FAILED] = 3};
    struct build b = load_build(w->f, w->build.id);
    enum status status = build_status(&b, view, w->f->now);

    assert_true(ranks[status] >= w->rank[view]); /* never back */
    w->rank[view] = ranks[status];
    if (status == STATUS_BUILDING)
        MUST(w->f, state_build_seen(w->f->s, b.id, &w->f->err));
    if (status == STATUS_DEPLOYING)
        MUST(w->f, state_build_deploying_seen(w->f->s, b.id, &w->f->err));
    return status;
}

static void ignore_line(void *self, const struct log_line *l)
{
    (void)self, (void)l;
}

static int64_t answer_log(struct world *w)
{
    struct build b = load_build(w->f, w->build.id);
    int64_t total;

    if (b.uploaded && !status_is_final(build_status(&b, b.purpose, w->f->now)))
        MUST(w->f, state_build_log_read(w->f->s, b.id, &w->f->err));
    MUST(w->f, state_log_read(w->f->s, b.id, 0, true, 1, ignore_line, NULL, &total, &w->f->err));
    return total;
}

/* ---- a run ---- */

static int64_t client_next(const struct client *c)
{
    if (c->verdict != GO_ON)
        return NEVER;
    return c->next_ask < c->next_poll ? c->next_ask : c->next_poll;
}

static void client_act(struct client *c, struct world *w, int64_t now)
{
    enum status status;

    if (now >= c->next_poll) {
        c->fetched = answer_log(w);
        c->next_poll = now + POLL_PAUSE + c->trip;
        return;
    }
    c->asks++;
    c->next_ask = now + c->habits->period + c->trip;
    status = answer_status(w, c->habits->purpose);
    if (status == STATUS_DEPLOYING && !c->lines_by_then)
        c->lines_by_then = w->lines;
    c->verdict = c->habits->judge(c, status, now);
    c->ended = now;
}

static bool all_ended(const struct client *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c[i].verdict == GO_ON)
            return false;
    return true;
}

static void run(struct fixture *f, const struct plan *plan, struct client *c, size_t n)
{
    struct world w = {.f = f};
    int64_t begin = f->now;
    int64_t now = 0;

    begin_world(&w, plan, c[0].habits->purpose);
    while (now < GIVES_UP && (w.end_at != NEVER || !all_ended(c, n))) {
        struct client *first = NULL;

        now = build_next(&w);
        for (size_t i = 0; i < n; i++) {
            if (client_next(&c[i]) < now) {
                first = &c[i];
                now = client_next(first);
            }
        }
        f->now = begin + now;
        if (first)
            client_act(first, &w, now);
        else
            build_act(&w, now);
    }
    f->now = begin + now;
    pass_time(f, NS_PER_SEC);
}

static void describe(const struct plan *s, const struct client *c, const char *what)
{
    fail_msg("%s: %s; build of %.1f s after %.1f s in the queue, deploying %.1f s, outcome %s; the"
             " client's delay %.1f s and trip %.2f s; ended at %.1f s with %lld lines",
             c->habits->name, what, (double)s->lasts / 1e9, (double)s->queued / 1e9,
             (double)s->deploying / 1e9, error_kind_name(s->outcome), (double)c->delay / 1e9,
             (double)c->trip / 1e9, (double)c->ended / 1e9, (long long)c->fetched);
}

static int64_t count_lines(const struct plan *s)
{
    return (s->lasts - 1) / s->pause + 2;
}

static void judge_run(const struct plan *s, const struct client *c)
{
    int64_t end = s->queued + s->lasts;
    int64_t latest = end + 3 * NS_PER_SEC;
    bool watched = c->habits->watches_from_upload || c->habits == &deploy;

    if (c->verdict != (s->outcome == ERR_NONE ? SUCCESS : FAILURE))
        describe(s, c, c->verdict == GO_ON ? "waits for ever" : "took it for its opposite");
    if (c->ended < end)
        describe(s, c, "ended before the build did");
    if (watched && c->fetched != (c->lines_by_then ? c->lines_by_then : count_lines(s)))
        describe(s, c, "missed the last lines");
    if (c->habits == &page)
        return;
    if (latest < c->delay + c->habits->first + 3 * NS_PER_SEC + c->habits->period)
        latest = c->delay + c->habits->first + 3 * NS_PER_SEC + c->habits->period;
    if (c->ended > latest + c->habits->period + 2 * NS_PER_SEC)
        describe(s, c, "waited longer than it had to");
}

static void run_and_judge(struct fixture *f, const struct plan *s, struct client *c, size_t n)
{
    run(f, s, c, n);
    for (size_t i = 0; i < n; i++)
        judge_run(s, &c[i]);
}

#define SHORTEST (200 * MS)
#define LONGEST  (60000 * MS)

/* Close together where ticks and polls are, then wider. */
static int64_t next_length(int64_t length)
{
    return length + (length < 14 * NS_PER_SEC ? 317 * MS : 5300 * MS);
}

static void test_every_client_ends_well_alone(void **state)
{
    static const struct habits *const clients[] = {&push, &deploy, &deploy_new,
                                                   &sdk,  &script, &eager_script};
    static const int64_t delays[] = {0, 300 * MS, 1600 * MS, 2500 * MS, 6000 * MS};
    struct fixture *f = *state;

    for (size_t i = 0; i < 6; i++)
        for (size_t d = 0; d < 5; d++)
            for (int64_t length = SHORTEST; length <= LONGEST; length = next_length(length)) {
                const struct plan s = {20 * MS, length, d % 2 ? QUIET : CHATTY,
                                       length / MS % 2 ? ERR_NONE : ERR_INPUT, 0};
                struct client c = client_new(clients[i], delays[d], (int64_t)d * 130 * MS);

                run_and_judge(f, &s, &c, 1);
            }
}

static void test_every_client_ends_well_when_the_build_waits_in_the_queue(void **state)
{
    static const struct habits *const clients[] = {&push, &deploy, &sdk, &script};
    static const int64_t waits[] = {2000 * MS, 6500 * MS, 40000 * MS};
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++)
        for (size_t q = 0; q < 3; q++)
            for (int64_t length = 200 * MS; length < 10 * NS_PER_SEC; length += 731 * MS) {
                const struct plan s = {waits[q], length, CHATTY, ERR_NONE, 0};
                struct client c = client_new(clients[i], 40 * MS, 30 * MS);

                run_and_judge(f, &s, &c, 1);
            }
}

static void test_lines_of_the_deploy_step_reach_the_watcher(void **state)
{
    static const int64_t deploying[] = {10 * MS, 3500 * MS, 9000 * MS, 20000 * MS};
    struct fixture *f = *state;
    int told = 0;

    for (size_t d = 0; d < 4; d++)
        for (int64_t length = SHORTEST; length <= LONGEST; length = next_length(length)) {
            const struct plan s = {20 * MS, length, QUIET, ERR_NONE, deploying[d]};
            struct client c = client_new(&deploy, 40 * MS, 30 * MS);

            run_and_judge(f, &s, &c, 1);
            told += c.lines_by_then > 0;
            if (deploying[d] <= 10 * MS && c.lines_by_then > 0)
                describe(&s, &c, "was told of a step that took no time");
        }
    assert_true(told > 0);
}

/* Shorter builds are over so long before that only a watcher that is on time sees them. */
static void test_a_late_watcher_gets_the_end_of_a_build_of_two_seconds(void **state)
{
    struct fixture *f = *state;

    for (int64_t length = 2000 * MS; length <= LONGEST; length = next_length(length)) {
        const struct plan s = {20 * MS, length, CHATTY, ERR_INPUT, 0};
        struct client c = client_new(&push, 0, 0);

        c.next_poll = 5500 * MS;
        run_and_judge(f, &s, &c, 1);
    }
}

static void test_clients_do_not_spoil_each_others_view(void **state)
{
    static const struct habits *const others[] = {&page, &sdk, &eager_script, &deploy_new};
    static const int64_t delays[] = {0, 400 * MS, 800 * MS};
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++)
        for (size_t d = 0; d < 3; d++)
            for (int64_t length = SHORTEST; length <= LONGEST; length = next_length(length)) {
                const struct plan s = {20 * MS, length, CHATTY, ERR_NONE, 0};
                struct client c[] = {client_new(&deploy, delays[d], 20 * MS),
                                     client_new(others[i], 0, 0), client_new(&sdk, 200 * MS, 0)};

                run_and_judge(f, &s, c, 3);
            }
}

#define CLIENT_TEST(f) cmocka_unit_test_setup_teardown(f, fixture_in_memory, fixture_release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(test_every_client_ends_well_alone),
        CLIENT_TEST(test_every_client_ends_well_when_the_build_waits_in_the_queue),
        CLIENT_TEST(test_lines_of_the_deploy_step_reach_the_watcher),
        CLIENT_TEST(test_a_late_watcher_gets_the_end_of_a_build_of_two_seconds),
        CLIENT_TEST(test_clients_do_not_spoil_each_others_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
