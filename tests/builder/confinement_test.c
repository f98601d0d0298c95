/* What a hostile Dockerfile, context or base image tries: none of it gets out of the jail. */
#include "machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define CANARY "the-hosts-own-secret-7261"

/* A file of the host's that a build must not read, and a directory that it must not write. */
struct target {
    char file[128];
    char dir[128];
};

static void target_init(struct target *t, const struct machine *m)
{
    struct error err = ERROR_INIT;

    (void)snprintf(t->dir, sizeof(t->dir), "%s/host", m->dir);
    (void)snprintf(t->file, sizeof(t->file), "%s/host/canary", m->dir);
    assert_int_equal(fs_mkdirs(t->dir, 0777, &err), 0);
    assert_int_equal(chmod(t->dir, 0777), 0);
    assert_int_equal(fs_write_file(AT_FDCWD, t->file, CANARY, strlen(CANARY), 0666, &err), 0);
    assert_int_equal(chmod(t->file, 0666), 0);
}

/* Runs the Dockerfile (with %s for the host's directory, up to four times); whether it builds or
 * not, the canary stays unread and alone. */
static void attack(const struct machine *m, const char *const *links, const char *const *files,
                   const char *format, struct attempt *ret)
{
    struct target t;
    char text[4096];

    target_init(&t, m);
    (void)snprintf(text, sizeof(text), format, t.dir, t.dir, t.dir, t.dir);
    *ret = (struct attempt){.images = ALPINE, .dockerfile = text, .links = links, .files = files};
    attempt_run(m, ret);
    if (ret->result < 0)
        fail_msg("%s", ret->err.msg);
    assert_string_equal(ret->at, "build");
    assert_does_not_say(ret, CANARY);
    assert_int_equal(count_entries(t.dir), 1);
}

/* CVE-2024-9675 */
static void test_a_cache_mount_cannot_leave_its_directory_for_the_host(void **state)
{
    static const char *const ids[] = {"../../..", "../../../../../../../../..", "/"};

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct attempt a;
        char format[512];

        (void)snprintf(format, sizeof(format),
                       "FROM alpine:3.20\nRUN --mount=type=cache,target=/h,id=%s "
                       "cat /h%%s/canary; echo x >/h%%s/out; "
                       "cat /h/etc/shadow /h/../../etc/shadow; true\n",
                       ids[i]);
        attack(*state, NULL, NULL, format, &a);
        assert_does_not_say(&a, "root:*");
        assert_does_not_say(&a, "root:!");
        attempt_release(&a);
    }
}

static void test_a_bind_mount_through_a_link_of_the_context_shows_the_jail(void **state)
{
    static const char *const links[] = {"link", "/", "up", "../../../..", NULL};
    struct attempt a;

    attack(*state, links, NULL,
           "FROM alpine:3.20\n"
           "RUN --mount=type=bind,source=link,target=/h,rw cat /h%s/canary; echo x >/h%s/out; "
           "ls /h; true\n",
           &a);
    attempt_release(&a);
    attack(*state, links, NULL,
           "FROM alpine:3.20\n"
           "RUN --mount=type=bind,source=up,target=/h,rw cat /h%s/canary; echo x >/h%s/out; true\n",
           &a);
    attempt_release(&a);
}

static void test_a_bind_mount_through_a_link_of_a_stage_shows_the_jail(void **state)
{
    struct attempt a;

    attack(*state, NULL, NULL,
           "FROM alpine:3.20 AS a\nRUN ln -s / /root-link && ln -s ../../../../.. /up\n"
           "FROM alpine:3.20\n"
           "RUN --mount=type=bind,from=a,source=/root-link,target=/h,rw cat /h%s/canary; "
           "echo x >/h%s/out; true\n"
           "RUN --mount=type=bind,from=a,source=/up,target=/h,rw cat /h%s/canary; "
           "echo x >/h%s/out; true\n",
           &a);
    attempt_release(&a);
}

