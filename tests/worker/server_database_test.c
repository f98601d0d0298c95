/* What is true of a database on a server alone: connections break, others tell, time is the
 * server's. */
#include "tests/worker/state_fixture.h"

#include <pthread.h>

#include "tests/postgres/cutting_proxy.h"
#include "worker/db.h"

static struct db *open_at(struct fixture *f, const char *url)
{
    struct db *db = NULL;

    MUST(f, db_open(url, &db, &f->err));
    return db;
}

static int64_t ask(struct fixture *f, struct db *db, const char *sql)
{
    bool row = false;
    QUERY(q, db, sql);

    MUST(f, query_next(&q, &row, &f->err));
    assert_true(row);
    return query_get_int(&q, 0);
}

static int insert(struct db *db, const char *name, struct error *err)
{
    QUERY(q, db, "insert into workspaces (name, created) values (?, 1)");
    query_text(&q, name);
    return query_run(&q, NULL, err);
}

static int64_t count(struct fixture *f, const char *name)
{
    char sql[128];
    long long n = -1;

    (void)snprintf(sql, sizeof(sql), "select count(*) from workspaces where name = '%s'", name);
    assert_true(database_run(f->path, sql, &n));
    return n;
}

/* The server ends the session, as when it stops or an operator says so. */
static void end_session(struct fixture *f, struct db *db)
{
    char sql[80];

    (void)snprintf(sql, sizeof(sql), "select pg_terminate_backend(%lld, 60000)",
                   (long long)ask(f, db, "select pg_backend_pid()"));
    assert_true(database_run(f->path, sql, NULL));
}

/* ---- sessions that end ---- */

static void test_a_session_that_ended_between_two_reads_is_not_noticed(void **state)
{
    struct fixture *f = *state;
    struct db *db = open_at(f, f->path);

    for (int i = 0; i < 3; i++) {
        end_session(f, db);
        assert_int_equal(ask(f, db, "select count(*) from workspaces"), 1);
    }
    db_close(db);
}

static void test_a_session_that_ended_before_a_write_is_not_noticed(void **state)
{
    struct fixture *f = *state;
    struct db *db = open_at(f, f->path);

    end_session(f, db);
    {
        CLEANUP(tx_end) struct tx tx = {0};

        MUST(f, tx_begin(&tx, db, TX_WRITE, &f->err));
        MUST(f, insert(db, "there", &f->err));
        MUST(f, tx_commit(&tx, &f->err));
    }
    assert_int_equal(count(f, "there"), 1);
    db_close(db);
}

static void test_a_transaction_that_is_cut_is_a_remote_fault_and_never_was(void **state)
{
    struct fixture *f = *state;
    struct db *db = open_at(f, f->path);

    {
        CLEANUP(tx_end) struct tx tx = {0};

        MUST(f, tx_begin(&tx, db, TX_WRITE, &f->err));
        MUST(f, insert(db, "early", &f->err));
        end_session(f, db);
        assert_int_equal(insert(db, "late", &f->err), -1);
        assert_int_equal(f->err.kind, ERR_REMOTE);
        assert_int_equal(insert(db, "later", &f->err), -1); /* not in a session of its own */
        assert_int_equal(f->err.kind, ERR_REMOTE);
        assert_int_equal(tx_commit(&tx, &f->err), -1);
        assert_int_equal(f->err.kind, ERR_REMOTE);
    }
    assert_int_equal(count(f, "early"), 0);
    assert_int_equal(count(f, "late"), 0);
    assert_int_equal(count(f, "later"), 0);
    assert_int_equal(ask(f, db, "select count(*) from workspaces"), 1);
    db_close(db);
}

static int write_that_is_cut_once(struct fixture *f, struct db *db, int *tries)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, db, TX_WRITE, &f->err) < 0 || insert(db, "once", &f->err) < 0)
        return -1;
    if ((*tries)++ == 0)
        end_session(f, db);
    return tx_commit(&tx, &f->err);
}

static void test_what_may_be_run_again_is(void **state)
{
    struct fixture *f = *state;
    struct db *db = open_at(f, f->path);
    int tries = 0;

    f->err = (struct error)ERROR_INIT;
    MUST(f, DB_RETRY(db, &f->err, write_that_is_cut_once(f, db, &tries)));
    assert_int_equal(tries, 2);
    assert_int_equal(f->err.kind, ERR_NONE);
    assert_int_equal(count(f, "once"), 1);
    db_close(db);
}

