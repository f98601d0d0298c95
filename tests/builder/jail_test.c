/* The jail itself: what it shows, how its program's end is told, and that nothing outlives it. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"

/* A shell command in a jail, with all that it says. */
struct trial {
    struct jail_spec spec;
    struct jail_run run;
    struct jail_end end;
    struct process_sink sink;
    struct buf said;
    struct cancel cancel;
    void (*on_line)(struct trial *t);
    char marker[48]; /* in the command line of a process to look for */
};

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct trial *t = self;

    (void)stream;
    buf_add(&t->said, text, len);
    buf_addc(&t->said, '\n');
    if (t->on_line)
        t->on_line(t);
}

static void trial_init(struct trial *t, const struct machine *m, const char *command)
{
    struct error err = ERROR_INIT;

    *t =
        (struct trial){.spec = {.ids = m->b->ids, .net = JAIL_NET_NONE}, .said = BUF_INIT(1 << 20)};
    t->sink = (struct process_sink){keep_line, t};
    t->run = (struct jail_run){.spec = &t->spec,
                               .stdin_fd = -1,
                               .out_fd = -1,
                               .sink = &t->sink,
                               .cancel = &t->cancel,
                               .timeout_ms = 200000};
    t->spec.rights = JAIL_RIGHTS_MOUNT;
    (void)snprintf(t->marker, sizeof(t->marker), "77%d%d", getpid(), rand() % 100000);
    assert_int_equal(cancel_init(&t->cancel, &err), 0);
    jail_spec_add_base(&t->spec);
    argv_push(&t->spec.argv, "/bin/sh", "-c", command, "sh", t->marker, NULL);
    argv_push(&t->spec.env, "PATH=/usr/bin", "ONLY=this", NULL);
}

static void trial_run(struct trial *t)
{
    struct error err = ERROR_INIT;

    if (jail_run(&t->run, &t->end, &err) < 0)
        fail_msg("%s", err.msg);
}

static void trial_release(struct trial *t)
{
    jail_spec_release(&t->spec);
    buf_release(&t->said);
    cancel_release(&t->cancel);
}

static void run_command(void **state, const char *command, struct trial *t)
{
    trial_init(t, *state, command);
    trial_run(t);
}

/* ---- the end ---- */

static void test_exit_codes_and_signals_come_back_as_they_were(void **state)
{
    static const struct {
        const char *command;
        enum jail_how how;
        int code, signal;
    } cases[] = {
        {"exit 0", JAIL_EXITED, 0, 0},           {"exit 1", JAIL_EXITED, 1, 0},
        {"exit 137", JAIL_EXITED, 137, 0},       {"kill -9 $$", JAIL_SIGNALLED, -1, 9},
        {"kill -11 $$", JAIL_SIGNALLED, -1, 11}, {"kill -15 $$", JAIL_SIGNALLED, -1, 15},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trial t;

        run_command(state, cases[i].command, &t);
        assert_int_equal(t.end.how, cases[i].how);
        assert_int_equal(t.end.code, cases[i].code);
        assert_int_equal(t.end.signal, cases[i].signal);
        trial_release(&t);
    }
}

static void test_a_program_that_is_not_there_fails_and_says_so(void **state)
{
    struct trial t;

    trial_init(&t, *state, "");
    argv_release(&t.spec.argv);
    t.spec.argv = (struct argv)ARGV_INIT;
    argv_push(&t.spec.argv, "/usr/bin/no-such-program", NULL);
    trial_run(&t);
    assert_int_equal(t.end.code, 127);
    assert_true(buf_holds(&t.said, "start /usr/bin/no-such-program: No such file"));
    trial_release(&t);
}

static void test_a_bind_that_is_not_there_is_an_error_of_ours(void **state)
{
    struct trial t;
    struct error err = ERROR_INIT;

    trial_init(&t, *state, "true");
    jail_spec_add(&t.spec, JAIL_BIND, "x", "/no/such/directory");
    assert_int_equal(jail_run(&t.run, &t.end, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "/no/such/directory"));
    trial_release(&t);
}

static void test_orphans_are_reaped_and_end_with_the_program(void **state)
{
    struct trial t;

    run_command(
        state,
        "for i in 1 2 3; do (sleep 0 & ) ; done;"
        "for i in $(seq 600); do n=$(ps -o stat= -e | grep -c Z); [ $n = 0 ] && break; sleep 0.1; "
        "done; echo $n; (setsid sleep $1 >/dev/null 2>&1 </dev/null &); exit 5",
        &t);
    assert_int_equal(t.end.code, 5);
    assert_string_equal(buf_str(&t.said), "0\n");
    assert_int_equal(process_with(t.marker), 0);
    trial_release(&t);
}

