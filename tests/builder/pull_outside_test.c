/* Pulls from registries that users name: on other machines, some of which break off, and some of
 * which want to send whoever pulls to this machine.
 *
 * Run by in_a_network_of_its_own; the registries are serve_registry.py's, in the network of the
 * other machine, another.example. */
#include "machine.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"

#define PORT     "8444"
#define REGISTRY "another.example:" PORT
#define READY_MS 60000

static struct {
    struct process process;
    char dir[128], ca[160];
    int victim; /* listens at all addresses of this machine */
} there = {.victim = -1};

static void listen_everywhere(char victim[64])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);

    there.victim = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(there.victim, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(there.victim, 8), 0);
    assert_int_equal(getsockname(there.victim, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(victim, 64, "https://198.51.100.1:%u", ntohs(in.sin_port));
}

static int start(void **state)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    CLEANUP_CLOSE int log = -1;
    struct error err = ERROR_INIT;
    struct machine *m;
    char path[160], victim[64];

    if (!getenv("OTHER_MACHINE") || machine_start(state) < 0)
        return -1;
    m = *state;
    listen_everywhere(victim);
    (void)snprintf(there.dir, sizeof(there.dir), "%s/there", m->dir);
    (void)snprintf(there.ca, sizeof(there.ca), "%s/ca.pem", there.dir);
    (void)snprintf(path, sizeof(path), "%s/there.log", m->dir);
    log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    argv_push(&argv, "nsenter", "--net", "--target", getenv("OTHER_MACHINE"), "python3", "-B",
              NULL);
    argv_pushf(&argv, "%s/tests/builder/serve_registry.py", getenv("KILN_SOURCE"));
    argv_push(&argv, there.dir, "198.51.100.2", PORT, victim, NULL);
    argv_pushf(&env, "PATH=%s", getenv("PATH"));
    if (process_start(&argv, &env, NULL, 0, log, &there.process, &err) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/ready", there.dir);
    for (int waited = 0; access(path, F_OK) < 0; waited += 20) {
        if (waited > READY_MS || !process_is_alive(&there.process))
            return -1;
        (void)poll(NULL, 0, 20);
    }
    builder_free(m->b);
    m->config.ca_file = there.ca;
    return builder_open(&m->config, &m->b, &err);
}

static int stop(void **state)
{
    process_stop(&there.process, 0);
    close(there.victim);
    return machine_stop(state);
}

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    buf_add(self, text, len);
    buf_addc(self, '\n');
}

static void build_on(const struct machine *m, const char *image, struct attempt *a)
{
    static char dockerfile[256];

    (void)snprintf(dockerfile, sizeof(dockerfile), "FROM %s\n", image);
    *a = (struct attempt){.images = image, .dockerfile = dockerfile};
    attempt_run(m, a);
}

/* How often a line of the requests holds both. */
static size_t count_requests(const char *one, const char *two)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    char path[160];
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/requests", there.dir);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    for (char *rest = text.data, *line; (line = strsep(&rest, "\n"));)
        n += strstr(line, one) && strstr(line, two);
    return n;
}

static void test_an_image_comes_from_another_machine_whatever_runs_may_reach(void **state)
{
    static const enum builder_egress egress[] = {BUILDER_EGRESS_NAT, BUILDER_EGRESS_LIST,
                                                 BUILDER_EGRESS_NONE};

    for (size_t i = 0; i < 3; i++) {
        struct machine other = *(const struct machine *)*state;
        struct error err = ERROR_INIT;
        struct attempt a;

        other.config.egress = egress[i];
        assert_int_equal(builder_open(&other.config, &other.b, &err), 0);
        build_on(&other, REGISTRY "/app/plain:1", &a);
        assert_built(&a);
        attempt_release(&a);
        builder_free(other.b);
    }
}

static void test_a_pull_that_was_cut_goes_on(void **state)
{
    struct attempt a;

    build_on(*state, REGISTRY "/app/flaky:1", &a);
    assert_built(&a);
    assert_says(&a, "the connection broke off; blob sha256:");
    assert_int_equal(count_requests("/v2/app/flaky/blobs/", "bytes="), 1);
    attempt_release(&a);
}

static void test_a_pull_that_was_hung_up_on_is_tried_again(void **state)
{
    struct attempt a;

    build_on(*state, REGISTRY "/app/shy:1", &a);
    assert_built(&a);
    assert_true(count_requests("/v2/app/shy/blobs/", "") >= 3);
    attempt_release(&a);
}

static void test_no_registry_sends_a_pull_to_this_machine(void **state)
{
    static const char *const images[] = {"another.example:8445/evil/realm:1",
                                         REGISTRY "/evil/redirect:1"};

    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        struct attempt a;

        build_on(*state, images[i], &a);
        assert_string_equal(a.at, "pull");
        assert_true(a.result < 0 || a.outcome == BUILDER_FAILED);
        assert_int_equal(accept(there.victim, NULL, NULL), -1); /* nobody came */
        attempt_release(&a);
    }
    /* They were asked, and so had their chance. */
    assert_true(count_requests("/v2/", "") > 0);
    assert_true(count_requests("/v2/evil/redirect/blobs/", "") > 0);
}

