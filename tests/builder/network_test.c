/* The way out by slirp4netns: other machines yes, this one no.
 *
 * Run by in_a_network_of_its_own, where "this machine" has the address 198.51.100.1 and another
 * one has 198.51.100.2, with a server on port 7777 that says "another machine" (RFC 5737). */
#include "machine.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_nat(void **state)
{
    struct machine *m;
    struct error err = ERROR_INIT;

    if (machine_start(state) < 0)
        return -1;
    m = *state;
    builder_free(m->b);
    m->config.egress = BUILDER_EGRESS_NAT;
    return builder_open(&m->config, &m->b, &err);
}

static int listen_everywhere(char port[8])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(port, 8, "%u", ntohs(in.sin_port));
    return fd;
}

static void test_a_run_reaches_another_machine(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN nc -w 5 198.51.100.2 7777 </dev/null\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_says(&a, "another machine");
    attempt_release(&a);
}

static void test_a_run_does_not_reach_this_machine_by_any_address(void **state)
{
    char port[8];
    CLEANUP_CLOSE int fd = listen_everywhere(port);
    char text[512];
    struct attempt a = {.images = ALPINE, .dockerfile = text};

    (void)snprintf(text, sizeof(text),
                   "FROM alpine:3.20\n"
                   "RUN for a in 127.0.0.1 10.0.2.2 198.51.100.1 0.0.0.0; do "
                   "nc -w 2 $a %s </dev/null && echo reached $a; done; true\n",
                   port);
    attempt_run(*state, &a);
    assert_built(&a);
    /* slirp4netns may accept on behalf of a server that it then cannot reach, so what counts is
     * whether our listener saw anybody */
    assert_int_equal(accept(fd, NULL, NULL), -1);
    attempt_release(&a);
}

static void test_metadata_services_are_refused_and_the_refusal_cannot_be_lifted(void **state)
{
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "RUN ip route | grep prohibit; ip route del 169.254.0.0/16; "
                                      "ip link set tap0 down; ip addr add 1.2.3.4/32 dev tap0; "
                                      "nc -w 2 169.254.169.254 7777 </dev/null && echo reached; "
                                      "ip route | grep -c prohibit\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_says(&a, "prohibit 169.254.0.0/16");
    assert_says(&a, "prohibit 198.51.100.1");
    assert_says(&a, "\n5\n");
    assert_does_not_say(&a, "\nreached");
    attempt_release(&a);
}

static void test_slirp4netns_ends_with_the_build(void **state)
{
    struct attempt a = {.images = ALPINE, .dockerfile = "FROM alpine:3.20\nRUN true\n"};

    attempt_run(*state, &a);
    assert_built(&a);
    assert_int_equal(process_of_ours("slirp4netns"), 0);
    attempt_release(&a);
}

static void kill_outer(struct attempt *a, const char *line)
{
    pid_t slirp;

    if (strcmp(line, "ready") != 0)
        return;
    slirp = process_of_ours("slirp4netns");
    assert_true(slirp > 0);
    (void)snprintf(a->self, 32, "/proc/%d", slirp);
    assert_int_equal(kill(parent_of(slirp), SIGKILL), 0);
}

static void test_slirp4netns_ends_when_the_build_is_killed(void **state)
{
    char slirp[32] = "";
    struct attempt a = {.images = ALPINE,
                        .dockerfile = "FROM alpine:3.20\nRUN echo ready; sleep 60\n",
                        .on_line = kill_outer,
                        .self = slirp};

    attempt_run(*state, &a);
    assert_outcome(&a, "build", BUILDER_KILLED);
    for (int i = 0; i < 100 && access(slirp, F_OK) == 0; i++)
        usleep(20000);
    assert_int_not_equal(access(slirp, F_OK), 0);
    attempt_release(&a);
}

static void keep_egress(void *self, const struct builder_finding *f)
{
    if (strcmp(f->subject, "egress") == 0)
        (void)snprintf(self, 300, "%d %s", (int)f->health, f->detail);
}

static void test_the_doctor_tries_the_way_out(void **state)
{
    const struct machine *m = *state;
    char egress[300] = "";
    struct error err = ERROR_INIT;

    assert_int_equal(builder_diagnose(m->b, keep_egress, egress, &err), 0);
    assert_string_equal(egress, "0 by slirp4netns, not to this machine's own addresses");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_reaches_another_machine),
        cmocka_unit_test(test_a_run_does_not_reach_this_machine_by_any_address),
        cmocka_unit_test(test_metadata_services_are_refused_and_the_refusal_cannot_be_lifted),
        cmocka_unit_test(test_slirp4netns_ends_with_the_build),
        cmocka_unit_test(test_slirp4netns_ends_when_the_build_is_killed),
        cmocka_unit_test(test_the_doctor_tries_the_way_out),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, open_nat, machine_stop);
}
