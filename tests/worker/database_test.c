/* The database beneath the state: who may open it, what survives, what two writers do to each
 * other.
 */
#include "tests/worker/state_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "worker/db.h"
#include "worker/schema.h"

#define EACH 100 /* builds per writing process */

static struct db *open_db(struct fixture *f)
{
    struct db *db = NULL;

    MUST(f, db_open(f->path, &db, &f->err));
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

static void run(struct fixture *f, struct db *db, const char *sql)
{
    QUERY(q, db, sql);
    MUST(f, query_run(&q, NULL, &f->err));
}

static int reopen(struct fixture *f)
{
    const struct state_config config = {.path = f->path, .clock = &f->clock};

    return state_open(&config, &f->s, &f->err);
}

static void test_what_was_written_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    struct build again;

    fixture_close(f);
    fixture_reopen(f);
    again = load_build(f, b.id);
    assert_memory_equal(&b, &again, sizeof(b));
}

/* As a newer Kiln does that is started beside this one. */
static void bring_to_newer(struct fixture *f)
{
    char set[80];
    struct db *db = open_db(f);

    (void)snprintf(set, sizeof(set), "%s%d%s",
                   f->remote ? "insert into kiln_schema (version) values ("
                             : "pragma user_version = ",
                   schema_version + 1, f->remote ? ")" : "");
    run(f, db, set);
    db_close(db);
}

static void test_a_database_of_a_newer_kiln_is_refused(void **state)
{
    struct fixture *f = *state;
    struct db *db;

    fixture_close(f);
    db = open_db(f);
    assert_int_equal(
        ask(f, db, f->remote ? "select max(version) from kiln_schema" : "pragma user_version"),
        schema_version);
    db_close(db);
    bring_to_newer(f);
    assert_int_equal(reopen(f), -1);
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    assert_non_null(strstr(f->err.msg, "use a newer kiln"));
    assert_true(f->remote || strstr(f->err.msg, f->path));
    fixture_renew(f);
}

static void test_once_a_newer_kiln_has_changed_the_database_nothing_is_written(void **state)
{
    const struct target t = sandbox("two");
    struct fixture *f = *state;
    enum lease_verdict verdict;
    enum presence presence;
    bool superseded;
    struct build b, other = queue_build(f, "one");

    b = must_claim(f, "w");
    (void)queue_build(f, "waiting");
    MUST(f, state_look_superseded(f->s, &superseded, &f->err));
    assert_false(superseded);
    bring_to_newer(f);
    MUST(f, state_look_superseded(f->s, &superseded, &f->err));
    assert_true(superseded);
    assert_int_equal(state_claim(f->s, "w", LEASE, &presence, &other, &f->err), -1);
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    assert_non_null(strstr(f->err.msg, "use a newer kiln"));
    assert_int_equal(state_heartbeat(f->s, b.id, "w", LEASE, &verdict, &f->err), -1);
    assert_int_equal(state_give_back(f->s, b.id, "w", &f->err), -1);
    assert_int_equal(state_build_begin(f->s, &t, BUILD_FOR_IMAGE, &other, &f->err), -1);
    assert_int_equal(phase_of(f, &b), BUILD_RUNNING); /* reading goes on */
    fixture_renew(f);
    fixture_reopen(f);
}

static void test_a_file_that_is_no_database_is_refused_and_kept(void **state)
{
    static const char text[] =
        "this is a diary, not a database, and it is long enough to be read\n";
    struct fixture *f = *state;
    struct buf after = BUF_INIT(1000);

    only_on_a_file(f);
    fixture_close(f);
    MUST(f, fs_write_file(AT_FDCWD, f->path, text, sizeof(text) - 1, 0600, &f->err));
    assert_int_equal(reopen(f), -1);
    assert_non_null(strstr(f->err.msg, f->path));
    MUST(f, fs_read_file(AT_FDCWD, f->path, &after, &f->err));
    assert_string_equal(buf_str(&after), text);
    buf_release(&after);
}

