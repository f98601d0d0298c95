/* Workspaces take turns at the queue, whatever each of them queues. */
#include "tests/worker/state_fixture.h"

#include <pthread.h>

#include "worker/db.h"

#define MANY    10000
#define WORKERS 4
#define ROUNDS  30
#define SPACES  3
#define EACH    40 /* builds of a workspace */

static const char *const spaces[SPACES] = {"acme", "globex", "initech"};

static struct build queue_for(struct fixture *f, struct state *s, const char *workspace,
                              const char *type, const char *name, enum build_purpose purpose)
{
    const struct target t = {workspace, type, name};
    struct build b = {.created = 0};
    enum upload_outcome outcome;

    MUST(f, state_build_begin(s, &t, purpose, &b, &f->err));
    MUST(f, state_upload_accept(s, workspace, b.id, b.id, 1, &outcome, &f->err));
    assert_int_equal(outcome, UPLOAD_ACCEPTED);
    return b;
}

static struct build queue(struct fixture *f, const char *workspace, const char *name)
{
    return queue_for(f, f->s, workspace, "sandbox", name, BUILD_FOR_IMAGE);
}

static void make_spaces(struct fixture *f)
{
    for (int i = 0; i < SPACES; i++)
        MUST(f, state_workspace_ensure(f->s, spaces[i], &f->err));
}

static void limit_builds(struct fixture *f, const char *workspace, int64_t builds)
{
    const struct workspace_limits own = {builds, LIMIT_KEPT, LIMIT_KEPT};
    enum presence presence;

    MUST(f, state_limits_set(f->s, workspace, &own, &presence, &f->err));
    assert_int_equal(presence, PRESENT);
}

static int64_t ask(struct fixture *f, const char *sql)
{
    struct db *db = NULL;
    int64_t n;
    bool row = false;

    MUST(f, db_open(f->path, &db, &f->err));
    {
        QUERY(q, db, sql);
        MUST(f, query_next(&q, &row, &f->err));
        n = row ? query_get_int(&q, 0) : 0;
    }
    db_close(db);
    return n;
}

/* acme has one queued already; here are as many as would take minutes to ask for. */
static void queue_many(struct fixture *f)
{
    (void)queue(f, "acme", "first");
    (void)ask(f,
              "insert into builds (id, workspace, type, name, purpose, phase, tag, archive,"
              " created, upload_expires, uploaded)"
              " with recursive n (i) as (select 1 union all select i + 1 from n where i < 10000)"
              " select 'build' || i, 'acme', 'sandbox', 'n' || i, 0, 1, 't' || i, 'a' || i, i, i,"
              " i from n");
    assert_int_equal(ask(f, "select count(*) from builds where phase = 1"), MANY + 1);
}

static void assert_claims_of(struct fixture *f, const char *workspace)
{
    assert_string_equal(must_claim(f, "w").workspace, workspace);
}

static void test_ten_thousand_builds_delay_anothers_by_one_claim(void **state)
{
    struct fixture *f = *state;
    struct build b;

    make_spaces(f);
    queue_many(f);
    for (int i = 0; i < 5; i++)
        assert_claims_of(f, "acme");
    b = queue(f, "globex", "one");
    assert_claims_of(f, "acme");
    assert_string_equal(must_claim(f, "w").id, b.id);
    assert_claims_of(f, "acme");
    /* Who comes while two have work waits for both. */
    (void)queue(f, "globex", "two");
    (void)queue(f, "globex", "three");
    (void)queue(f, "initech", "one");
    assert_claims_of(f, "globex"); /* acme was just served */
    assert_claims_of(f, "acme");
    assert_claims_of(f, "initech");
    assert_claims_of(f, "globex");
    assert_claims_of(f, "acme");
    assert_claims_of(f, "acme");
}

