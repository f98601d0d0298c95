/* Commands in containers of their own: what they get, how they end, and what is left of them. */
#include "run_fixture.h"

#include <string.h>

/* ---- how it ends ---- */

static void test_output_comes_by_stream_and_the_exit_code_is_the_commands(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=echo out; echo err >&2; printf unfinished; exit 3");
    assert_line(&r, "1 out");
    assert_line(&r, "2 err");
    assert_line(&r, "1 unfinished");
    assert_line(&r, "exited 3");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_a_success_is_an_exit_with_zero(void **state)
{
    struct ran r;

    RAN(state, &r, "arg=true");
    assert_line(&r, "exited 0");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_words_that_only_look_like_runcs_are_the_commands(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=echo 'runc run failed: not so' >&2; echo 'exec x' >&2; exit 1");
    assert_line(&r, "2 runc run failed: not so");
    assert_line(&r, "2 exec x");
    assert_line(&r, "exited 1");
    ran_release(&r);
}

static void test_a_signal_is_told(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=sleep 9 & kill -SEGV $!; wait $!");
    assert_line(&r, "signalled 11 code 139");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_codes_beyond_signals_are_codes(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=exit 255");
    assert_line(&r, "exited 255");
    ran_release(&r);
    RAN(state, &r, "sh=exit 128");
    assert_line(&r, "exited 128");
    ran_release(&r);
}

static void test_a_cancel_ends_it_at_once_and_leaves_nothing(void **state)
{
    struct ran r;
    const char *ms;

    RAN(state, &r, "sh=setsid sleep 20 & echo ready; sleep 20; echo late", "cancel-at=ready");
    assert_line(&r, "cancelled");
    assert_not_said(&r, "late");
    ASSERT_CLEAN(&r);
    ms = strstr(buf_str(&r.said), "\nms ");
    assert_non_null(ms);
    assert_true(strtol(ms + 4, NULL, 10) < 4000);
    ran_release(&r);
}

static void test_what_runs_in_the_background_dies_with_the_command(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=setsid sleep 20 >/dev/null 2>&1 & sleep 20 & echo done");
    assert_line(&r, "1 done");
    assert_line(&r, "exited 0");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_a_tree_can_be_run_in_again(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=echo x >>/scratch/made; cat /scratch/made | wc -l", "again");
    assert_line(&r, "1 1");
    assert_line(&r, "1 2");
    ASSERT_CLEAN(&r, "/scratch", "/scratch/made");
    ran_release(&r);
}

static void test_two_run_at_the_same_time(void **state)
{
    struct ran r;

    RAN(state, &r, "room=met", "bind=/work/met:/met", "beside", "no-network",
        "sh=echo x >>/met/f; for i in $(seq 100); do [ $(wc -l </met/f) = 2 ] && exit 7; "
        "sleep 0.1; done");
    assert_line(&r, "exited 7");
    assert_line(&r, "beside exited 7");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

/* ---- what cannot be started ---- */

static void assert_not_started(void **state, const char *const *words, const char *why)
{
    struct ran r;

    ran_run(state, &r, words);
    assert_said(&r, "\ninput error: ");
    assert_said(&r, why);
    assert_not_said(&r, "\n2 ");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}
#define ASSERT_NOT_STARTED(state, why, ...)                                                        \
    assert_not_started(state, (const char *const[]){__VA_ARGS__, NULL}, why)

static void test_a_program_that_is_not_there_is_the_users_fault(void **state)
{
    ASSERT_NOT_STARTED(state,
                       "process \"nope --now\" did not complete successfully: exec: \"nope\": "
                       "executable file not found in $PATH",
                       "arg=nope", "arg=--now");
    ASSERT_NOT_STARTED(state, "exec: \"/no/pe\": stat /no/pe: no such file or directory",
                       "arg=/no/pe");
    ASSERT_NOT_STARTED(state, "exec: \"/etc/passwd\": permission denied", "arg=/etc/passwd");
}

static void test_a_program_that_the_kernel_refuses_fails_as_a_command(void **state)
{
    struct ran r;

    RAN(state, &r, "put=/bin/x:755:#!/no/pe\n", "arg=x");
    assert_line(&r, "2 exec /bin/x: no such file or directory");
    assert_line(&r, "exited 1");
    ran_release(&r);
    RAN(state, &r, "put=/bin/x:755:junk", "arg=x");
    assert_line(&r, "2 exec /bin/x: exec format error");
    assert_line(&r, "exited 1");
    ran_release(&r);
}

static void test_a_user_that_is_not_there_is_the_users_fault(void **state)
{
    ASSERT_NOT_STARTED(state, "unable to find user bob: no matching entries in passwd file",
                       "arg=id", "user=bob");
    ASSERT_NOT_STARTED(state, "unable to find group staff", "arg=id", "user=ann:staff");
}

static void test_bytes_that_are_no_text_are_the_users_fault(void **state)
{
    ASSERT_NOT_STARTED(state, "not UTF-8", "arg=id", "env=A=\xff");
    ASSERT_NOT_STARTED(state, "not UTF-8", "arg=\xc3(");
    ASSERT_NOT_STARTED(state, "not UTF-8", "arg=id", "cwd=/\xff");
    ASSERT_NOT_STARTED(state, "not UTF-8", "arg=id", "tmpfs=/\xff");
}

static void test_a_directory_that_cannot_be_entered_is_the_users_fault(void **state)
{
    ASSERT_NOT_STARTED(state, "not a directory", "arg=id", "cwd=/etc/passwd");
}

static void test_places_that_cannot_be_mounted_on_are_refused(void **state)
{
    static const char *const words[] = {"tmpfs=/",      "tmpfs=/proc",     "tmpfs=/proc/sys",
                                        "tmpfs=/sys",   "tmpfs=/dev",      "tmpfs=/dev/null",
                                        "tmpfs=/sys/a", "tmpfs=/dev/pipes"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ASSERT_NOT_STARTED(state, "cannot be mounted on", "arg=id", words[i]);
    ASSERT_NOT_STARTED(state, "/etc/passwd/x", "arg=id", "tmpfs=/etc/passwd/x");
}

/* ---- what it gets ---- */

static void test_the_environment_is_what_was_given_and_a_home(void **state)
{
    struct ran r;

    RAN(state, &r, "arg=env", "env=A=b c", "env=E=");
    assert_said(&r, "\n1 PATH=/bin\n1 A=b c\n1 E=\n1 HOME=/root\n");
    ran_release(&r);
    RAN(state, &r, "arg=env", "env=HOME=/else");
    assert_line(&r, "1 HOME=/else");
    assert_no_line(&r, "1 HOME=/root");
    ran_release(&r);
    RAN(state, &r, "arg=env", "user=ann");
    assert_line(&r, "1 HOME=/home/ann");
    ran_release(&r);
}

static void test_it_starts_in_its_directory(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=pwd", "cwd=/scratch");
    assert_line(&r, "1 /scratch");
    ran_release(&r);
    RAN(state, &r, "sh=pwd");
    assert_line(&r, "1 /");
    ran_release(&r);
}

static void test_it_runs_as_its_user_with_the_users_groups(void **state)
{
    struct ran r;

    RAN(state, &r, "arg=id", "user=ann");
    assert_line(&r, "1 uid=1000(ann) gid=1000(ann) groups=6(disk),10(wheel)");
    ran_release(&r);
    RAN(state, &r, "sh=id -u; id -g; id -G", "user=4321:7");
    assert_said(&r, "\n1 4321\n1 7\n1 7\n");
    ran_release(&r);
    RAN(state, &r, "sh=id -u; id -g; grep Cap /proc/self/status", "user=ann:wheel");
    assert_said(&r, "\n1 1000\n1 10\n");
    assert_line(&r, "1 CapEff:\t0000000000000000");
    assert_line(&r, "1 CapAmb:\t0000000000000000");
    ran_release(&r);
}

static void test_root_has_the_capabilities_of_a_docker_build_less_three(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=grep -E 'Cap|NoNew|Seccomp:' /proc/self/status");
    /* CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT
     * SETFCAP */
    assert_line(&r, "1 CapInh:\t0000000000000000");
    assert_line(&r, "1 CapPrm:\t00000000800405fb");
    assert_line(&r, "1 CapEff:\t00000000800405fb");
    assert_line(&r, "1 CapBnd:\t00000000800405fb");
    assert_line(&r, "1 NoNewPrivs:\t0");
    assert_line(&r, "1 Seccomp:\t2");
    ran_release(&r);
}

static void test_set_uid_programs_work(void **state)
{
    struct ran r;

    RAN(state, &r, "copy=/usr/bin/id:/bin/real-id:4755", "bind=/usr:/usr:ro", "link=/lib:usr/lib",
        "link=/lib64:usr/lib64", "user=ann", "sh=id -u; real-id -u");
    assert_said(&r, "\n1 1000\n1 0\n");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_limits_are_sane(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=ulimit -c; ulimit -Sn");
    assert_said(&r, "\n1 0\n1 1024\n");
    ran_release(&r);
}

static void test_devices_are_the_usual_ones(void **state)
{
    struct ran r;

    RAN(state, &r,
        "sh=echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; "
        "echo x >/dev/full || echo full; ls /dev | grep -v '^core$' | tr '\\n' ' '; echo; echo o "
        ">/dev/stdout; "
        "echo y >/dev/shm/y && cat /dev/shm/y; touch /dev/made && echo made");
    assert_said(&r, "\n1 4\n1 4\n");
    assert_line(&r, "1 full");
    assert_line(&r, "1 fd full mqueue null ptmx pts random shm stderr stdin stdout tty "
                    "urandom zero ");
    assert_line(&r, "1 o");
    assert_line(&r, "1 y");
    assert_line(&r, "1 made");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_the_network_files_are_there_and_cannot_be_written(void **state)
{
    struct ran r;

    RAN(state, &r,
        "sh=exec 2>/dev/null; cat /etc/hosts /etc/hostname; hostname; wc -c </etc/resolv.conf; "
        "(echo x >>/etc/hosts) || echo hosts no; (echo x >/etc/resolv.conf) || echo resolv no; "
        "touch "
        "/etc/new");
    assert_said(&r, "\n1 127.0.0.1 localhost\n1 ::1 localhost\n1 localhost\n1 localhost\n1 0\n");
    assert_line(&r, "1 hosts no");
    assert_line(&r, "1 resolv no");
    ASSERT_CLEAN(&r, "/etc", "/etc/new");
    ran_release(&r);
}

static void test_without_network_there_is_only_lo_and_it_is_up(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=ip link; readlink /proc/self/ns/net >/scratch/net; cat /etc/hosts",
        "no-network");
    assert_said(&r, "lo: <LOOPBACK,UP,LOWER_UP>");
    assert_not_said(&r, "\n1 2: ");
    assert_line(&r, "1 127.0.0.1 localhost");
    assert_line(&r, "exited 0");
    ran_release(&r);
}

/* ---- mounts ---- */

static void test_a_cache_is_written_through_and_a_bind_is_not(void **state)
{
    struct ran r;

    RAN(state, &r, "room=cache", "bind=/work/cache:/var/cache/x", "room=ro",
        "bind=/work/ro:/mnt/a:ro",
        "sh=echo x >>/var/cache/x/f; wc -l </var/cache/x/f; touch /mnt/a/f || echo no", "again");
    assert_said(&r, "\n1 1\n");
    assert_said(&r, "\n1 2\n");
    assert_line(&r, "1 no");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_mounts_lie_in_one_another_in_any_order(void **state)
{
    struct ran r;

    RAN(state, &r, "room=a", "room=b", "bind=/work/b:/m/x/b", "bind=/work/a:/m",
        "sh=touch /m/x/b/deep /m/flat; ls /m /m/x /m/x/b");
    assert_said(&r, "\n1 /m:\n1 flat\n1 x\n1 \n1 /m/x:\n1 b\n1 \n1 /m/x/b:\n1 deep\n");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_a_tmpfs_has_its_size(void **state)
{
    struct ran r;

    RAN(state, &r, "tmpfs=/t:65536", "tmpfs=/dev/shm:131072", "tmpfs=/u",
        "sh=dd if=/dev/zero of=/t/f bs=1k count=100 2>/dev/null || echo full; wc -c </t/f; "
        "stat -c %a /t; df -k /dev/shm | grep -c 128; touch /u/x && echo free");
    assert_said(&r, "\n1 full\n1 65536\n1 1777\n1 1\n1 free\n");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_a_secret_has_its_mode_and_owner_and_stays_out_of_the_tree(void **state)
{
    struct ran r;

    RAN(state, &r, "file=/run/secrets/key:-1:-1:-1:hush", "file=/opt/token:440:1000:10:quiet",
        "sh=stat -c '%a %u %g %n' /run/secrets/key /opt/token; cat /run/secrets/key; echo; "
        "cat /opt/token; echo; echo x >/opt/token || echo no");
    assert_line(&r, "1 400 0 0 /run/secrets/key");
    assert_said(&r, "\n1 hush\n1 quiet\n");
    ASSERT_CLEAN(&r);
    ran_release(&r);
    RAN(state, &r, "file=/opt/token:440:1000:10:quiet", "user=ann",
        "sh=stat -c '%a %u %g %n' /opt/token; cat /opt/token; echo; echo x >/opt/token || echo no");
    assert_line(&r, "1 440 1000 10 /opt/token");
    assert_line(&r, "1 quiet");
    assert_line(&r, "1 no");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_a_script_is_a_program_in_dev_pipes(void **state)
{
    struct ran r;

    RAN(state, &r,
        "script=EO F:#!/bin/sh\necho \"I am $0\"\nstat -c %a \"$0\"\nrm \"$0\" || exit 4\n",
        "arg=/dev/pipes/EO F", "user=ann");
    assert_said(&r, "\n1 I am /dev/pipes/EO F\n1 755\n");
    assert_line(&r, "exited 4");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_a_scripts_name_is_one_name(void **state)
{
    ASSERT_NOT_STARTED(state, "cannot be a file's name", "script=a/b:#!/bin/sh\n",
                       "arg=/dev/pipes/a/b");
    ASSERT_NOT_STARTED(state, "cannot be a file's name", "script=..:#!/bin/sh\n",
                       "arg=/dev/pipes/..");
}

/* ---- stubs ---- */

static void test_what_a_command_leaves_in_a_mount_points_parents_stays(void **state)
{
    struct ran r;

    RAN(state, &r, "file=/run/secrets/key:-1:-1:-1:hush", "tmpfs=/srv/deep/t",
        "sh=touch /run/secrets/mine; chmod 700 /srv/deep");
    ASSERT_CLEAN(&r, "/run/secrets", "/run/secrets/mine", "/srv", "/srv/deep");
    ran_release(&r);
}

static void test_what_was_there_before_stays(void **state)
{
    struct ran r;

    RAN(state, &r, "lower", "put=/etc/hosts:644:", "dir=/proc", "dir=/run/secrets",
        "file=/run/secrets/key:-1:-1:-1:hush", "arg=true", "again", "sh=true");
    assert_line(&r, "exited 0");
    ran_release(&r);
    RAN(state, &r, "put=/etc/hosts:644:", "dir=/proc", "dir=/run/secrets",
        "file=/run/secrets/key:-1:-1:-1:hush", "sh=ls /run/secrets");
    assert_line(&r, "1 key");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

static void test_a_mount_point_behind_a_link_is_made_where_it_leads(void **state)
{
    struct ran r;

    RAN(state, &r, "link=/etc/resolv.conf:../run/systemd/resolve.conf", "link=/l:/scratch/m",
        "tmpfs=/l/t", "sh=readlink /l; ls /scratch/m; cat /etc/resolv.conf && echo resolved");
    assert_said(&r, "\n1 /scratch/m\n1 t\n1 resolved\n");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_comes_by_stream_and_the_exit_code_is_the_commands),
        cmocka_unit_test(test_a_success_is_an_exit_with_zero),
        cmocka_unit_test(test_words_that_only_look_like_runcs_are_the_commands),
        cmocka_unit_test(test_a_signal_is_told),
        cmocka_unit_test(test_codes_beyond_signals_are_codes),
        cmocka_unit_test(test_a_cancel_ends_it_at_once_and_leaves_nothing),
        cmocka_unit_test(test_what_runs_in_the_background_dies_with_the_command),
        cmocka_unit_test(test_a_tree_can_be_run_in_again),
        cmocka_unit_test(test_two_run_at_the_same_time),
        cmocka_unit_test(test_a_program_that_is_not_there_is_the_users_fault),
        cmocka_unit_test(test_a_program_that_the_kernel_refuses_fails_as_a_command),
        cmocka_unit_test(test_a_user_that_is_not_there_is_the_users_fault),
        cmocka_unit_test(test_bytes_that_are_no_text_are_the_users_fault),
        cmocka_unit_test(test_a_directory_that_cannot_be_entered_is_the_users_fault),
        cmocka_unit_test(test_places_that_cannot_be_mounted_on_are_refused),
        cmocka_unit_test(test_the_environment_is_what_was_given_and_a_home),
        cmocka_unit_test(test_it_starts_in_its_directory),
        cmocka_unit_test(test_it_runs_as_its_user_with_the_users_groups),
        cmocka_unit_test(test_root_has_the_capabilities_of_a_docker_build_less_three),
        cmocka_unit_test(test_set_uid_programs_work),
        cmocka_unit_test(test_limits_are_sane),
        cmocka_unit_test(test_devices_are_the_usual_ones),
        cmocka_unit_test(test_the_network_files_are_there_and_cannot_be_written),
        cmocka_unit_test(test_without_network_there_is_only_lo_and_it_is_up),
        cmocka_unit_test(test_a_cache_is_written_through_and_a_bind_is_not),
        cmocka_unit_test(test_mounts_lie_in_one_another_in_any_order),
        cmocka_unit_test(test_a_tmpfs_has_its_size),
        cmocka_unit_test(test_a_secret_has_its_mode_and_owner_and_stays_out_of_the_tree),
        cmocka_unit_test(test_a_script_is_a_program_in_dev_pipes),
        cmocka_unit_test(test_a_scripts_name_is_one_name),
        cmocka_unit_test(test_what_a_command_leaves_in_a_mount_points_parents_stays),
        cmocka_unit_test(test_what_was_there_before_stays),
        cmocka_unit_test(test_a_mount_point_behind_a_link_is_made_where_it_leads),
    };

    builder_jail_main(argc, argv, run_fixture_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