static void test_a_database_in_a_directory_that_is_not_there_is_refused(void **state)
{
    struct fixture *f = *state;

    only_on_a_file(f);
    fixture_close(f);
    (void)snprintf(f->path, sizeof(f->path), "%s/no/kiln.db", f->dir);
    assert_int_equal(reopen(f), -1);
    assert_int_equal(f->err.kind, ERR_SYSTEM);
    assert_non_null(strstr(f->err.msg, f->path));
}

static void test_the_database_is_readable_by_its_owner_alone(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct fixture *f = *state;

    only_on_a_file(f);
    for (size_t i = 0; i < 3; i++) {
        struct stat st;
        char path[DATABASE_URL + 8];

        (void)snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void test_the_database_is_set_to_survive_a_power_cut(void **state)
{
    struct fixture *f = *state;
    struct db *db;

    only_on_a_file(f);
    fixture_close(f);
    db = open_db(f);
    assert_int_equal(ask(f, db, "pragma synchronous"), 2); /* FULL */
    assert_int_equal(ask(f, db, "pragma foreign_keys"), 1);
    {
        bool row;
        QUERY(q, db, "pragma journal_mode");

        MUST(f, query_next(&q, &row, &f->err));
        assert_string_equal(query_get_text(&q, 0), "wal");
    }
    db_close(db);
}

/* ---- transactions ---- */

static void insert(struct fixture *f, struct db *db, const char *name)
{
    QUERY(q, db, "insert into workspaces (name, created) values (?, 1)");
    query_text(&q, name);
    MUST(f, query_run(&q, NULL, &f->err));
}

static int64_t count(struct fixture *f, struct db *db)
{
    return ask(f, db, "select count(*) from workspaces");
}

static void test_what_is_not_committed_never_was(void **state)
{
    struct fixture *f = *state;
    struct db *db;

    fixture_close(f);
    db = open_db(f);
    {
        CLEANUP(tx_end) struct tx tx = {0};

        MUST(f, tx_begin(&tx, db, TX_WRITE, &f->err));
        insert(f, db, "lost");
        assert_int_equal(count(f, db), 2);
    }
    assert_int_equal(count(f, db), 1);
    db_close(db);
}

static void test_the_outermost_transaction_decides(void **state)
{
    struct fixture *f = *state;
    struct db *db;

    fixture_close(f);
    db = open_db(f);
    for (int commit = 0; commit < 2; commit++) {
        CLEANUP(tx_end) struct tx outer = {0};

        MUST(f, tx_begin(&outer, db, TX_WRITE, &f->err));
        {
            CLEANUP(tx_end) struct tx inner = {0};

            MUST(f, tx_begin(&inner, db, TX_WRITE, &f->err));
            insert(f, db, "inner");
            MUST(f, tx_commit(&inner, &f->err));
        }
        if (commit)
            MUST(f, tx_commit(&outer, &f->err));
        tx_end(&outer);
        assert_int_equal(count(f, db), commit ? 2 : 1);
    }
    db_close(db);
}

static void test_a_bad_statement_is_an_error_and_harms_nothing(void **state)
{
    struct fixture *f = *state;
    struct db *db;
    bool row;

    fixture_close(f);
    db = open_db(f);
    {
        QUERY(q, db, "select a from nowhere where x = ?");
        query_text(&q, "x");
        assert_int_equal(query_next(&q, &row, &f->err), -1);
        assert_non_null(strstr(f->err.msg, "nowhere"));
    }
    {
        QUERY(q, db, "select 1");
        query_int(&q, 1); /* one parameter too many */
        assert_int_equal(query_next(&q, &row, &f->err), -1);
    }
    assert_int_equal(count(f, db), 1);
    db_close(db);
}

struct holder {
    struct db *db;
    atomic_bool holds;
    atomic_bool goes_on; /* until this is false */
    bool failed;
};

static void *hold_a_transaction(void *self)
{
    struct holder *h = self;
    struct error err = ERROR_INIT;
    CLEANUP(tx_end) struct tx tx = {0};

    h->failed = tx_begin(&tx, h->db, TX_WRITE, &err) < 0;
    atomic_store(&h->holds, true);
    do
        usleep(300000);
    while (atomic_load(&h->goes_on));
    h->failed = h->failed || tx_commit(&tx, &err) < 0;
    return NULL;
}

static void test_a_writer_waits_for_another_process(void **state)
{
    struct fixture *f = *state;
    struct holder h = {.db = open_db(f)};
    int64_t begin = clock_monotonic();
    struct build b;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, hold_a_transaction, &h), 0);
    while (!atomic_load(&h.holds))
        usleep(1000);
    b = queue_build(f, "one"); /* through another connection */
    assert_true(clock_monotonic() - begin >= 250 * NS_PER_MS);
    pthread_join(thread, NULL);
    assert_false(h.failed);
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
    db_close(h.db);
}

