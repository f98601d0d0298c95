/* A process that is killed in the middle of its transactions leaves a sound database in which all
 * is there that it was told. */
#include "tests/worker/state_fixture.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "worker/db.h"

#define ROUNDS      20
#define SEED        20261123U
#define LIFE_MAX_US 150000

/* In the child: uploads are accepted, and acknowledged in the pipe, until death.  Log lines make
 * transactions large enough that some are cut in the middle, and that checkpoints happen. */
static void serve_until_killed(struct fixture *f, int round, int fd)
{
    static const char text[] =
        "#7 12.345 a line of output such as a compiler prints, again and again";
    struct log_line lines[100];
    char name[32];

    for (size_t i = 0; i < 100; i++)
        lines[i] = (struct log_line){.severity = LOG_INFO, .text = text};
    fixture_reopen(f);
    for (int i = 0;; i++) {
        struct build b;

        (void)snprintf(name, sizeof(name), "r%d-%d", round, i);
        b = queue_build(f, name);
        if (write(fd, b.id, sizeof(b.id)) != (ssize_t)sizeof(b.id))
            _exit(1);
        MUST(f, state_log_append(f->s, b.id, lines, 100, &f->err));
    }
}

static void assert_sound(struct fixture *f)
{
    struct db *db = NULL;
    bool row;

    MUST(f, db_open(f->path, &db, &f->err));
    if (!f->remote) {
        QUERY(q, db, "pragma integrity_check");
        MUST(f, query_next(&q, &row, &f->err));
        assert_string_equal(query_get_text(&q, 0), "ok");
    }
    if (!f->remote) {
        QUERY(q, db, "pragma foreign_key_check");
        MUST(f, query_next(&q, &row, &f->err));
        assert_false(row);
    }
    { /* a build and its event, and the lines of one batch, come together or not at all */
        QUERY(q, db,
              "select (select count(*) from builds) - (select count(*) from events),"
              " (select count(*) from log_lines) % 100");
        MUST(f, query_next(&q, &row, &f->err));
        assert_int_equal(query_get_int(&q, 0), 0);
        assert_int_equal(query_get_int(&q, 1), 0);
    }
    db_close(db);
}

static void wait_for_the_first(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, -1), 1);
}

/* One life of a process, and what it acknowledged.  Every second one is killed at any moment, also
 * while it opens the database; on a busy machine that would be all of them, so the time of the
 * others begins with their first upload. */
static void live_and_die(struct fixture *f, int round, unsigned life_us, struct buf *ids)
{
    pid_t child;
    int fds[2];
    int status;

    assert_int_equal(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        close(fds[0]);
        serve_until_killed(f, round, fds[1]);
    }
    close(fds[1]);
    if (round % 2)
        wait_for_the_first(fds[0]);
    usleep(life_us);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    MUST(f, fs_read_fd(fds[0], ids, &f->err));
    close(fds[0]);
}

static void test_every_acknowledged_upload_survives_kill_9(void **state)
{
    struct fixture *f = *state;
    struct buf ids = BUF_INIT(16 << 20);
    unsigned seed = SEED;
    size_t before = 0;

    fixture_close(f);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned life_us = (unsigned)rand_r(&seed) % LIFE_MAX_US;

        live_and_die(f, round, life_us, &ids);
        assert_sound(f);
        fixture_reopen(f);
        for (size_t at = before; at + BUILD_ID <= ids.len; at += BUILD_ID)
            assert_int_equal(load_build(f, ids.data + at).phase, BUILD_QUEUED);
        fixture_close(f);
        before = ids.len;
    }
    print_message("%zu uploads acknowledged in %d lives\n", ids.len / BUILD_ID, ROUNDS);
    assert_int_equal(ids.len % BUILD_ID, 0);
    assert_true(ids.len / BUILD_ID >= ROUNDS / 2); /* it was not killed before it began */

    fixture_reopen(f);
    for (size_t at = 0; at < ids.len; at += BUILD_ID)
        assert_int_equal(load_build(f, ids.data + at).phase, BUILD_QUEUED);
    buf_release(&ids);
}

static void test_the_builds_of_a_killed_worker_are_finished_by_the_next(void **state)
{
    struct fixture *f = *state;
    struct build b[3];
    pid_t child;
    int status;

    for (int i = 0; i < 3; i++)
        b[i] = queue_build(f, (const char *[]){"one", "two", "three"}[i]);
    fixture_close(f);
    child = fork();
    if (child == 0) {
        fixture_reopen(f);
        must_claim(f, "killed");
        must_claim(f, "killed");
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_reopen(f);
    assert_int_equal(phase_of(f, &b[1]), BUILD_RUNNING);
    pass_time(f, LEASE);
    MUST(f, state_expire(f->s, &f->err));
    for (int i = 0; i < 3; i++) {
        struct build claimed = must_claim(f, "next");

        assert_int_equal(finish_build(f, &claimed, "next", ERR_NONE).phase, BUILD_SUCCEEDED);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(phase_of(f, &b[i]), BUILD_SUCCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_every_acknowledged_upload_survives_kill_9),
        FILE_TEST(test_the_builds_of_a_killed_worker_are_finished_by_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