/* CVE-2024-1753: the link is in an image, which the mount is of. */
static void test_a_mount_of_an_image_with_links_shows_the_jail(void **state)
{
    const struct machine *m = *state;
    struct attempt made = {.workspace = "links",
                           .images = ALPINE,
                           .dockerfile =
                               "FROM alpine:3.20\nRUN ln -s / /cwd && ln -s ../../../.. /up\n",
                           .push_to = "links/evil/image"};
    struct target t;
    struct attempt a = {.workspace = "links"};
    char image[128], images[256], text[2048];

    attempt_run(m, &made);
    assert_built(&made);
    target_init(&t, m);
    (void)snprintf(image, sizeof(image), "%s/links/evil/image:latest", m->address);
    (void)snprintf(images, sizeof(images), ALPINE " %s", image);
    (void)snprintf(text, sizeof(text),
                   "FROM alpine:3.20\n"
                   "RUN --mount=type=bind,from=%s,source=/cwd,target=/h,rw "
                   "cat /h%s/canary; echo x >/h%s/out; true\n"
                   "RUN --mount=type=cache,from=%s,source=/up,target=/h "
                   "cat /h%s/canary; echo x >/h%s/out; true\n",
                   image, t.dir, t.dir, image, t.dir, t.dir);
    a.images = images;
    a.dockerfile = text;
    attempt_run(m, &a);
    assert_built(&a);
    assert_does_not_say(&a, CANARY);
    assert_int_equal(count_entries(t.dir), 1);
    attempt_release(&made);
    attempt_release(&a);
}

/* CVE-2024-9407: how mounts reach others is not for a Dockerfile to say. */
static void test_the_propagation_of_a_mount_cannot_be_asked_for(void **state)
{
    static const char *const asked[] = {"bind-propagation=rshared", "z", "tmpcopyup"};

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        char text[256];
        struct attempt a = {.images = ALPINE, .dockerfile = text};

        (void)snprintf(text, sizeof(text),
                       "FROM alpine:3.20\nRUN --mount=type=bind,target=/h,%s true\n", asked[i]);
        attempt_run(*state, &a);
        assert_string_equal(a.at, "build");
        assert_int_equal(a.result, -1);
        assert_int_equal(a.err.kind, ERR_INPUT);
        attempt_release(&a);
    }
}

/* CVE-2024-11218: a stage changes what another one, which runs beside it, is mounting on.  Followed
 * in the jail and not in the tree, the link would lead to the workspace's cache mounts. */
static void test_a_mount_point_that_another_stage_swaps_leads_nowhere_else(void **state)
{
    const struct machine *m = *state;
    struct attempt a = {.workspace = "swap", .images = ALPINE};
    char text[4096], path[PATH_MAX];

    (void)snprintf(
        text, sizeof(text),
        "FROM alpine:3.20 AS swap\n"
        "RUN --mount=type=cache,id=c,target=/c for i in $(seq 400); do "
        "rm -rf /c/d && ln -s /kiln/cache/mounts /c/d; rm -f /c/d && mkdir -p /c/d; done; "
        "touch /swapped\n"
        "FROM alpine:3.20 AS mount\n");
    for (int i = 0; i < 8; i++) {
        const size_t n = strlen(text);

        (void)snprintf(text + n, sizeof(text) - n,
                       "RUN --mount=type=cache,id=c,target=/c "
                       "--mount=type=tmpfs,target=/c/d/m%d echo x >/c/d/m%d/out; true\n",
                       i, i);
    }
    (void)snprintf(
        text + strlen(text), sizeof(text) - strlen(text),
        "FROM alpine:3.20\nCOPY --from=swap /swapped /\nCOPY --from=mount /etc/passwd /x\n");
    a.dockerfile = text;
    attempt_run(m, &a); /* a mount whose place is gone fails, and that is all */
    assert_string_equal(a.at, "build");
    (void)snprintf(path, sizeof(path), "%s/cache/swap/mounts", m->config.dir);
    assert_int_equal(count_entries(path), 1);
    attempt_release(&a);
}

static void test_links_in_the_context_are_not_followed_out_of_it_by_copy(void **state)
{
    const struct machine *m = *state;
    struct target t;
    struct attempt a;
    const char *links[] = {"leak", t.file, "leakdir", t.dir, NULL};

    target_init(&t, m);
    attack(m, links, NULL, "FROM alpine:3.20\nCOPY leak /leak\nRUN cat /leak\n", &a);
    attempt_release(&a);
    attack(m, links, NULL, "FROM alpine:3.20\nCOPY leakdir /leak/\nRUN cat /leak/*\n", &a);
    attempt_release(&a);
    attack(m, links, NULL, "FROM alpine:3.20\nADD leakdir/canary /leak\nRUN cat /leak\n", &a);
    attempt_release(&a);
}