static void test_a_reader_does_not_wait_for_a_writer(void **state)
{
    struct fixture *f = *state;
    struct holder h = {.db = open_db(f), .goes_on = true};
    struct build b = queue_build(f, "one");
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, hold_a_transaction, &h), 0);
    while (!atomic_load(&h.holds))
        usleep(1000);
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
    atomic_store(&h.goes_on, false);
    pthread_join(thread, NULL);
    db_close(h.db);
}

/* ---- processes ---- */

static void write_builds(struct fixture *f, int child)
{
    const struct log_line line = {.severity = LOG_INFO, .text = "a line"};
    char name[16];

    fixture_reopen(f);
    for (int i = 0; i < EACH; i++) {
        struct build b;

        (void)snprintf(name, sizeof(name), "p%d-%d", child, i);
        b = queue_build(f, name);
        MUST(f, state_log_append(f->s, b.id, &line, 1, &f->err));
    }
    fixture_close(f);
    _exit(0);
}

static void test_two_processes_that_write_at_once_lose_nothing(void **state)
{
    struct fixture *f = *state;
    pid_t children[2];
    struct db *db;

    fixture_close(f);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0)
            write_builds(f, i);
    }
    for (int i = 0; i < 2; i++)
        assert_child_succeeds(children[i]);
    db = open_db(f);
    assert_int_equal(ask(f, db, "select count(*) from builds where phase = 1"), 2 * EACH);
    assert_int_equal(ask(f, db, "select count(*) from log_lines"), 2 * EACH);
    assert_int_equal(ask(f, db, "select count(*) from events"), 2 * EACH);
    db_close(db);
}

static void test_processes_that_make_the_database_at_once_all_get_it(void **state)
{
    struct fixture *f = *state;
    pid_t children[4];
    int go[2];

    fixture_close(f);
    for (int round = 0; round < 10; round++) {
        fixture_renew(f);
        assert_int_equal(pipe(go), 0);
        for (int i = 0; i < 4; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                char c;

                close(go[1]);
                (void)!read(go[0], &c, 1); /* until all are there */
                fixture_reopen(f);
                MUST(f, state_workspace_ensure(f->s, WORKSPACE, &f->err));
                fixture_close(f);
                _exit(0);
            }
        }
        close(go[0]);
        close(go[1]);
        for (int i = 0; i < 4; i++)
            assert_child_succeeds(children[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_what_was_written_is_there_after_a_restart),
        FILE_TEST(test_a_database_of_a_newer_kiln_is_refused),
        FILE_TEST(test_once_a_newer_kiln_has_changed_the_database_nothing_is_written),
        FILE_TEST(test_a_file_that_is_no_database_is_refused_and_kept),
        FILE_TEST(test_a_database_in_a_directory_that_is_not_there_is_refused),
        FILE_TEST(test_the_database_is_readable_by_its_owner_alone),
        FILE_TEST(test_the_database_is_set_to_survive_a_power_cut),
        FILE_TEST(test_what_is_not_committed_never_was),
        FILE_TEST(test_the_outermost_transaction_decides),
        FILE_TEST(test_a_bad_statement_is_an_error_and_harms_nothing),
        FILE_TEST(test_a_writer_waits_for_another_process),
        FILE_TEST(test_a_reader_does_not_wait_for_a_writer),
        FILE_TEST(test_two_processes_that_write_at_once_lose_nothing),
        FILE_TEST(test_processes_that_make_the_database_at_once_all_get_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
