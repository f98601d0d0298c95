/* What hostile images and commands have done to runc and its like, tried on a run.  The jail around
 * a run holds in any case (confinement_test); here the container is to hold by itself. */
#include "run_fixture.h"

#include <stdio.h>
#include <string.h>

static void assert_refused(void **state, const char *why, const char *const *words)
{
    struct ran r;

    ran_run(state, &r, words);
    assert_said(&r, "\ninput error: ");
    assert_said(&r, why);
    ASSERT_CLEAN(&r);
    ran_release(&r);
}
#define ASSERT_REFUSED(state, why, ...)                                                            \
    assert_refused(state, why, (const char *const[]){__VA_ARGS__, NULL})

/* ---- the tree's paths ---- */

/* CVE-2024-21626: a working directory that is a descriptor runc forgot to close. */
static void test_a_descriptor_of_runcs_is_no_working_directory(void **state)
{
    for (int fd = 3; fd < 12; fd++) {
        char cwd[64];
        char link[64];

        (void)snprintf(cwd, sizeof(cwd), "cwd=/proc/self/fd/%d", fd);
        (void)snprintf(link, sizeof(link), "link=/in:/proc/self/fd/%d", fd);
        ASSERT_REFUSED(state, "process \"/bin/sh -c pwd\"", "sh=pwd", cwd);
        ASSERT_REFUSED(state, "process \"/bin/sh -c pwd\"", "sh=pwd", "cwd=/in", link);
    }
}

static void test_a_command_has_three_descriptors(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=ls /proc/1/fd; true");
    assert_said(&r, "\n1 0\n1 1\n1 2\nexited 0\n");
    ran_release(&r);
}

/* CVE-2019-19921, CVE-2023-27561, CVE-2025-31133: whoever chooses where /proc and /dev are mounted
 * chooses what is masked, and with what. */
static void test_proc_sys_and_dev_are_directories_of_the_tree(void **state)
{
    ASSERT_REFUSED(state, "mount /proc: it is not a directory", "arg=id", "link=/proc:/scratch");
    ASSERT_REFUSED(state, "mount /sys: it is not a directory", "arg=id", "link=/sys:/scratch");
    ASSERT_REFUSED(state, "mount /dev: it is not a directory", "arg=id", "link=/dev:/scratch");
}

/* The same by a mount whose place is a link: it ends up below the real /dev and /proc. */
static void test_a_mount_by_way_of_a_link_does_not_hide_dev_or_proc(void **state)
{
    struct ran r;

    RAN(state, &r, "room=evil", "link=/../evil/null:/proc/sys/kernel/core_pattern",
        "link=/../evil/sys:/scratch", "link=/d:/dev", "bind=/work/evil:/d", "tmpfs=/d/pts",
        "sh=stat -c %t:%T /dev/null; ls /dev/pts; cat /proc/keys | wc -c; "
        "ls -d /proc/sys/kernel");
    assert_line(&r, "1 1:3");
    assert_line(&r, "1 ptmx");
    assert_line(&r, "1 0");
    assert_line(&r, "1 /proc/sys/kernel");
    assert_line(&r, "exited 0");
    ran_release(&r);
    ASSERT_REFUSED(state, "cannot be mounted", "arg=id", "room=evil", "link=/p:/proc",
                   "bind=/work/evil:/p");
}

static void test_a_mounts_place_is_looked_for_in_the_tree_only(void **state)
{
    struct ran r;

    RAN(state, &r, "room=a", "link=/esc:../../../../../../tmp", "bind=/work/a:/esc/made",
        "link=/abs:/run", "tmpfs=/abs/t", "link=/work/loop:/../work/bundle", "tmpfs=/work/loop",
        "sh=ls /tmp; ls /run; touch /tmp/made/f; ls /work");
    assert_line(&r, "1 made");
    assert_line(&r, "1 t");
    assert_line(&r, "1 bundle");
    ASSERT_CLEAN(&r);
    ran_release(&r);
    ASSERT_REFUSED(state, "make the mount point", "arg=id", "link=/a:/b", "link=/b:/a",
                   "tmpfs=/a/x");
}

