/* The way out by slirp4netns: other machines yes, this one no.
 *
 * Run by in_a_network_of_its_own, where "this machine" has the address 198.51.100.1 and another
 * one has 198.51.100.2 and .3 (RFC 5737), and 10.77.0.2 of a private network, with a server on port
 * 7777 that says "another machine". */
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
    assert_says(&a, "prohibit 10.0.0.0/8");
    assert_says(&a, "\n10\n");
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
    for (int i = 0; i < 3000 && access(slirp, F_OK) == 0; i++)
        usleep(20000);
    assert_int_not_equal(access(slirp, F_OK), 0);
    attempt_release(&a);
}

/* ---- what is allowed ---- */

#define TRY_ALL                                                                                    \
    "FROM alpine:3.20\n"                                                                           \
    "RUN for a in 198.51.100.1 198.51.100.2 198.51.100.3 10.77.0.2 169.254.169.254 "               \
    "another.example "                                                                             \
    "this.example; do echo \"$a: $(nc -w 2 $a 7777 </dev/null 2>&1)\"; done; "                     \
    "ip -6 route show default; cat /etc/resolv.conf; true\n"

/* Opens the builder anew and tries every address. */
static void try_all(const struct machine *m, enum builder_egress egress, const char *allow,
                    struct attempt *a)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP_FREE char *copy = strdup(allow);
    char *rest = copy;
    struct machine other = *m;
    struct error err = ERROR_INIT;

    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
        if (*word)
            argv_push1(&words, word);
    other.config.egress = egress;
    other.config.egress_allow = &words;
    assert_int_equal(builder_open_as(&other.config, m->b->ids.users, &other.b, &err), 0);
    *a = (struct attempt){.images = ALPINE, .dockerfile = TRY_ALL};
    attempt_run(&other, a);
    assert_built(a);
    builder_free(other.b);
}

static void test_private_networks_are_refused_unless_they_are_allowed(void **state)
{
    struct attempt a;

    try_all(*state, BUILDER_EGRESS_NAT, "", &a);
    assert_says(&a, "\nnameserver 10.0.2.3\n");
    assert_says(&a, "\n198.51.100.2: another machine\n");
    assert_says(&a, "\n198.51.100.3: another machine\n");
    assert_does_not_say(&a, "10.77.0.2: another");
    attempt_release(&a);
    try_all(*state, BUILDER_EGRESS_NAT, "10.77.0.0/24 169.254.169.254 198.51.100.1", &a);
    assert_says(&a, "\n10.77.0.2: another machine\n");
    assert_says(&a, "\n198.51.100.3: another machine\n");
    assert_does_not_say(&a, "198.51.100.1: another");
    assert_does_not_say(&a, "169.254.169.254: another");
    attempt_release(&a);
}

static void test_with_a_list_only_its_networks_are_reached(void **state)
{
    struct attempt a;

    try_all(*state, BUILDER_EGRESS_LIST, "198.51.100.3 10.77.0.0/30", &a);
    assert_says(&a, "\n198.51.100.3: another machine\n");
    assert_says(&a, "\n10.77.0.2: another machine\n");
    assert_does_not_say(&a, "198.51.100.2: another");
    assert_does_not_say(&a, "example: another");
    assert_does_not_say(&a, "nameserver 10.0.2.3");
    attempt_release(&a);
}

/* The server is on port 7777 of every address. */
static void test_ports_are_told_apart(void **state)
{
    struct attempt a;

    try_all(*state, BUILDER_EGRESS_LIST,
            "198.51.100.2:7776-7778 198.51.100.3:7778-7779 10.77.0.0/24:7777", &a);
    assert_says(&a, "\n198.51.100.2: another machine\n");
    assert_says(&a, "\n10.77.0.2: another machine\n");
    assert_does_not_say(&a, "198.51.100.3: another");
    attempt_release(&a);
    try_all(*state, BUILDER_EGRESS_NAT, "10.77.0.2:80", &a);
    assert_does_not_say(&a, "10.77.0.2: another");
    attempt_release(&a);
    try_all(*state, BUILDER_EGRESS_LIST, "another.example:7777 0.0.0.0/0:7778", &a);
    assert_says(&a, "\nanother.example: another machine\n");
    assert_does_not_say(&a, "198.51.100.3: another");
    attempt_release(&a);
    /* A port opens this machine no more than a network does. */
    try_all(*state, BUILDER_EGRESS_LIST, "0.0.0.0/0:7777", &a);
    assert_says(&a, "\n198.51.100.3: another machine\n");
    assert_does_not_say(&a, "198.51.100.1: another");
    assert_does_not_say(&a, "169.254.169.254: another");
    attempt_release(&a);
}

static void test_an_empty_list_reaches_nothing(void **state)
{
    struct attempt a;

    try_all(*state, BUILDER_EGRESS_LIST, "", &a);
    assert_does_not_say(&a, ": another");
    attempt_release(&a);
}

static void test_a_name_on_the_list_is_known_and_reached(void **state)
{
    struct attempt a;

    try_all(*state, BUILDER_EGRESS_LIST, "another.example this.example unknown.invalid", &a);
    assert_says(&a, "\nanother.example: another machine\n");
    assert_says(&a, "\n198.51.100.2: another machine\n");
    assert_does_not_say(&a, "198.51.100.3: another");
    assert_says(&a, "network: this.example has an address that is not allowed");
    assert_says(&a, "network: unknown.invalid cannot be reached");
    attempt_release(&a);
}

static void test_a_list_of_everything_still_leaves_this_machine_out(void **state)
{
    struct attempt a;

    try_all(*state, BUILDER_EGRESS_LIST, "0.0.0.0/0", &a);
    assert_says(&a, "\n198.51.100.3: another machine\n");
    assert_does_not_say(&a, "198.51.100.1: another");
    assert_does_not_say(&a, "169.254.169.254: another");
    attempt_release(&a);
}

static void test_ipv6_has_no_way_out(void **state)
{
    struct attempt a;

    try_all(*state, BUILDER_EGRESS_NAT, "", &a);
    assert_says(&a, "\nprohibit default");
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
    assert_string_equal(egress,
                        "0 by slirp4netns, not to this machine's own addresses nor to private "
                        "networks");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_reaches_another_machine),
        cmocka_unit_test(test_a_run_does_not_reach_this_machine_by_any_address),
        cmocka_unit_test(test_metadata_services_are_refused_and_the_refusal_cannot_be_lifted),
        cmocka_unit_test(test_slirp4netns_ends_with_the_build),
        cmocka_unit_test(test_slirp4netns_ends_when_the_build_is_killed),
        cmocka_unit_test(test_private_networks_are_refused_unless_they_are_allowed),
        cmocka_unit_test(test_with_a_list_only_its_networks_are_reached),
        cmocka_unit_test(test_ports_are_told_apart),
        cmocka_unit_test(test_an_empty_list_reaches_nothing),
        cmocka_unit_test(test_a_name_on_the_list_is_known_and_reached),
        cmocka_unit_test(test_a_list_of_everything_still_leaves_this_machine_out),
        cmocka_unit_test(test_ipv6_has_no_way_out),
        cmocka_unit_test(test_the_doctor_tries_the_way_out),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, open_nat, machine_stop);
}