static void test_a_time_limit_ends_everything_in_the_jail(void **state)
{
    struct trial t;

    trial_init(&t, *state,
               "trap '' TERM HUP INT; setsid sleep $1 >/dev/null 2>&1 </dev/null & sleep 60");
    t.run.timeout_ms = 700;
    trial_run(&t);
    assert_int_equal(t.end.how, JAIL_TIMED_OUT);
    assert_int_equal(process_with(t.marker), 0);
    trial_release(&t);
}

static void cancel_now(struct trial *t)
{
    cancel_throw(&t->cancel);
}

static void test_a_cancel_ends_everything_in_the_jail(void **state)
{
    struct trial t;

    trial_init(&t, *state, "sleep $1 & echo ready; wait");
    t.on_line = cancel_now;
    trial_run(&t);
    assert_int_equal(t.end.how, JAIL_CANCELLED);
    assert_int_equal(process_with(t.marker), 0);
    trial_release(&t);
}

static void test_a_program_with_grace_may_end_by_itself(void **state)
{
    struct trial t;
    int64_t start = clock_monotonic();

    trial_init(&t, *state, "trap 'echo bye; exit 0' TERM; echo ready; sleep 60 & wait");
    t.on_line = cancel_now;
    t.run.grace_ms = 100000;
    trial_run(&t);
    assert_int_equal(t.end.how, JAIL_CANCELLED);
    assert_string_equal(buf_str(&t.said), "ready\nbye\n");
    assert_true(clock_monotonic() - start < 50 * NS_PER_SEC);
    trial_release(&t);
}

static void test_grace_ends(void **state)
{
    struct trial t;
    int64_t start = clock_monotonic();

    trial_init(&t, *state, "trap 'echo no' TERM; echo ready; while :; do sleep $1 & wait; done");
    t.on_line = cancel_now;
    t.run.grace_ms = 300;
    trial_run(&t);
    assert_int_equal(t.end.how, JAIL_CANCELLED);
    assert_true(clock_monotonic() - start < 50 * NS_PER_SEC);
    assert_int_equal(process_with(t.marker), 0);
    trial_release(&t);
}

/* ---- killed from outside ---- */