/* CVE-2024-45310 and its kin: what is made for a mount is made in the tree and goes again. */
static void test_a_dangling_link_makes_nothing_outside(void **state)
{
    struct ran r;

    RAN(state, &r, "link=/etc/hosts:/../../../work/made", "link=/etc/hostname:../../../../made",
        "sh=ls /work / | grep made");
    assert_said(&r, "\n1 made\n1 made\n");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

/* ---- runc itself ---- */

/* CVE-2019-5736: a program that is runc's own binary. */
static void test_runcs_own_binary_is_not_to_be_written(void **state)
{
    struct ran r;

    RAN(state, &r, "put=/bin/me:755:#!/proc/self/exe\n", "arg=me");
    assert_not_said(&r, "\nexited 0");
    ran_release(&r);
    RAN(state, &r,
        "sh=readlink /proc/1/exe; (echo x >>/proc/1/exe) 2>/dev/null && echo written; true");
    assert_line(&r, "1 /bin/busybox");
    assert_no_line(&r, "1 written");
    ran_release(&r);
}

/* ---- the kernel's files ---- */

static void test_procs_dangerous_files_cannot_be_written_or_read(void **state)
{
    struct ran r;

    RAN(state, &r,
        "sh=for f in sys/kernel/hostname sys/kernel/core_pattern sys/vm/drop_caches sysrq-trigger "
        "irq/default_smp_affinity; do (echo 1 >/proc/$f) 2>/dev/null && echo written $f; done; "
        "for f in kcore keys timer_list interrupts; do "
        "[ \"$(head -c 1 /proc/$f 2>/dev/null | wc -c)\" = 0 ] || echo read $f; done; "
        "touch /sys/x 2>/dev/null && echo made; true");
    assert_not_said(&r, "\n1 ");
    assert_line(&r, "exited 0");
    ran_release(&r);
}

static bool kernel_gives_sysfs(void)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    const struct process_request req = {.argv = &argv, .stdin_fd = -1};
    const char *users = getenv("KILN_TEST_USERS");
    struct process_end end;
    struct error err = ERROR_INIT;

    argv_push(&argv, "unshare", "--user", "--map-root-user", "--net", "--mount", "mount", "-t",
              "sysfs", "-o", "ro", "sysfs", "/mnt", NULL);
    if (users && strcmp(users, "none") == 0)
        return false;
    assert_int_equal(process_run(&req, &end, &err), 0);
    return process_succeeded(&end);
}

static void test_sys_is_that_of_its_network_and_only_to_be_read(void **state)
{
    static const char *const networks[] = {"user=", "no-network="};

    for (size_t i = 0; i < 2; i++) {
        struct ran r;

        RAN(state, &r, networks[i],
            "sh=cd /sys; echo networks $(ls class/net 2>/dev/null); "
            "for f in $(find . -type f -perm -200 2>/dev/null | head -n 300); do "
            "(echo 1 >$f) 2>/dev/null && echo written $f; done; "
            "for d in firmware devices/virtual/dmi devices/virtual/powercap; do "
            "[ -z \"$(ls -A $d 2>/dev/null)\" ] || echo seen $d; done; "
            "mount -o remount,rw /sys 2>/dev/null && echo mounted; "
            "umount firmware 2>/dev/null && echo unmounted; true");
        assert_line(&r, kernel_gives_sysfs() ? "1 networks lo" : "1 networks");
        assert_not_said(&r, "\n1 written");
        assert_not_said(&r, "\n1 seen");
        assert_not_said(&r, "mounted");
        assert_line(&r, "exited 0");
        ran_release(&r);
    }
}

static void test_cgroups_are_not_to_be_seen(void **state)
{
    struct ran r;

    RAN(state, &r,
        "sh=grep cgroup /proc/self/mountinfo && echo seen; ls -A /sys/fs/cgroup 2>/dev/null; "
        "mkdir -p /scratch/c; mount -t cgroup2 x /scratch/c 2>/dev/null && echo seen; "
        "cat /proc/self/cgroup | grep -v '::\\?/\\|:/$' ; true");
    assert_not_said(&r, "\n1 ");
    ran_release(&r);
}