static void test_each_workspace_gets_one_of_every_round(void **state)
{
    struct fixture *f = *state;
    char name[16];

    make_spaces(f);
    for (int i = 0; i < SPACES; i++)
        for (int n = 0; n < 4; n++) {
            (void)snprintf(name, sizeof(name), "n%d", n);
            (void)queue(f, spaces[i], name);
            pass_time(f, 1);
        }
    for (int n = 0; n < 4; n++)
        for (int i = 0; i < SPACES; i++) {
            struct build b = must_claim(f, "w");

            assert_string_equal(b.workspace, spaces[i]);
            assert_int_equal(b.name[1] - '0', n); /* its oldest */
        }
}

static void test_a_workspace_at_its_limit_keeps_its_turn_and_nobody_waiting(void **state)
{
    struct fixture *f = *state;
    struct build first, b;

    make_spaces(f);
    queue_many(f);
    limit_builds(f, "acme", 1);
    first = must_claim(f, "w");
    for (int n = 0; n < 3; n++) {
        (void)queue(f, "globex", n == 0 ? "a" : n == 1 ? "b" : "c");
        assert_claims_of(f, "globex");
        assert_false(claim_build(f, "w", &b));
    }
    (void)queue(f, "globex", "d");
    finish_build(f, &first, "w", ERR_NONE);
    assert_claims_of(f, "acme");
    assert_claims_of(f, "globex");
}

static void test_volumes_have_turns_of_their_own(void **state)
{
    struct fixture *f = *state;

    make_spaces(f);
    queue_many(f);
    assert_claims_of(f, "acme");
    (void)queue_for(f, f->s, "acme", TYPE_VOLUME, "v", BUILD_FOR_VOLUME);
    assert_string_equal(must_claim(f, "w").type, "sandbox");
    assert_string_equal(must_claim(f, "w").type, TYPE_VOLUME);
    assert_string_equal(must_claim(f, "w").type, "sandbox");
}

static void test_a_build_whose_pause_is_over_has_its_place_back(void **state)
{
    struct fixture *f = *state;
    struct build oldest, b;

    oldest = queue(f, "acme", "a");
    must_claim(f, "w");
    pass_time(f, 1);
    (void)queue(f, "acme", "b");
    (void)queue(f, "acme", "c");
    (void)queue(f, "acme", "d");
    finish_build(f, &oldest, "w", ERR_SYSTEM);
    assert_string_equal(must_claim(f, "w").name, "b");
    pass_time(f, NS_PER_SEC);
    /* The claim that sees it may take another still. */
    b = must_claim(f, "w");
    if (strcmp(b.name, "c") == 0)
        b = must_claim(f, "w");
    assert_string_equal(b.id, oldest.id);
}

static void test_who_has_nothing_queued_has_no_turn(void **state)
{
    struct fixture *f = *state;
    struct build b;

    make_spaces(f);
    b = queue(f, "globex", "a");
    (void)queue(f, "acme", "a");
    (void)queue(f, "acme", "b");
    must_claim(f, "w");
    must_claim(f, "w");
    assert_int_equal(ask(f, "select count(*) from turns"), 2);
    MUST(f, state_expire(f->s, &f->err));
    assert_int_equal(ask(f, "select count(*) from turns where workspace = 'acme'"), 1);
    assert_int_equal(ask(f, "select count(*) from turns"), 1);
    /* A pause keeps it, and so does another try give it back. */
    finish_build(f, &b, "w", ERR_SYSTEM);
    MUST(f, state_expire(f->s, &f->err));
    assert_int_equal(ask(f, "select count(*) from turns"), 2);
    assert_claims_of(f, "acme");
    pass_time(f, NS_PER_SEC);
    assert_string_equal(must_claim(f, "w").id, b.id);
    /* And so is one that is handed back. */
    MUST(f, state_expire(f->s, &f->err));
    assert_int_equal(ask(f, "select count(*) from turns"), 0);
    MUST(f, state_give_back(f->s, b.id, "w", &f->err));
    assert_string_equal(must_claim(f, "w").id, b.id);
}

