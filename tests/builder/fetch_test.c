/* Kiln's own code that talks to one server: which it may be, and what it leaves. */
#include "machine.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/address.h"

/* ---- what runs inside ---- */

static int write_main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("%d:%s\n", i, argv[i]);
    return write(0, "a tar", 5) == 5 ? 0 : 1;
}

static int look_main(int argc, char **argv)
{
    CLEANUP(buf_release) struct buf hosts = BUF_INIT(65536);
    struct error err = ERROR_INIT;
    FILE *f = fopen("/kiln/tmp/made", "we");

    (void)argc;
    (void)argv;
    if (!f || fclose(f) != 0 || access("/context", F_OK) == 0 || access("/kiln/bases", F_OK) == 0)
        return 2;
    if (fs_read_file(AT_FDCWD, "/etc/hosts", &hosts, &err) < 0)
        return 3;
    fputs(buf_str(&hosts), stdout);
    return 0;
}

/* Connects to 127.0.0.1 at the port it is told. */
static int dial_main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint64_t port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (argc != 2 || fd < 0 || !text_to_u64(argv[1], 65535, &port))
        return 2;
    to.sin_port = htons((uint16_t)port);
    return connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : 1;
}

static int fail_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("it did not work\n", stderr);
    return 1;
}

static const struct builder_inner inner[] = {
    {"write", write_main}, {"look", look_main}, {"dial", dial_main},
    {"fail", fail_main},   {NULL, NULL},
};

/* ---- running it ---- */

struct fetched {
    enum builder_outcome outcome;
    int result;
    struct error err;
    struct buf out, said, file;
};

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct fetched *f = self;

    (void)stream;
    buf_add(&f->said, text, len);
    buf_addc(&f->said, '\n');
}

/* hosts: what the configuration allows, blank-separated. */
static void fetch(const struct machine *m, const char *name, const char *word,
                  const char *authority, const char *hosts, struct fetched *f)
{
    const struct process_sink sink = {keep_line, f};
    const struct builder_io io = {.sink = &sink};
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP(argv_release) struct argv allowed = ARGV_INIT;
    struct builder_config config = m->config;
    struct builder b = *m->b;
    CLEANUP_CLOSE int fd = -1;
    struct builder_job *job;
    struct error err = ERROR_INIT;

    *f = (struct fetched){.out = BUF_INIT(65536), .said = BUF_INIT(65536), .file = BUF_INIT(65536)};
    if (word)
        argv_push1(&words, word);
    if (hosts)
        argv_push1(&allowed, hosts);
    config.fetch_hosts = hosts ? &allowed : NULL;
    b.config = &config;
    assert_int_equal(builder_job_begin(&b, "ws", "fetch", &job, &err), 0);
    f->result =
        builder_fetch_inside(job, name, &words, authority, &fd, &f->out, &io, &f->outcome, &f->err);
    if (f->result == 0)
        assert_int_equal(fs_read_fd(fd, &f->file, &err), 0);
    builder_job_end(job);
}

static void release(struct fetched *f)
{
    buf_release(&f->out);
    buf_release(&f->said);
    buf_release(&f->file);
}

static void assert_fetched(const struct fetched *f, enum builder_outcome outcome)
{
    if (f->result < 0 || f->outcome != outcome)
        fail_msg("result %d, outcome %d: %s%s", f->result, (int)f->outcome, f->err.msg,
                 buf_str(&f->said));
}

/* ---- the tests ---- */

static void test_words_go_in_and_a_file_comes_out(void **state)
{
    struct fetched f;

    fetch(*state, "write", "x y", "192.0.2.1:80", "192.0.2.1", &f);
    assert_fetched(&f, BUILDER_DONE);
    assert_string_equal(buf_str(&f.out), "0:write\n1:x y\n");
    assert_string_equal(buf_str(&f.file), "a tar");
    release(&f);
    fetch(*state, "write", "x y", "9.9.9.9", NULL, &f); /* vetted: the same words arrive */
    assert_fetched(&f, BUILDER_DONE);
    assert_string_equal(buf_str(&f.out), "0:write\n1:x y\n");
    release(&f);
}

static void test_it_sees_its_own_directory_and_the_addresses_that_were_looked_at(void **state)
{
    struct fetched f;

    fetch(*state, "look", NULL, "9.9.9.9:443", NULL, &f);
    assert_fetched(&f, BUILDER_DONE);
    assert_true(strstr(buf_str(&f.out), "9.9.9.9 9.9.9.9\n") != NULL);
    release(&f);
}

static void test_a_failure_has_its_reason_in_the_sink(void **state)
{
    struct fetched f;

    fetch(*state, "fail", NULL, "9.9.9.9", NULL, &f);
    assert_fetched(&f, BUILDER_FAILED);
    assert_string_equal(buf_str(&f.said), "it did not work\n");
    release(&f);
}