static void test_inside_a_transaction_nothing_is_run_again(void **state)
{
    struct fixture *f = *state;
    struct db *db = open_at(f, f->path);
    CLEANUP(tx_end) struct tx tx = {0};
    int tries = 0;

    MUST(f, tx_begin(&tx, db, TX_WRITE, &f->err));
    end_session(f, db);
    assert_int_equal(DB_RETRY(db, &f->err, write_that_is_cut_once(f, db, &tries)), -1);
    assert_int_equal(tries, 0);
    tx_end(&tx);
    assert_int_equal(count(f, "once"), 0);
    db_close(db);
}

/* ---- commits without an answer ---- */

/* A commit whose connection is cut: its verdict. */
static int commit_through(struct fixture *f, enum cut cut, const char *name)
{
    struct cutting_proxy proxy;
    char url[DATABASE_URL + 64];
    const char *rest = strchr(f->path, '&');
    const char *host = strstr(f->path, "host=");
    char server[128];
    struct db *db;
    int rc;

    assert_non_null(host);
    (void)snprintf(server, sizeof(server), "%.*s", (int)strcspn(host + 5, "&"), host + 5);
    assert_int_equal(cutting_proxy_start(&proxy, server), 0);
    (void)snprintf(url, sizeof(url), "postgresql:///kiln?host=%s%s", proxy.dir, rest);
    db = open_at(f, url);
    {
        CLEANUP(tx_end) struct tx tx = {0};

        MUST(f, tx_begin(&tx, db, TX_WRITE, &f->err));
        MUST(f, insert(db, name, &f->err));
        atomic_store(&proxy.cut, cut);
        rc = tx_commit(&tx, &f->err);
    }
    assert_int_equal(proxy.cut, CUT_NOTHING); /* it was cut */
    assert_int_equal(ask(f, db, "select 1"), 1);
    db_close(db);
    cutting_proxy_stop(&proxy);
    return rc;
}

static void test_a_commit_whose_answer_is_lost_was_done(void **state)
{
    struct fixture *f = *state;

    MUST(f, commit_through(f, CUT_AFTER_COMMIT, "done"));
    assert_int_equal(count(f, "done"), 1);
}

static void test_a_commit_that_did_not_arrive_was_not_done(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(commit_through(f, CUT_BEFORE_COMMIT, "lost"), -1);
    assert_int_equal(f->err.kind, ERR_REMOTE);
    assert_null(strstr(f->err.msg, "not known"));
    assert_int_equal(count(f, "lost"), 0);
}

/* ---- locks ---- */

static void test_writes_in_other_workspaces_do_not_wait(void **state)
{
    struct fixture *f = *state;
    struct db *one = open_at(f, f->path);
    struct db *two = open_at(f, f->path);
    CLEANUP(tx_end) struct tx first = {0};

    MUST(f, tx_begin_in(&first, one, TX_WRITE, "acme", &f->err));
    {
        CLEANUP(tx_end) struct tx second = {0};

        MUST(f, tx_begin_in(&second, two, TX_WRITE, "globex", &f->err));
        MUST(f, insert(two, "beside", &f->err));
        MUST(f, tx_commit(&second, &f->err));
    }
    MUST(f, tx_commit(&first, &f->err));
    tx_end(&first);
    assert_int_equal(count(f, "beside"), 1);
    db_close(one);
    db_close(two);
}

struct waiter {
    struct fixture *f;
    const char *workspace;
    atomic_bool began;
    bool failed;
};

static void *begin_and_say(void *self)
{
    struct waiter *w = self;
    struct error err = ERROR_INIT;
    struct db *db = NULL;
    CLEANUP(tx_end) struct tx tx = {0};

    w->failed = db_open(w->f->path, &db, &err) < 0 ||
                tx_begin_in(&tx, db, TX_WRITE, w->workspace, &err) < 0;
    atomic_store(&w->began, true);
    tx_end(&tx);
    db_close(db);
    return NULL;
}

/* Sessions of this test's that wait for a lock. */
static bool somebody_waits(struct fixture *f)
{
    long long n = 0;

    assert_true(database_run(f->path,
                             "select count(*) from pg_stat_activity where wait_event = 'advisory'"
                             " and query like '%pg_advisory_xact_lock%'",
                             &n));
    return n > 0;
}

static void test_writes_in_one_workspace_wait_and_so_does_one_in_all(void **state)
{
    static const char *const workspaces[] = {"acme", NULL};
    struct fixture *f = *state;
    struct db *db = open_at(f, f->path);

    for (size_t i = 0; i < 2; i++) {
        CLEANUP(tx_end) struct tx tx = {0};
        struct waiter w = {.f = f, .workspace = workspaces[i]};
        pthread_t thread;

        MUST(f, tx_begin_in(&tx, db, TX_WRITE, "acme", &f->err));
        assert_int_equal(pthread_create(&thread, NULL, begin_and_say, &w), 0);
        while (!somebody_waits(f))
            usleep(10000);
        assert_false(atomic_load(&w.began));
        tx_end(&tx);
        pthread_join(thread, NULL);
        assert_true(atomic_load(&w.began));
        assert_false(w.failed);
    }
    db_close(db);
}

