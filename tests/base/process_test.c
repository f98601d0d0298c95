/* A child is data, its output comes as it appears, and only exit code 0 is a success. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/text.h"

/* Writes down what it is told: "1:text|2:text|". */
struct record {
    struct buf text;
    int reply_fd; /* gets a line for each that has come; -1: none */
};

static void record_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct record *r = self;

    buf_addf(&r->text, "%d:", (int)stream);
    buf_add(&r->text, text, len);
    buf_addc(&r->text, '|');
    assert_int_equal(text[len], '\0');
    if (r->reply_fd >= 0)
        assert_int_equal(write(r->reply_fd, "reply\n", 6), 6);
}

#define SLOW_MS 40000 /* within which even a busy machine does a thing that takes a moment */

/* One run of a shell script, with everything a test may want to change. */
struct run {
    struct argv argv;
    struct argv env;
    struct record record;
    struct process_sink sink;
    struct process_request req;
    struct process_end end;
    int64_t elapsed_ms;
};

static int setup(void **state)
{
    struct run *r = calloc(1, sizeof(*r));

    if (!r)
        return -1;
    r->record = (struct record){.text = BUF_INIT(10 << 20), .reply_fd = -1};
    r->sink = (struct process_sink){record_line, &r->record};
    r->req = (struct process_request){
        .argv = &r->argv, .env = &r->env, .stdin_fd = -1, .timeout_ms = 60000, .sink = &r->sink};
    argv_push1(&r->env, "PATH=/usr/bin:/bin");
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct run *r = *state;

    argv_release(&r->argv);
    argv_release(&r->env);
    buf_release(&r->record.text);
    free(r);
    return 0;
}

static void run_argv(struct run *r)
{
    struct error err = ERROR_INIT;
    int64_t start = clock_monotonic();

    if (process_run(&r->req, &r->end, &err) < 0)
        fail_msg("%s", err.msg);
    r->elapsed_ms = (clock_monotonic() - start) / NS_PER_MS;
}

static const char *run_script(struct run *r, const char *script)
{
    argv_push(&r->argv, "sh", "-c", script, NULL);
    run_argv(r);
    return buf_str(&r->record.text);
}

/* Its time ends after it has said something: with more and more of it, as a busy machine needs. */
static const char *run_past_its_time(struct run *r, const char *script)
{
    for (r->req.timeout_ms = 200; r->req.timeout_ms < SLOW_MS; r->req.timeout_ms *= 4) {
        argv_release(&r->argv);
        if (run_script(r, script)[0])
            break;
    }
    return buf_str(&r->record.text);
}

static void assert_ended(const struct run *r, enum process_how how, int code, int sig)
{
    char text[PROCESS_TEXT];

    process_describe(&r->end, text);
    if (r->end.how != how || r->end.code != code || r->end.signal != sig)
        fail_msg("it %s", text);
}

/* ---- how it ended ---- */

static void test_exit_codes_come_through(void **state)
{
    struct run *r = *state;
    char text[PROCESS_TEXT];

    (void)run_script(r, "exit 0");
    assert_ended(r, PROCESS_EXITED, 0, 0);
    assert_true(process_succeeded(&r->end));
    argv_release(&r->argv);
    (void)run_script(r, "exit 37");
    assert_ended(r, PROCESS_EXITED, 37, 0);
    assert_false(process_succeeded(&r->end));
    process_describe(&r->end, text);
    assert_string_equal(text, "exited with 37");
}

static void test_a_killed_child_is_never_a_success(void **state)
{
    static const int signals[] = {SIGKILL, SIGTERM, SIGSEGV, SIGHUP};
    char text[PROCESS_TEXT];

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct run *r = *state;
        char script[40];

        (void)snprintf(script, sizeof(script), "ulimit -c 0; kill -%d $$", signals[i]);
        argv_release(&r->argv);
        (void)run_script(r, script);
        assert_ended(r, PROCESS_SIGNALLED, -1, signals[i]);
        assert_false(process_succeeded(&r->end));
        process_describe(&r->end, text);
        if (signals[i] == SIGKILL)
            assert_string_equal(text, "was killed by signal 9 (Killed)");
    }
}