static void test_transports_other_than_registries_are_refused(void **state)
{
    static const char *const froms[] = {"oci-archive:/context/image.tar",
                                        "docker-archive:/context/image.tar",
                                        "dir:/context/image",
                                        "oci:/context/image",
                                        "docker-daemon:alpine:latest",
                                        "containers-storage:[overlay@/kiln/bases]alpine:3.20"};

    for (size_t i = 0; i < sizeof(froms) / sizeof(froms[0]); i++) {
        static const char *const files[] = {
            "image/version",
            "Directory Transport Version: 1.1\n",
            "image/manifest.json",
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+"
            "json\",\"config\":{\"mediaType\":\"application/vnd.docker.container.image.v1+json\","
            "\"size\":2,\"digest\":\"sha256:"
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"},\"layers\":[]}",
            "image/44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "{}",
            NULL};
        char text[256];
        struct attempt a = {.images = ALPINE, .files = files, .dockerfile = text};

        (void)snprintf(text, sizeof(text), "FROM %s\nLABEL a=b\n", froms[i]);
        attempt_run(*state, &a);
        assert_string_equal(a.at, "build");
        assert_int_equal(a.result, -1);
        assert_int_equal(a.err.kind, ERR_INPUT);
        attempt_release(&a);
    }
}

static void test_a_run_sees_no_process_but_its_builds(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nRUN ps -o pid,args; "
                                      "[ $(ls -d /proc/[0-9]* | wc -l) -lt 12 ]\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_does_not_say(&a, "docker-registry");
    attempt_release(&a);
}

static void test_a_run_has_no_descriptor_of_ours(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nRUN ls -l /proc/self/fd | cat\n"};
    CLEANUP_CLOSE int leak = open("/etc/passwd", O_RDONLY); /* not close-on-exec, on purpose */

    assert_true(leak >= 0);
    attempt_run(*state, &a);
    assert_built(&a);
    assert_does_not_say(&a, "passwd");
    assert_does_not_say(&a, "jail-spec");
    assert_does_not_say(&a, "jail-verdict");
    assert_does_not_say(&a, "socket:");
    attempt_release(&a);
}

/* ---- the network ---- */

static int listen_on_loopback(char port[8])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(port, 8, "%u", ntohs(in.sin_port));
    return fd;
}

static void test_a_run_does_not_reach_the_hosts_loopback(void **state)
{
    char port[8];
    CLEANUP_CLOSE int fd = listen_on_loopback(port);
    char text[512];
    struct attempt a = {.images = ALPINE, .dockerfile = text};

    (void)snprintf(text, sizeof(text),
                   "FROM alpine:3.20\n"
                   "RUN for a in 127.0.0.1 10.0.2.2 0.0.0.0 ::1; do "
                   "echo hi | nc -w 2 $a %s && echo reached $a; done; cat /proc/net/unix; true\n",
                   port);
    attempt_run(*state, &a);
    assert_built(&a);
    assert_does_not_say(&a, "reached 1");
    assert_does_not_say(&a, "reached 0");
    assert_does_not_say(&a, "reached ::");
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_does_not_say(&a, "@"); /* no abstract socket of the host's */
    attempt_release(&a);
}

/* ---- other builds ---- */