static void test_this_machine_and_its_networks_are_refused_in_every_spelling(void **state)
{
    static const char *const hosts[] = {
        "127.0.0.1",
        "127.0.0.1:3000",
        "127.1:80",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "localhost",
        "localhost:5000",
        "0.0.0.0:80",
        "[::1]:80",
        "[::]",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "172.16.0.1:80",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[fd12::1]:3000",
        "224.0.0.1",
        "255.255.255.255",
    };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct fetched f;

        fetch(*state, "write", NULL, hosts[i], "elsewhere.example", &f);
        if (f.result < 0 || f.outcome != BUILDER_FAILED ||
            !strstr(buf_str(&f.said), "not allowed: ") || f.file.len > 0)
            fail_msg("%s: result %d, outcome %d: %s%s", hosts[i], f.result, (int)f.outcome,
                     f.err.msg, buf_str(&f.said));
        release(&f);
    }
}

static void test_a_server_that_the_operator_names_is_reached(void **state)
{
    const struct machine *m = *state;
    struct fetched f;

    fetch(m, "dial", strchr(m->address, ':') + 1, m->address, m->address, &f);
    assert_fetched(&f, BUILDER_DONE);
    release(&f);
    fetch(m, "dial", strchr(m->address, ':') + 1, m->address, "127.0.0.1", &f);
    assert_fetched(&f, BUILDER_DONE);
    release(&f);
}

static void test_a_port_that_the_operator_names_is_no_other(void **state)
{
    static const struct {
        const char *authority, *hosts;
        bool allowed;
    } cases[] = {
        {"127.0.0.1:3000", "127.0.0.1:3000", true},
        {"127.0.0.1:3001", "127.0.0.1:3000", false},
        {"127.0.0.1", "127.0.0.1:3000", false},
        {"127.0.0.1:3000", "127.0.0.10", false},
        {"[::1]:3000", "[::1]", true},
        {"[::1]:3000", "[::1]:3000", true},
        {"[::1]:3000", "[::1]:3001", false},
        {"[::1]", "[::1]", true},
        {"localhost:80", "LOCALHOST", true},
        {"localhost.:80", "localhost", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetched f;

        fetch(*state, "write", NULL, cases[i].authority, cases[i].hosts, &f);
        if (f.result < 0 ? cases[i].allowed : (f.outcome == BUILDER_DONE) != cases[i].allowed)
            fail_msg("%s with %s: result %d, outcome %d: %s%s", cases[i].authority, cases[i].hosts,
                     f.result, (int)f.outcome, f.err.msg, buf_str(&f.said));
        release(&f);
    }
}

static void test_a_name_that_nobody_knows_is_the_networks_fault(void **state)
{
    struct fetched f;

    fetch(*state, "write", NULL, "nowhere.invalid:443", NULL, &f);
    assert_int_equal(f.result, -1);
    assert_int_equal(f.err.kind, ERR_REMOTE);
    assert_non_null(strstr(f.err.msg, "look up nowhere.invalid: "));
    release(&f);
}

static void test_public_addresses_are_not_private(void **state)
{
    static const char *const v4[] = {"1.1.1.1",     "9.255.255.255", "11.0.0.0",    "172.15.0.1",
                                     "172.32.0.1",  "192.167.1.1",   "192.169.0.1", "100.63.0.1",
                                     "100.128.0.1", "198.17.0.1",    "198.20.0.1",  "223.255.1.1"};
    static const char *const v6[] = {"2606:4700::1111", "2001:4860::8888", "64:ff9b::101:101",
                                     "2002:101:101::", "::ffff:1.1.1.1"};

    (void)state;
    for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
        struct sockaddr_in a = {.sin_family = AF_INET};

        assert_int_equal(inet_pton(AF_INET, v4[i], &a.sin_addr), 1);
        assert_false(address_is_private((const struct sockaddr *)&a));
    }
    for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
        struct sockaddr_in6 a = {.sin6_family = AF_INET6};

        assert_int_equal(inet_pton(AF_INET6, v6[i], &a.sin6_addr), 1);
        assert_false(address_is_private((const struct sockaddr *)&a));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_go_in_and_a_file_comes_out),
        cmocka_unit_test(test_it_sees_its_own_directory_and_the_addresses_that_were_looked_at),
        cmocka_unit_test(test_a_failure_has_its_reason_in_the_sink),
        cmocka_unit_test(test_this_machine_and_its_networks_are_refused_in_every_spelling),
        cmocka_unit_test(test_a_server_that_the_operator_names_is_reached),
        cmocka_unit_test(test_a_port_that_the_operator_names_is_no_other),
        cmocka_unit_test(test_a_name_that_nobody_knows_is_the_networks_fault),
        cmocka_unit_test(test_public_addresses_are_not_private),
    };

    builder_jail_main(argc, argv, inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