static pid_t program_of(const struct trial *t)
{
    pid_t pid = process_with(t->marker);

    assert_true(pid > 0);
    while (parent_of(pid) > 1) { /* the topmost that has the marker */
        char path[64];
        CLEANUP(buf_release) struct buf words = BUF_INIT(65536);
        struct error err = ERROR_INIT;

        (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", parent_of(pid));
        assert_int_equal(fs_read_file(AT_FDCWD, path, &words, &err), 0);
        if (!buf_holds(&words, t->marker))
            break;
        pid = parent_of(pid);
    }
    return pid;
}

static void kill_program(struct trial *t)
{
    assert_int_equal(kill(program_of(t), SIGKILL), 0);
}

static void kill_init(struct trial *t)
{
    assert_int_equal(kill(parent_of(program_of(t)), SIGKILL), 0);
}

static void kill_outer(struct trial *t)
{
    assert_int_equal(kill(parent_of(parent_of(program_of(t))), SIGKILL), 0);
}

static void test_whoever_is_killed_from_outside_it_is_no_success(void **state)
{
    static const struct {
        void (*kill)(struct trial *t);
        enum jail_how how;
        int signal;
    } cases[] = {
        {kill_program, JAIL_SIGNALLED, 9},
        {kill_init, JAIL_LOST, 0},
        {kill_outer, JAIL_LOST, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trial t;

        trial_init(&t, *state, "sleep $1 & echo ready; sleep 30");
        t.on_line = cases[i].kill;
        trial_run(&t);
        assert_int_equal(t.end.how, cases[i].how);
        assert_int_equal(t.end.signal, cases[i].signal);
        assert_int_equal(t.end.code, -1);
        assert_true(processes_are_gone(t.marker));
        trial_release(&t);
    }
}

static void test_the_jail_dies_with_its_caller(void **state)
{
    struct trial t;
    pid_t caller;

    trial_init(&t, *state, "sleep $1 & sleep 60");
    caller = fork();
    if (caller == 0) {
        struct error err = ERROR_INIT;

        _exit(jail_run(&t.run, &t.end, &err) < 0);
    }
    for (int i = 0; i < 3000 && process_with(t.marker) == 0; i++)
        (void)poll(NULL, 0, 20);
    assert_true(process_with(t.marker) > 0);
    assert_int_equal(kill(caller, SIGKILL), 0);
    assert_int_equal(waitpid(caller, NULL, 0), caller);
    assert_true(processes_are_gone(t.marker));
    trial_release(&t);
}

/* ---- the view from inside ---- */

static void test_only_the_listed_tree_is_there(void **state)
{
    struct trial t;

    run_command(state, "ls -A /; echo --; ls -A /etc /run /tmp /sys /root /home 2>&1", &t);
    assert_int_equal(strncmp(buf_str(&t.said), "bin\ndev\netc\nlib\n", 16), 0);
    assert_false(buf_holds(&t.said, "\nhome\n"));
    assert_false(buf_holds(&t.said, "shadow"));
    assert_true(buf_holds(&t.said, "/home': No such file"));
    trial_release(&t);
}

static void test_the_tree_cannot_be_written_but_for_tmp_and_run(void **state)
{
    struct trial t;

    run_command(
        state,
        "for d in / /etc /usr /usr/bin /var /lib /sys/; do touch $d/x 2>/dev/null && echo $d;"
        "done; touch /tmp/x /run/x /dev/shm/x && echo fine",
        &t);
    /* /sys is an empty tmpfs of the jail's own */
    assert_string_equal(buf_str(&t.said), "/sys/\nfine\n");
    trial_release(&t);
}

static void test_only_the_jails_processes_are_seen(void **state)
{
    struct trial t;

    run_command(state, "ls -d /proc/[0-9]* | wc -l; readlink /proc/self; hostname", &t);
    assert_true(atoi(buf_str(&t.said)) <= 4);
    assert_true(buf_holds(&t.said, "\nlocalhost\n"));
    trial_release(&t);
}

static void test_no_descriptor_and_no_variable_is_inherited(void **state)
{
    struct trial t;
    CLEANUP_CLOSE int leak = open("/etc/passwd", O_RDONLY); /* not close-on-exec, on purpose */

    assert_true(leak >= 0);
    run_command(state, "ls /proc/self/fd | tr '\\n' ' '; echo; tr '\\0' '\\n' </proc/self/environ",
                &t);
    /* 3 is the directory that ls reads */
    assert_int_equal(strncmp(buf_str(&t.said), "0 1 2 3 \n", 9), 0);
    assert_true(buf_holds(&t.said, "ONLY=this\n"));
    assert_false(buf_holds(&t.said, "KILN_SOURCE"));
    trial_release(&t);
}

static void test_pid_1_cannot_be_looked_into(void **state)
{
    struct trial t;

    run_command(state,
                "for f in exe cwd root fd/4; do cat /proc/1/$f >/dev/null 2>&1 && echo $f;"
                "done; (: >/proc/1/mem) 2>/dev/null && echo mem; kill -9 1; echo alive",
                &t);
    assert_string_equal(buf_str(&t.said), "alive\n");
    trial_release(&t);
}

static void test_without_network_there_is_lo_alone(void **state)
{
    struct trial t;

    run_command(state, "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '", &t);
    assert_string_equal(buf_str(&t.said), "lo\n");
    trial_release(&t);
}

static void test_a_spare_network_has_lo_up_and_is_another(void **state)
{
    struct trial t;

    trial_init(&t, *state,
               "readlink /proc/self/ns/net >/tmp/own; nsenter --net=/run/spare sh -c '"
               "readlink /proc/self/ns/net | cmp -s - /tmp/own || echo another; "
               "ip -o link | wc -l; ip -o link show lo up | wc -l; "
               "ip link set lo down 2>/dev/null && echo lowered'; true");
    jail_spec_add(&t.spec, JAIL_LOOPBACK, "run/spare", "");
    trial_run(&t);
    assert_string_equal(buf_str(&t.said), "another\n1\n1\n");
    trial_release(&t);
}

static void test_cgroups_are_shown_from_the_jails_own_on_and_cannot_be_changed(void **state)
{
    struct trial t;

    trial_init(
        &t, *state,
        "cd /sys/fs/cgroup; test -e cgroup.procs && echo there; cat cgroup.procs | wc -l; "
        "mkdir made 2>/dev/null && echo made; echo 1 2>/dev/null >cgroup.procs && echo moved;"
        "grep -o ' / /sys/fs/cgroup ' /proc/self/mountinfo; true");
    jail_spec_add(&t.spec, JAIL_CGROUP, "sys/fs/cgroup", "");
    trial_run(&t);
    assert_true(buf_holds(&t.said, "there\n"));
    assert_true(buf_holds(&t.said, " / /sys/fs/cgroup \n"));
    assert_false(buf_holds(&t.said, "made"));
    assert_false(buf_holds(&t.said, "moved"));
    trial_release(&t);
}

static void test_root_in_the_jail_is_nobody_special_outside(void **state)
{
    const struct machine *m = *state;
    struct trial t;

    if (m->b->ids.users == JAIL_USERS_NONE)
        skip();
    run_command(state, "id -u; cat /proc/self/uid_map | tr -s ' '; grep CapBnd /proc/self/status",
                &t);
    assert_int_equal(strncmp(buf_str(&t.said), "0\n", 2), 0);
    assert_true(
        buf_holds(&t.said, m->b->ids.users == JAIL_USERS_DIRECT ? " 0 1000000 1\n" : " 0 "));
    assert_false(buf_holds(&t.said, " 0 0 "));
    trial_release(&t);
}

static void test_rights_are_cut_for_good(void **state)
{
    struct trial t;

    run_command(state, "grep -e CapBnd -e NoNewPrivs /proc/self/status", &t);
    /* jail_rights.c: chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap
     * net_bind_service sys_chroot sys_admin setfcap */
    assert_string_equal(buf_str(&t.said), "CapBnd:\t00000000802405ff\nNoNewPrivs:\t1\n");
    trial_release(&t);
}

static void test_a_secret_file_is_roots_alone(void **state)
{
    struct trial t;

    trial_init(&t, *state, "stat -c '%a %u' /run/auth.json; cat /run/auth.json; cat /etc/hosts");
    jail_spec_add(&t.spec, JAIL_SECRET, "run/auth.json", "{\"auths\":{}}\n");
    trial_run(&t);
    assert_true(buf_holds(&t.said, "600 0\n{\"auths\":{}}\n"));
    trial_release(&t);
}

static void test_a_directory_that_only_root_can_reach_can_be_bound(void **state)
{
    const struct machine *m = *state;
    struct trial t;
    char dir[128];
    struct error err = ERROR_INIT;

    (void)snprintf(dir, sizeof(dir), "%s/closed/inner", m->dir);
    assert_int_equal(fs_mkdirs(dir, 0700, &err), 0);
    assert_int_equal(builder_make_dir(m->b, dir, &err), 0);
    trial_init(&t, m, "echo x >/kiln/in/f && cat /kiln/in/f && ls -A /kiln");
    jail_spec_add(&t.spec, JAIL_BIND, "kiln/in", dir);
    trial_run(&t);
    assert_string_equal(buf_str(&t.said), "x\nin\n");
    trial_release(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes_and_signals_come_back_as_they_were),
        cmocka_unit_test(test_a_program_that_is_not_there_fails_and_says_so),
        cmocka_unit_test(test_a_bind_that_is_not_there_is_an_error_of_ours),
        cmocka_unit_test(test_orphans_are_reaped_and_end_with_the_program),
        cmocka_unit_test(test_a_time_limit_ends_everything_in_the_jail),
        cmocka_unit_test(test_a_cancel_ends_everything_in_the_jail),
        cmocka_unit_test(test_a_program_with_grace_may_end_by_itself),
        cmocka_unit_test(test_grace_ends),
        cmocka_unit_test(test_whoever_is_killed_from_outside_it_is_no_success),
        cmocka_unit_test(test_the_jail_dies_with_its_caller),
        cmocka_unit_test(test_only_the_listed_tree_is_there),
        cmocka_unit_test(test_the_tree_cannot_be_written_but_for_tmp_and_run),
        cmocka_unit_test(test_only_the_jails_processes_are_seen),
        cmocka_unit_test(test_no_descriptor_and_no_variable_is_inherited),
        cmocka_unit_test(test_pid_1_cannot_be_looked_into),
        cmocka_unit_test(test_without_network_there_is_lo_alone),
        cmocka_unit_test(test_a_spare_network_has_lo_up_and_is_another),
        cmocka_unit_test(test_cgroups_are_shown_from_the_jails_own_on_and_cannot_be_changed),
        cmocka_unit_test(test_root_in_the_jail_is_nobody_special_outside),
        cmocka_unit_test(test_rights_are_cut_for_good),
        cmocka_unit_test(test_a_secret_file_is_roots_alone),
        cmocka_unit_test(test_a_directory_that_only_root_can_reach_can_be_bound),
    };

    builder_jail_main(argc, argv, NULL);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