/* Each in a workspace of its own: nothing of the others is there. */
static void pull_with(const struct machine *m, const char *image, const char *docker_config,
                      enum builder_outcome expected, const char *says)
{
    CLEANUP(buf_release) struct buf log = BUF_INIT(1 << 20);
    const struct process_sink sink = {keep_line, &log};
    const struct builder_io io = {&sink, NULL};
    enum builder_outcome outcome = BUILDER_KILLED;
    struct builder_job *job;
    struct error err = ERROR_INIT;
    static int pulls;
    char workspace[32];

    (void)snprintf(workspace, sizeof(workspace), "other-%d", pulls++);
    if (builder_job_begin(m->b, workspace, "pull", &job, &err) < 0)
        fail_msg("%s", err.msg);
    if (builder_pull(job, image, docker_config, &io, &outcome, &err) < 0)
        fail_msg("%s\n%s", buf_str(&log), err.msg);
    builder_job_end(job);
    if (outcome != expected || !strstr(buf_str(&log), says))
        fail_msg("%s: outcome %d\n%s", image, (int)outcome, buf_str(&log));
}

/* "kiln:opensesame" */
#define CREDENTIALS                                                                                \
    "{\"auths\":{\"https://" REGISTRY "/v1/\":{\"auth\":\"a2lsbjpvcGVuc2VzYW1l\"},"                \
    "\"elsewhere.example\":{\"auth\":\"b3RoZXI6b3RoZXI=\"}}}"

static void test_credentials_are_shown_to_the_registry_and_its_tokens_server_alone(void **state)
{
    pull_with(*state, REGISTRY "/private/token:1", NULL, BUILDER_FAILED, "access denied");
    pull_with(*state, REGISTRY "/private/basic:1", NULL, BUILDER_FAILED, "access denied");
    pull_with(*state, REGISTRY "/private/token:1", CREDENTIALS, BUILDER_DONE, "Copying blob");
    pull_with(*state, REGISTRY "/private/basic:1", CREDENTIALS, BUILDER_DONE, "Copying blob");
    /* Their layers are said to be on another port, which is another server. */
    assert_true(count_requests("8446 /v2/private/token/blobs/", "") > 0);
    assert_int_equal(count_requests("8446 ", "authorized"), 0);
    assert_true(count_requests("8444 /v2/private/token/", "authorized") > 0);
    assert_true(count_requests("8446 /token", "") == 0);
}

static void test_plain_http_is_not_what_a_registry_leads_to(void **state)
{
    pull_with(*state, REGISTRY "/plain/redirect:1", NULL, BUILDER_FAILED,
              "leads from HTTPS to plain HTTP");
    pull_with(*state, REGISTRY "/plain/realm:1", CREDENTIALS, BUILDER_FAILED,
              "tokens that come by plain HTTP");
}

static void test_what_an_image_may_not_be_is_said(void **state)
{
    pull_with(*state, REGISTRY "/odd/foreign:1", NULL, BUILDER_FAILED, "a foreign layer");
    pull_with(*state, REGISTRY "/odd/platform:1", NULL, BUILDER_FAILED,
              "no image found in manifest list");
    pull_with(*state, REGISTRY "/odd/index:1", NULL, BUILDER_DONE, "Copying blob");
    pull_with(*state, REGISTRY "/odd/layers:1", NULL, BUILDER_FAILED, "more than 500 layers");
}

static void test_a_registry_in_a_private_network_has_to_be_allowed(void **state)
{
    CLEANUP(argv_release) struct argv allowed = ARGV_INIT;
    struct machine other = *(const struct machine *)*state;
    struct error err = ERROR_INIT;
    struct attempt a;

    build_on(&other, "10.77.0.2:" PORT "/app/plain:1", &a);
    assert_outcome(&a, "pull", BUILDER_FAILED);
    assert_says(&a, "not allowed: 10.77.0.2:" PORT " is on this machine or in a private network");
    attempt_release(&a);
    argv_push(&allowed, "10.77.0.2:" PORT, NULL);
    other.config.egress_allow = &allowed;
    assert_int_equal(builder_open(&other.config, &other.b, &err), 0);
    build_on(&other, "10.77.0.2:" PORT "/app/plain:1", &a);
    assert_does_not_say(&a, "not allowed:"); /* it is reached, and its certificate is another's */
    assert_non_null(strstr(a.err.msg, "certificate subject name"));
    attempt_release(&a);
    builder_free(other.b);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_image_comes_from_another_machine_whatever_runs_may_reach),
        cmocka_unit_test(test_a_pull_that_was_cut_goes_on),
        cmocka_unit_test(test_a_pull_that_was_hung_up_on_is_tried_again),
        cmocka_unit_test(test_no_registry_sends_a_pull_to_this_machine),
        cmocka_unit_test(test_credentials_are_shown_to_the_registry_and_its_tokens_server_alone),
        cmocka_unit_test(test_plain_http_is_not_what_a_registry_leads_to),
        cmocka_unit_test(test_what_an_image_may_not_be_is_said),
        cmocka_unit_test(test_a_registry_in_a_private_network_has_to_be_allowed),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, start, stop);
}