/* ---- telling ---- */

static void *wait_long(void *self)
{
    struct fixture *f = self;
    int64_t *ret = malloc(sizeof(*ret));
    int64_t begin = clock_monotonic();

    (void)state_wait(f->s, 600000);
    *ret = clock_monotonic() - begin;
    return ret;
}

static bool somebody_listens(struct fixture *f)
{
    long long n = 0;

    assert_true(database_run(
        f->path, "select count(*) from pg_stat_activity where query like 'listen kiln_%'", &n));
    return n > 0;
}

static void test_a_build_of_another_process_ends_the_wait_at_once(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;
    pthread_t thread;
    void *waited;

    assert_int_equal(pthread_create(&thread, NULL, wait_long, f), 0);
    while (!somebody_listens(f))
        usleep(10000);
    other.s = fixture_open(f);
    queue_build(&other, "one");
    pthread_join(thread, &waited);
    assert_true(*(int64_t *)waited < 300 * NS_PER_SEC);
    free(waited);
    state_close(other.s);
}

/* ---- values ---- */

static void test_time_is_the_servers(void **state)
{
    static const char now[] = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    struct fixture *f = *state;
    struct db *db = open_at(f, f->path);
    struct clock clock = db_clock(db);
    long long before, after;
    int64_t said;

    assert_true(database_run(f->path, now, &before));
    said = clock_now(&clock) / 1000;
    assert_true(database_run(f->path, now, &after));
    /* Its answer travels, and both clocks are run by the same machine here. */
    assert_in_range(said, before - 1000000, after + 1000000);
    db_close(db);
}

static void add_name(void *self, const struct workspace *w)
{
    buf_addf(self, "%s ", w->name);
}

static void test_names_are_sorted_by_their_bytes(void **state)
{
    static const char *const names[] = {"ab", "a-b", "aa", "a1"};
    struct fixture *f = *state;
    struct buf all = BUF_INIT(256);

    for (size_t i = 0; i < 4; i++)
        MUST(f, state_workspace_ensure(f->s, names[i], &f->err));
    MUST(f, state_workspace_list(f->s, NULL, add_name, &all, &f->err));
    assert_string_equal(buf_str(&all), "a-b a1 aa ab acme ");
    buf_release(&all);
}

static void test_text_that_is_no_utf8_is_kept_as_far_as_it_is(void **state)
{
    const struct log_line line = {.severity = LOG_INFO, .text = "caf\xc3\xa9 \xff\xc3 end"};
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    long long same = 0;

    MUST(f, state_log_append(f->s, b.id, &line, 1, &f->err));
    assert_true(database_run(
        f->path, "select count(*) from log_lines where text = E'caf\\u00e9 ?? end'", &same));
    assert_int_equal(same, 1);
}

static void test_a_server_that_is_not_there_is_a_remote_fault(void **state)
{
    struct fixture *f = *state;
    struct db *db = NULL;

    assert_int_equal(db_open("postgresql://kiln:hunter2@/kiln?host=/nonexistent", &db, &f->err),
                     -1);
    assert_int_equal(f->err.kind, ERR_REMOTE);
    assert_null(strstr(f->err.msg, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_a_session_that_ended_between_two_reads_is_not_noticed),
        FILE_TEST(test_a_session_that_ended_before_a_write_is_not_noticed),
        FILE_TEST(test_a_transaction_that_is_cut_is_a_remote_fault_and_never_was),
        FILE_TEST(test_what_may_be_run_again_is),
        FILE_TEST(test_inside_a_transaction_nothing_is_run_again),
        FILE_TEST(test_a_commit_whose_answer_is_lost_was_done),
        FILE_TEST(test_a_commit_that_did_not_arrive_was_not_done),
        FILE_TEST(test_writes_in_other_workspaces_do_not_wait),
        FILE_TEST(test_writes_in_one_workspace_wait_and_so_does_one_in_all),
        FILE_TEST(test_a_build_of_another_process_ends_the_wait_at_once),
        FILE_TEST(test_time_is_the_servers),
        FILE_TEST(test_names_are_sorted_by_their_bytes),
        FILE_TEST(test_text_that_is_no_utf8_is_kept_as_far_as_it_is),
        FILE_TEST(test_a_server_that_is_not_there_is_a_remote_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