static void test_a_run_does_not_see_other_jobs_or_the_host(void **state)
{
    const struct machine *m = *state;
    struct builder_job *other;
    struct error err = ERROR_INIT;
    struct attempt a = {.images = ALPINE,
                        .dockerfile =
                            "FROM alpine:3.20\n"
                            "RUN find / -xdev -name 'victims-*' | grep . && echo found; "
                            "cat /proc/1/root/context/* /proc/2/root/context/* /proc/2/cwd/*; "
                            "ls /kiln /context /var/tmp/kiln-builder* && echo seen; true\n"};
    char path[2 * PATH_MAX];

    assert_int_equal(builder_job_begin(m->b, "other", "victim", &other, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/victims-file", other->context);
    assert_int_equal(fs_write_file(AT_FDCWD, path, CANARY, strlen(CANARY), 0644, &err), 0);
    attempt_run(m, &a);
    builder_job_end(other);
    assert_built(&a);
    assert_does_not_say(&a, CANARY);
    assert_does_not_say(&a, "\nfound");
    assert_does_not_say(&a, "\nseen");
    attempt_release(&a);
}

static void test_a_build_cannot_change_the_bases_of_its_workspace(void **state)
{
    const struct machine *m = *state;
    /* a cache mount whose name is a path to the jail's own root, from where /kiln/bases is seen */
    struct attempt a = {.workspace = "poison",
                        .images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN --mount=type=cache,target=/h,id=../../.. "
                                      "ls /h/kiln/bases && touch /h/kiln/bases/evil && "
                                      "echo poisoned; true\n"};

    attempt_run(m, &a);
    assert_built(&a);
    assert_says(&a, "/h/kiln/bases: No such file or directory");
    assert_does_not_say(&a, "\npoisoned");
    attempt_release(&a);
}

/* ---- powers ---- */

static void test_a_run_cannot_mount_make_devices_or_load_modules(void **state)
{
    struct attempt a = {
        .images = ALPINE,
        .dockerfile = "FROM alpine:3.20\nRUN mkdir /m; "
                      "mount -t tmpfs x /m && echo mounted; mount -t proc x /m && echo mounted; "
                      "mount --bind / /m && echo mounted; mknod /d b 254 0 && echo made; "
                      "unshare -U true && echo unshared; chroot / true; "
                      "insmod /x; echo 1 >/proc/sys/kernel/panic && echo written; "
                      "echo b >/proc/sysrq-trigger && echo written; "
                      "ip link add d0 type dummy && echo linked; "
                      "hostname evil && echo named; dmesg -c >/dev/null && echo read; true\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_does_not_say(&a, "\nmounted");
    assert_does_not_say(&a, "\nmade");
    assert_does_not_say(&a, "\nunshared");
    assert_does_not_say(&a, "\nwritten");
    assert_does_not_say(&a, "\nlinked");
    assert_does_not_say(&a, "\nnamed");
    attempt_release(&a);
}

static void test_a_run_sees_neither_kiln_nor_runc(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN readlink /proc/[0-9]*/exe; cat /proc/[0-9]*/cmdline; "
                                      "ls /kiln /usr/sbin/runc; echo; echo end\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_says(&a, "/bin/sh\n");
    assert_says(&a, "end\n");
    assert_does_not_say(&a, "builder-jail");
    assert_does_not_say(&a, "kiln\n");
    assert_does_not_say(&a, "runc\n");
    attempt_release(&a);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cache_mount_cannot_leave_its_directory_for_the_host),
        cmocka_unit_test(test_a_bind_mount_through_a_link_of_the_context_shows_the_jail),
        cmocka_unit_test(test_a_bind_mount_through_a_link_of_a_stage_shows_the_jail),
        cmocka_unit_test(test_a_mount_of_an_image_with_links_shows_the_jail),
        cmocka_unit_test(test_the_propagation_of_a_mount_cannot_be_asked_for),
        cmocka_unit_test(test_a_mount_point_that_another_stage_swaps_leads_nowhere_else),
        cmocka_unit_test(test_links_in_the_context_are_not_followed_out_of_it_by_copy),
        cmocka_unit_test(test_transports_other_than_registries_are_refused),
        cmocka_unit_test(test_a_run_sees_no_process_but_its_builds),
        cmocka_unit_test(test_a_run_has_no_descriptor_of_ours),
        cmocka_unit_test(test_a_run_does_not_reach_the_hosts_loopback),
        cmocka_unit_test(test_a_run_does_not_see_other_jobs_or_the_host),
        cmocka_unit_test(test_a_build_cannot_change_the_bases_of_its_workspace),
        cmocka_unit_test(test_a_run_cannot_mount_make_devices_or_load_modules),
        cmocka_unit_test(test_a_run_sees_neither_kiln_nor_runc),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