static void assert_load(struct fixture *f, int uploading, int queued, int running, int64_t since)
{
    struct state_load load;

    MUST(f, state_load(f->s, &load, &f->err));
    assert_int_equal(load.uploading, uploading);
    assert_int_equal(load.queued, queued);
    assert_int_equal(load.running, running);
    assert_int_equal(load.queued_since, since);
}

/* Whoever starts and stops workers by these figures has to be able to trust them. */
static void test_the_load_is_what_waits_and_runs_and_since_when(void **state)
{
    struct fixture *f = *state;
    struct build first, b;

    assert_load(f, 0, 0, 0, 0);
    make_spaces(f);
    (void)begin_build(f, "never", BUILD_FOR_IMAGE);
    first = queue(f, "acme", "a");
    pass_time(f, NS_PER_SEC);
    (void)queue(f, "globex", "a");
    assert_load(f, 1, 2, 0, START);
    b = must_claim(f, "w");
    assert_string_equal(b.id, first.id);
    assert_load(f, 1, 1, 1, START + NS_PER_SEC);
    finish_build(f, &b, "w", ERR_SYSTEM); /* it waits again, and has since it was uploaded */
    assert_load(f, 1, 2, 0, START);
    b = must_claim(f, "w");
    finish_build(f, &b, "w", ERR_NONE);
    pass_time(f, NS_PER_SEC);
    b = must_claim(f, "w");
    assert_load(f, 1, 0, 1, 0);
    finish_build(f, &b, "w", ERR_INPUT);
    assert_load(f, 1, 0, 0, 0);
}

/* ---- many at once ---- */

struct crowd {
    struct fixture *f;
    atomic_int running[SPACES];
    atomic_int most[SPACES];
    atomic_int claimed[SPACES];
    atomic_bool fed, failed;
};

struct member {
    struct crowd *crowd;
    struct state *s;
    pthread_t thread;
    char name[16];
};

static int space_of(const struct build *b)
{
    int i = 0;

    while (i < SPACES - 1 && strcmp(spaces[i], b->workspace) != 0)
        i++;
    return i;
}

static void note_running(struct crowd *c, int space)
{
    const int now = atomic_fetch_add(&c->running[space], 1) + 1;
    int most = atomic_load(&c->most[space]);

    while (now > most && !atomic_compare_exchange_weak(&c->most[space], &most, now))
        continue;
    atomic_fetch_add(&c->claimed[space], 1);
}

static void *work(void *self)
{
    const struct build_result result = {.kind = ERR_NONE, .digest = DIGEST};
    struct member *m = self;
    struct crowd *c = m->crowd;

    for (int i = 0; !atomic_load(&c->failed); i++) {
        const bool last = atomic_load(&c->fed);
        struct error err = ERROR_INIT;
        enum presence presence = ABSENT;
        enum lease_verdict verdict;
        enum build_phase phase;
        struct build b;

        if (state_claim(m->s, m->name, LEASE, &presence, &b, &err) < 0)
            atomic_store(&c->failed, true);
        if (presence == PRESENT) {
            note_running(c, space_of(&b));
            usleep(500);
            atomic_fetch_sub(&c->running[space_of(&b)], 1);
            if (state_finish(m->s, b.id, m->name, &result, &verdict, &phase, &err) < 0)
                atomic_store(&c->failed, true);
        } else if (last) {
            break; /* what waits for a limit is for who holds that place */
        } else {
            usleep(1000);
        }
        if (i % 3 == 0 && state_expire(m->s, &err) < 0)
            atomic_store(&c->failed, true);
    }
    return NULL;
}

static void feed(struct fixture *f)
{
    char name[16];

    for (int n = 0; n < EACH; n++)
        for (int i = 0; i < SPACES; i++) {
            (void)snprintf(name, sizeof(name), "n%d", n);
            (void)queue(f, spaces[i], name);
            if (n % 8 == 7)
                usleep(5000); /* the queue runs empty, and turns end, as others begin */
        }
}