static void test_past_its_time_a_child_is_asked_to_end(void **state)
{
    struct run *r = *state;

    r->req.grace_ms = 100000;
    assert_string_equal(
        run_past_its_time(r, "trap 'echo bye; exit 0' TERM; echo ready; sleep 100 & wait"),
        "1:ready|1:bye|");
    assert_ended(r, PROCESS_TIMED_OUT, -1, 0);
    assert_in_range(r->elapsed_ms, r->req.timeout_ms, r->req.timeout_ms + SLOW_MS);
}

static void test_a_child_that_will_not_end_is_killed_after_the_grace(void **state)
{
    struct run *r = *state;

    r->req.grace_ms = 300;
    (void)run_past_its_time(r, "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    assert_ended(r, PROCESS_TIMED_OUT, -1, 0);
    assert_in_range(r->elapsed_ms, r->req.timeout_ms + 300, r->req.timeout_ms + SLOW_MS);
}

static void test_without_a_grace_it_is_killed_at_once(void **state)
{
    struct run *r = *state;

    assert_string_equal(
        run_past_its_time(r, "trap 'echo bye' TERM; echo ready; while :; do sleep 0.05; done"),
        "1:ready|");
    assert_ended(r, PROCESS_TIMED_OUT, -1, 0);
    assert_in_range(r->elapsed_ms, r->req.timeout_ms, r->req.timeout_ms + SLOW_MS);
}

/* The shell obeys SIGTERM; the process it started does not, and holds the pipe. */
static void test_the_whole_group_of_a_timed_out_child_is_killed(void **state)
{
    struct run *r = *state;
    long pid = 0;

    r->req.grace_ms = 100000;
    (void)run_past_its_time(r,
                            "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.1; done' & wait");
    assert_int_equal(sscanf(buf_str(&r->record.text), "1:%ld|", &pid), 1);
    assert_ended(r, PROCESS_TIMED_OUT, -1, 0);
    assert_in_range(r->elapsed_ms, r->req.timeout_ms, r->req.timeout_ms + SLOW_MS);
    for (int i = 0; i < 3000 && kill((pid_t)pid, 0) == 0; i++)
        (void)poll(NULL, 0, 20);
    assert_int_equal(kill((pid_t)pid, 0), -1);
}

static void count_kill(void *self)
{
    ++*(int *)self;
}

static void test_the_caller_is_told_once_that_a_child_is_killed(void **state)
{
    struct run *r = *state;
    int kills = 0;

    r->req.on_kill = count_kill;
    r->req.on_kill_self = &kills;
    (void)run_script(r, "exit 3");
    assert_int_equal(kills, 0);
    argv_release(&r->argv);
    r->req.timeout_ms = 200;
    r->req.grace_ms = 300;
    (void)run_script(r, "trap '' TERM; while :; do sleep 0.05; done");
    assert_int_equal(kills, 1);
}

/* ---- its output ---- */

static void test_lines_come_with_their_stream(void **state)
{
    struct run *r = *state;
    int pipefd[2];

    assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
    r->req.stdin_fd = pipefd[0];
    r->record.reply_fd = pipefd[1];
    assert_string_equal(run_script(r, "echo one; read x; echo two >&2; read x; printf three"),
                        "1:one|2:two|1:three|");
    close(pipefd[0]);
    close(pipefd[1]);
}

static void test_cr_and_crlf_end_lines_too(void **state)
{
    struct run *r = *state;

    assert_string_equal(run_script(r, "printf '10%%\\r20%%\\rdone\\r\\nnext\\n\\nlast\\r\\n'"),
                        "1:10%|1:20%|1:done|1:next|1:|1:last|");
}

static void test_a_long_line_comes_in_pieces(void **state)
{
    struct run *r = *state;

    r->req.line_max = 4;
    assert_string_equal(run_script(r, "printf 'abcdefghij\\nabcd\\nx'"),
                        "1:abcd|1:efgh|1:ij|1:abcd|1:x|");
}

static void test_bytes_that_are_no_text_come_through(void **state)
{
    struct run *r = *state;

    (void)run_script(r, "printf 'a\\000b\\377\\n'");
    assert_int_equal(r->record.text.len, 7);
    assert_memory_equal(buf_str(&r->record.text), "1:a\0b\377|", 7);
}

/* The child waits for an answer that is given only when its first line has been seen. */
static void test_output_is_handed_over_while_the_child_runs(void **state)
{
    struct run *r = *state;
    int pipefd[2];

    assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
    r->req.stdin_fd = pipefd[0];
    r->record.reply_fd = pipefd[1];
    assert_string_equal(run_script(r, "echo first; read x; echo \"got $x\""),
                        "1:first|1:got reply|");
    assert_ended(r, PROCESS_EXITED, 0, 0);
    close(pipefd[0]);
    close(pipefd[1]);
}

static void test_more_output_than_a_pipe_holds_is_read_to_the_end(void **state)
{
    struct run *r = *state;

    (void)run_script(
        r, "i=0; while [ $i -lt 20000 ]; do echo line $i; echo err $i >&2; i=$((i+1)); done");
    assert_non_null(strstr(buf_str(&r->record.text), "|1:line 19999|"));
    assert_non_null(strstr(buf_str(&r->record.text), "|2:err 19999|"));
}

static void test_without_a_sink_output_is_dropped(void **state)
{
    struct run *r = *state;

    r->req.sink = NULL;
    (void)run_script(r, "head -c 300000 /dev/zero; exit 3");
    assert_ended(r, PROCESS_EXITED, 3, 0);
}

static void test_a_grandchild_that_keeps_the_pipe_is_not_waited_for_longer_than_promised(
    void **state)
{
    struct run *r = *state;
    long pid = 0;

    (void)run_script(r, "sleep 60 & echo $!; exit 4");
    assert_int_equal(sscanf(buf_str(&r->record.text), "1:%ld|", &pid), 1);
    (void)kill((pid_t)pid, SIGKILL);
    assert_ended(r, PROCESS_EXITED, 4, 0);
    assert_in_range(r->elapsed_ms, 4900, SLOW_MS);
}

/* ---- what it is given ---- */

static void test_the_environment_is_exactly_what_was_named(void **state)
{
    struct run *r = *state;

    argv_push(&r->argv, "env", NULL);
    argv_push1(&r->env, "GREETING=hello world");
    run_argv(r);
    assert_string_equal(buf_str(&r->record.text), "1:PATH=/usr/bin:/bin|1:GREETING=hello world|");
    buf_clear(&r->record.text);
    r->req.env = NULL;
    run_argv(r);
    assert_string_equal(buf_str(&r->record.text), "");
}

static void test_standard_input_is_empty_unless_given(void **state)
{
    struct run *r = *state;

    argv_push(&r->argv, "cat", NULL);
    run_argv(r);
    assert_ended(r, PROCESS_EXITED, 0, 0);
    assert_string_equal(buf_str(&r->record.text), "");
}

static void test_words_are_never_read_by_a_shell(void **state)
{
    struct run *r = *state;

    argv_push(&r->argv, "printf", "%s\\n", "a; echo b", "$(id)", "*", "", NULL);
    run_argv(r);
    assert_string_equal(buf_str(&r->record.text), "1:a; echo b|1:$(id)|1:*|1:|");
}

/* Opened without O_CLOEXEC on purpose: even those must not leak. */
static void test_a_child_has_the_descriptors_named_and_no_other(void **state)
{
    struct run *r = *state;
    int leaky = open("/dev/null", O_RDONLY); /* NOLINT(android-cloexec-open) */
    int low = fcntl(leaky, F_DUPFD, 40);
    int high = fcntl(leaky, F_DUPFD, 150);
    int a = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    int b = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    int fds[] = {b, a, leaky};

    r->req.fds = fds;
    r->req.n_fds = 3;
    (void)run_script(
        r, "for f in /proc/self/fd/*; do [ -e $f ] && echo ${f##*/} $(readlink $f); done");
    /* Sorted as names: a 150 would stand between 1 and 2, a 40 between 4 and 5. */
    assert_non_null(strstr(buf_str(&r->record.text), "]|1:2 pipe:"));
    assert_null(strstr(buf_str(&r->record.text), "|1:150 "));
    assert_true(
        text_ends(buf_str(&r->record.text), "|1:3 /etc/passwd|1:4 /etc/hostname|1:5 /dev/null|"));
    close(low);
    close(leaky);
    close(high);
    close(a);
    close(b);
}

/* Descriptor numbers that cross: what shall be 3 is 4, and the other way round. */
static void test_descriptors_that_cross_are_not_mixed_up(void **state)
{
    struct run *r = *state;
    int high[2] = {fcntl(open("/etc/passwd", O_RDONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, 200),
                   fcntl(open("/etc/group", O_RDONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, 200)};
    int saved[2] = {fcntl(3, F_DUPFD_CLOEXEC, 220), fcntl(4, F_DUPFD_CLOEXEC, 220)};
    int fds[] = {4, 3};

    assert_int_equal(dup3(high[0], 3, O_CLOEXEC), 3);
    assert_int_equal(dup3(high[1], 4, O_CLOEXEC), 4);
    r->req.fds = fds;
    r->req.n_fds = 2;
    assert_string_equal(run_script(r, "readlink /proc/self/fd/3; readlink /proc/self/fd/4"),
                        "1:/etc/group|1:/etc/passwd|");
    for (int i = 0; i < 2; i++) {
        if (saved[i] >= 0)
            assert_int_equal(dup3(saved[i], 3 + i, O_CLOEXEC), 3 + i);
        close(saved[i]);
        close(high[i]);
    }
}

static void test_a_child_starts_with_default_signals(void **state)
{
    struct run *r = *state;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    sigset_t mask;
    sigset_t old;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, &old);
    argv_push(&r->argv, "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL);
    run_argv(r);
    sigprocmask(SIG_SETMASK, &old, NULL);
    (void)signal(SIGPIPE, before);
    assert_string_equal(buf_str(&r->record.text),
                        "1:SigBlk:\t0000000000000000|1:SigIgn:\t0000000000000000|");
}

/* ---- what cannot be started ---- */

static void test_a_missing_program_is_an_error_and_not_an_exit_code(void **state)
{
    struct run *r = *state;
    struct error err = ERROR_INIT;

    argv_push(&r->argv, "kiln-no-such-program", NULL);
    assert_int_equal(process_run(&r->req, &r->end, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_string_equal(err.msg, "start kiln-no-such-program: No such file or directory");
    argv_release(&r->argv);
    argv_push(&r->argv, "/etc/passwd", NULL);
    assert_int_equal(process_run(&r->req, &r->end, &err), -1);
    assert_string_equal(err.msg, "start /etc/passwd: Permission denied");
}

static void test_no_program_at_all_is_refused(void **state)
{
    struct run *r = *state;
    struct error err = ERROR_INIT;

    assert_int_equal(process_run(&r->req, &r->end, &err), -1);
    argv_push(&r->argv, "true", NULL);
    r->env.failed = true;
    assert_int_equal(process_run(&r->req, &r->end, &err), -1);
}

static int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_runs_good_and_bad_leave_no_descriptor_and_no_zombie(void **state)
{
    struct run *r = *state;
    struct error err = ERROR_INIT;
    int before = count_fds();

    (void)run_script(r, "exit 1");
    argv_release(&r->argv);
    argv_push(&r->argv, "kiln-no-such-program", NULL);
    assert_int_equal(process_run(&r->req, &r->end, &err), -1);
    assert_int_equal(count_fds(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* ---- its life and ours ---- */

/* A middle process starts the child and is killed; the child is then reparented to us. */
static void test_a_child_dies_with_its_parent(void **state)
{
    int pipefd[2];
    int status;
    pid_t middle;
    pid_t child = 0;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
    middle = fork();
    if (middle == 0) {
        struct argv argv = ARGV_INIT;
        struct error err;
        struct process p;

        argv_push(&argv, "sleep", "100", NULL);
        if (process_start(&argv, NULL, NULL, 0, 2, &p, &err) < 0 ||
            write(pipefd[1], &p.pid, sizeof(p.pid)) != sizeof(p.pid))
            _exit(1);
        pause();
        _exit(0);
    }
    close(pipefd[1]);
    assert_int_equal(read(pipefd[0], &child, sizeof(child)), sizeof(child));
    close(pipefd[0]);
    assert_int_equal(kill(middle, SIGKILL), 0);
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void test_a_server_runs_until_it_is_stopped(void **state)
{
    struct run *r = *state;
    struct error err = ERROR_INIT;
    struct process p = {0};
    pid_t pid;

    assert_false(process_is_alive(&p));
    process_stop(&p, 0);
    argv_push(&r->argv, "sleep", "100", NULL);
    assert_int_equal(process_start(&r->argv, NULL, NULL, 0, 2, &p, &err), 0);
    pid = p.pid;
    assert_true(process_is_alive(&p));
    process_stop(&p, 5000);
    assert_false(process_is_alive(&p));
    assert_int_equal(kill(pid, 0), -1);
}

static void test_a_stubborn_server_is_killed_after_the_grace(void **state)
{
    struct run *r = *state;
    struct error err = ERROR_INIT;
    struct process p;
    int64_t start;
    int ready[2];
    char c;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    argv_push(&r->argv, "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done", NULL);
    assert_int_equal(process_start(&r->argv, &r->env, NULL, 0, ready[1], &p, &err), 0);
    assert_int_equal(read(ready[0], &c, 1), 1);
    start = clock_monotonic();
    process_stop(&p, 200);
    assert_in_range((clock_monotonic() - start) / NS_PER_MS, 200, SLOW_MS);
    close(ready[0]);
    close(ready[1]);
}

static void test_a_server_that_died_is_noticed(void **state)
{
    struct run *r = *state;
    struct error err = ERROR_INIT;
    struct process p;

    argv_push(&r->argv, "true", NULL);
    assert_int_equal(process_start(&r->argv, NULL, NULL, 0, 2, &p, &err), 0);
    for (int i = 0; i < 6000 && process_is_alive(&p); i++)
        (void)poll(NULL, 0, 10);
    assert_false(process_is_alive(&p));
    assert_int_equal(p.pid, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_exit_codes_come_through),
        TEST(test_a_killed_child_is_never_a_success),
        TEST(test_past_its_time_a_child_is_asked_to_end),
        TEST(test_a_child_that_will_not_end_is_killed_after_the_grace),
        TEST(test_without_a_grace_it_is_killed_at_once),
        TEST(test_the_whole_group_of_a_timed_out_child_is_killed),
        TEST(test_the_caller_is_told_once_that_a_child_is_killed),
        TEST(test_lines_come_with_their_stream),
        TEST(test_cr_and_crlf_end_lines_too),
        TEST(test_a_long_line_comes_in_pieces),
        TEST(test_bytes_that_are_no_text_come_through),
        TEST(test_output_is_handed_over_while_the_child_runs),
        TEST(test_more_output_than_a_pipe_holds_is_read_to_the_end),
        TEST(test_without_a_sink_output_is_dropped),
        TEST(test_a_grandchild_that_keeps_the_pipe_is_not_waited_for_longer_than_promised),
        TEST(test_the_environment_is_exactly_what_was_named),
        TEST(test_standard_input_is_empty_unless_given),
        TEST(test_words_are_never_read_by_a_shell),
        TEST(test_a_child_has_the_descriptors_named_and_no_other),
        TEST(test_descriptors_that_cross_are_not_mixed_up),
        TEST(test_a_child_starts_with_default_signals),
        TEST(test_a_missing_program_is_an_error_and_not_an_exit_code),
        TEST(test_no_program_at_all_is_refused),
        TEST(test_runs_good_and_bad_leave_no_descriptor_and_no_zombie),
        TEST(test_a_child_dies_with_its_parent),
        TEST(test_a_server_runs_until_it_is_stopped),
        TEST(test_a_stubborn_server_is_killed_after_the_grace),
        TEST(test_a_server_that_died_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