/* ---- powers ---- */

static void test_a_command_cannot_mount_make_devices_or_namespaces(void **state)
{
    static const char *const users[] = {"user=", "user=ann"};

    for (size_t i = 0; i < 2; i++) {
        struct ran r;

        RAN(state, &r, users[i],
            "sh=m() { \"$@\" 2>/dev/null && echo done \"$@\"; }; cd /tmp; mkdir m; "
            "m mount -t tmpfs x m; m mount -t proc x m; m mount --bind / m; "
            "m mount -o remount,rw /proc/sys; m umount /proc/sys; m umount /proc/keys; "
            "m umount /etc/hosts; m mknod d b 254 0; m mknod n c 1 3; m unshare -U true; "
            "m unshare -m true; m unshare -p true; m unshare -n true; m unshare -r true; "
            "m hostname evil; m ip link add d0 type dummy; m ip link set lo down; "
            "m ip route add 169.254.0.0/16 dev lo; m kill -9 0 -s 2; true");
        assert_not_said(&r, "\n1 done ");
        ran_release(&r);
    }
}

static void test_a_command_sees_its_own_processes_only(void **state)
{
    struct ran r;

    RAN(state, &r, "sh=cd /proc; echo processes [0-9]*; kill -9 -1; echo alive");
    assert_line(&r, "1 processes 1");
    assert_line(&r, "1 alive");
    assert_line(&r, "exited 0");
    ran_release(&r);
}

static void test_a_command_cannot_kill_its_way_out_by_many_processes(void **state)
{
    struct ran r;

    RAN(state, &r,
        "sh=i=0; while [ $i -lt 50 ]; do setsid sh -c 'setsid sleep 30 & sleep 30' & i=$((i+1)); "
        "done; echo ready; sleep 30",
        "cancel-at=ready");
    assert_line(&r, "cancelled");
    assert_line(&r, "processes 0");
    assert_line(&r, "bundle 0");
    ran_release(&r);
}

static void test_what_belongs_to_the_run_is_not_in_its_tree(void **state)
{
    struct ran r;

    RAN(state, &r, "file=/run/secrets/key:-1:-1:-1:hush", "env=TOKEN=whisper",
        "sh=ls -A /work; ls -A /kiln; find / -xdev -type f | grep -v "
        "'^/bin/\\|^/etc/\\|^/run/secrets'");
    assert_not_said(&r, "\n1 ");
    ASSERT_CLEAN(&r);
    ran_release(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_descriptor_of_runcs_is_no_working_directory),
        cmocka_unit_test(test_a_command_has_three_descriptors),
        cmocka_unit_test(test_sys_is_that_of_its_network_and_only_to_be_read),
        cmocka_unit_test(test_proc_sys_and_dev_are_directories_of_the_tree),
        cmocka_unit_test(test_a_mount_by_way_of_a_link_does_not_hide_dev_or_proc),
        cmocka_unit_test(test_a_mounts_place_is_looked_for_in_the_tree_only),
        cmocka_unit_test(test_a_dangling_link_makes_nothing_outside),
        cmocka_unit_test(test_runcs_own_binary_is_not_to_be_written),
        cmocka_unit_test(test_procs_dangerous_files_cannot_be_written_or_read),
        cmocka_unit_test(test_cgroups_are_not_to_be_seen),
        cmocka_unit_test(test_a_command_cannot_mount_make_devices_or_namespaces),
        cmocka_unit_test(test_a_command_sees_its_own_processes_only),
        cmocka_unit_test(test_a_command_cannot_kill_its_way_out_by_many_processes),
        cmocka_unit_test(test_what_belongs_to_the_run_is_not_in_its_tree),
    };

    builder_jail_main(argc, argv, run_fixture_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