static void test_limits_hold_and_nobody_is_forgotten_with_many_workers(void **state)
{
    struct fixture *f = *state;
    struct crowd c = {.f = f};
    struct member m[WORKERS];

    make_spaces(f);
    limit_builds(f, spaces[0], 1);
    limit_builds(f, spaces[1], 2);
    for (int i = 0; i < WORKERS; i++) {
        m[i] = (struct member){.crowd = &c, .s = fixture_open(f)};
        (void)snprintf(m[i].name, sizeof(m[i].name), "w%d", i);
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&m[i].thread, NULL, work, &m[i]), 0);
    feed(f);
    atomic_store(&c.fed, true);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(m[i].thread, NULL);
        state_close(m[i].s);
    }
    assert_false(c.failed);
    for (int i = 0; i < SPACES; i++)
        assert_int_equal(c.claimed[i], EACH);
    assert_int_equal(c.most[0], 1);
    assert_in_range(c.most[1], 1, 2);
    assert_int_equal(ask(f, "select count(*) from builds where phase <> 3"), 0);
}

struct rival {
    struct state *s;
    pthread_barrier_t *gate;
    pthread_t thread;
    char name[16];
    char id[BUILD_ID]; /* "": it got none */
    bool failed;
};

static void *claim_at_the_gate(void *self)
{
    struct rival *r = self;
    struct error err = ERROR_INIT;
    enum presence presence;
    struct build b;

    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(r->gate);
        r->failed |= state_claim(r->s, r->name, LEASE, &presence, &b, &err) < 0;
        (void)snprintf(r->id, sizeof(r->id), "%s", presence == PRESENT ? b.id : "");
        pthread_barrier_wait(r->gate);
    }
    return NULL;
}

/* All of them claim at one moment, again and again. */
static void test_claims_at_one_moment_keep_to_the_limit(void **state)
{
    struct fixture *f = *state;
    struct rival r[WORKERS];
    pthread_barrier_t gate;
    char name[16];

    make_spaces(f);
    limit_builds(f, "acme", 1);
    assert_int_equal(pthread_barrier_init(&gate, NULL, WORKERS + 1), 0);
    for (int i = 0; i < ROUNDS + WORKERS; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        (void)queue(f, "acme", name);
    }
    for (int i = 0; i < WORKERS; i++) {
        r[i] = (struct rival){.s = fixture_open(f), .gate = &gate};
        (void)snprintf(r[i].name, sizeof(r[i].name), "w%d", i);
        assert_int_equal(pthread_create(&r[i].thread, NULL, claim_at_the_gate, &r[i]), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int claimed = 0;

        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
        for (int i = 0; i < WORKERS; i++) {
            struct build b = {.created = 0};

            if (!*r[i].id)
                continue;
            claimed++;
            memcpy(b.id, r[i].id, sizeof(b.id));
            (void)finish_build(f, &b, r[i].name, ERR_NONE);
        }
        assert_int_equal(claimed, 1);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(r[i].thread, NULL);
        state_close(r[i].s);
        assert_false(r[i].failed);
    }
    pthread_barrier_destroy(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_ten_thousand_builds_delay_anothers_by_one_claim),
        STATE_TEST(test_each_workspace_gets_one_of_every_round),
        FILE_TEST(test_a_workspace_at_its_limit_keeps_its_turn_and_nobody_waiting),
        FILE_TEST(test_volumes_have_turns_of_their_own),
        STATE_TEST(test_a_build_whose_pause_is_over_has_its_place_back),
        FILE_TEST(test_who_has_nothing_queued_has_no_turn),
        STATE_TEST(test_the_load_is_what_waits_and_runs_and_since_when),
        FILE_TEST(test_claims_at_one_moment_keep_to_the_limit),
        FILE_TEST(test_limits_hold_and_nobody_is_forgotten_with_many_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
