/* ADD of addresses: from a server on another machine, by the way that the build's commands have.
 *
 * Run by in_a_network_of_its_own.  The server is a process of this program's in the network of the
 * other machine, 198.51.100.2, port 8000. */
#include "feature.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"

#define SERVER  "http://198.51.100.2:8000"
#define CONTENT "hello\n"

static struct {
    pid_t pid;
    volatile int *requests; /* shared with it */
    struct buf archive;
} server = {.archive = BUF_INIT(1 << 20)};

/* ---- the server ---- */

static void answer(int fd, const char *status, const char *headers, const void *body, size_t len)
{
    char head[512];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status,
                     len, headers);

    (void)!write(fd, head, (size_t)n);
    (void)!write(fd, body, len);
}

static void serve_one(int fd)
{
    char request[4096] = "", path[256] = "";
    ssize_t n = read(fd, request, sizeof(request) - 1);

    if (n <= 0 || sscanf(request, "GET %255s", path) != 1)
        return;
    ++*server.requests;
    if (strcmp(path, "/moved") == 0)
        answer(fd, "302 Found", "Location: there/file.txt\r\n", "moved", 5);
    else if (strcmp(path, "/loop") == 0)
        answer(fd, "302 Found", "Location: /loop\r\n", "", 0);
    else if (strcmp(path, "/to-file") == 0)
        answer(fd, "302 Found", "Location: file:///etc/passwd\r\n", "", 0);
    else if (strcmp(path, "/missing?token=s3cr3t") == 0)
        answer(fd, "404 Not Found", "", "no", 2);
    else if (strcmp(path, "/busy") == 0 && *server.requests % 2 == 1)
        answer(fd, "503 Service Unavailable", "", "busy", 4);
    else if (strcmp(path, "/a.tar.gz") == 0)
        answer(fd, "200 OK", "", server.archive.data, server.archive.len);
    else
        answer(fd, "200 OK", "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n", CONTENT,
               strlen(CONTENT));
}

static _Noreturn void serve(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(8000)};
    char path[64];
    int fd, net;

    (void)snprintf(path, sizeof(path), "/proc/%s/ns/net", getenv("OTHER_MACHINE"));
    net = open(path, O_RDONLY | O_CLOEXEC);
    if (net < 0 || setns(net, CLONE_NEWNET) < 0)
        _exit(1);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, 16) < 0)
        _exit(2);
    for (;;) {
        int client = accept(fd, NULL, NULL);

        serve_one(client);
        close(client);
    }
}

static int start(void **state)
{
    struct machine *m;
    struct error err = ERROR_INIT;
    char path[128];

    if (!getenv("OTHER_MACHINE") || machine_start(state) < 0)
        return -1;
    m = *state;
    builder_free(m->b);
    m->config.egress = BUILDER_EGRESS_NAT;
    if (builder_open(&m->config, &m->b, &err) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/a.tar.gz", m->dir);
    features_command("sh", "-c",
                     "d=$(mktemp -d) && echo 1 >$d/in && tar -C $d -czf \"$0\" --owner=7 --group=8 "
                     "in && rm -r $d",
                     path, NULL);
    if (fs_read_file(AT_FDCWD, path, &server.archive, &err) < 0)
        return -1;
    server.requests =
        mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    server.pid = fork();
    if (server.pid == 0)
        serve();
    return server.pid < 0 ? -1 : 0;
}

static int stop(void **state)
{
    if (server.pid > 0) {
        (void)kill(server.pid, SIGKILL);
        (void)waitpid(server.pid, NULL, 0);
    }
    buf_release(&server.archive);
    return machine_stop(state);
}

/* ---- the tests ---- */

static void test_files_get_their_name_mode_owner_and_time(void **state)
{
    static const char *const files[] = {"local", "1", NULL};
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .dockerfile = "FROM alpine:3.20\n"
                                      "ADD " SERVER "/some/file.txt?x=y /d/\n"
                                      "ADD " SERVER "/other /d/named\n"
                                      "ADD " SERVER "/a%20b%2F%5Bc%2A " SERVER "/ local /e/\n"
                                      "ADD " SERVER "/moved " SERVER "/busy /r/\n"
                                      "ADD --chmod=755 --chown=node " SERVER "/run /run.sh\n"
                                      "RUN stat -c %Y /d/named >/time\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 d\n"
                 "f 600 0:0 d/file.txt \"hello\\n\"\n"
                 "f 600 0:0 d/named \"hello\\n\"\n"
                 "d 755 0:0 e\n"
                 "f 600 0:0 e/[c* \"hello\\n\"\n"
                 "f 600 0:0 e/__unnamed__ \"hello\\n\"\n"
                 "f 644 0:0 e/local \"1\"\n"
                 "d 755 0:0 r\n"
                 "f 600 0:0 r/busy \"hello\\n\"\n"
                 "f 600 0:0 r/moved \"hello\\n\"\n"
                 "f 755 1000:1000 run.sh \"hello\\n\"\n"
                 "f 644 0:0 time \"1445412480\\n\"\n");
    features_release(&a, &seen);
}

static void test_archives_from_the_web_are_unpacked_only_when_told(void **state)
{
    struct seen seen;
    struct attempt a = {.dockerfile = "FROM scratch\n"
                                      "ADD " SERVER "/a.tar.gz /kept/\n"
                                      "ADD --unpack=true " SERVER "/a.tar.gz /unpacked\n"};

    features_build(*state, &a, &seen);
    assert_true(buf_holds(&seen.files, "f 600 0:0 kept/a.tar.gz \"\\x1f\\x8b"));
    assert_true(buf_holds(&seen.files, "f 644 7:8 unpacked/in \"1\\n\"\n"));
    features_release(&a, &seen);
}

static void test_a_file_that_is_the_same_is_cached_by_whatever_address(void **state)
{
    static const char *const texts[] = {"FROM scratch\nADD " SERVER "/x/same /\n",
                                        "FROM scratch\nADD " SERVER "/y/same?z /\n",
                                        "FROM scratch\nADD " SERVER "/x/another /\n"};
    static const size_t cached[] = {0, 1, 0};

    for (size_t i = 0; i < 3; i++) {
        struct attempt a = {.workspace = "same", .cached = true, .dockerfile = texts[i]};

        attempt_run(*state, &a);
        assert_built(&a);
        assert_int_equal(a.image.n_cached, cached[i]);
        attempt_release(&a);
    }
}

static void test_a_checksum_is_checked_and_spares_the_second_download(void **state)
{
    char hex[SHA256_HEX], text[512];
    struct attempt right = {.workspace = "sums", .cached = true, .dockerfile = text};
    struct attempt again = {.workspace = "sums", .cached = true, .dockerfile = text};
    struct attempt wrong = {.workspace = "sums",
                            .cached = true,
                            .dockerfile = "FROM scratch\nADD --checksum=sha256:"
                                          "000000000000000000000000000000000000000000000000000000"
                                          "0000000000 " SERVER "/f /f\n"};
    int before;

    digest_sha256_hex(CONTENT, strlen(CONTENT), hex);
    (void)snprintf(text, sizeof(text), "FROM scratch\nADD --checksum=sha256:%s " SERVER "/f /f\n",
                   hex);
    attempt_run(*state, &right);
    assert_built(&right);
    before = *server.requests;
    attempt_run(*state, &again);
    assert_built(&again);
    assert_int_equal(again.image.n_cached, 1);
    assert_int_equal(*server.requests, before);
    assert_refused(*state, &wrong, "digest mismatch sha256:");
    attempt_release(&right);
    attempt_release(&again);
    attempt_release(&wrong);
}

static void test_what_cannot_be_had_is_said_without_what_is_secret(void **state)
{
    static const struct {
        const char *path, *reason;
    } cases[] = {
        {"/missing?token=s3cr3t", SERVER "/missing: invalid response status 404"},
        {"/loop", "/loop: more than 10 redirects"},
        {"/to-file", "/to-file: a redirect to what is no address on the web"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        struct attempt a = {.dockerfile = text};

        (void)snprintf(text, sizeof(text), "FROM scratch\nADD " SERVER "%s /x\n", cases[i].path);
        assert_refused(*state, &a, cases[i].reason);
        assert_null(strstr(a.failure.reason, "s3cr3t"));
        attempt_release(&a);
    }
}

static void test_this_machine_is_not_reached(void **state)
{
    const struct machine *m = *state;
    const char *port = strrchr(m->address, ':');
    static const char *const hosts[] = {"127.0.0.1", "localhost", "10.0.2.2", "198.51.100.1"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char text[256];
        struct attempt a = {.dockerfile = text};

        (void)snprintf(text, sizeof(text), "FROM scratch\nADD http://%s%s/v2/ /x\n", hosts[i],
                       port);
        assert_refused(m, &a, hosts[i]);
        attempt_release(&a);
    }
}

static void test_without_a_network_it_is_said(void **state)
{
    struct machine closed = *(const struct machine *)*state;
    struct error err = ERROR_INIT;
    struct attempt a = {.dockerfile = "FROM scratch\nADD " SERVER "/x /x\n"};

    closed.config.egress = BUILDER_EGRESS_NONE;
    assert_int_equal(builder_open(&closed.config, &closed.b, &err), 0);
    assert_refused(&closed, &a, "builds have no network here");
    attempt_release(&a);
    builder_free(closed.b);
}

static void test_what_is_not_fetched_is_refused_with_its_line(void **state)
{
    static const char *const refused[][2] = {
        {"FROM scratch\nADD --checksum=sha512:"
         "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "000000000000000000000000000000000000000 " SERVER "/x /x\n",
         "line 2: ADD --checksum is supported with sha256 only"},
        {"FROM scratch\nCOPY " SERVER "/x /x\n", "source can't be a URL for COPY"},
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct attempt a = {.dockerfile = refused[i][0]};

        assert_refused(*state, &a, refused[i][1]);
        attempt_release(&a);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_get_their_name_mode_owner_and_time),
        cmocka_unit_test(test_archives_from_the_web_are_unpacked_only_when_told),
        cmocka_unit_test(test_a_file_that_is_the_same_is_cached_by_whatever_address),
        cmocka_unit_test(test_a_checksum_is_checked_and_spares_the_second_download),
        cmocka_unit_test(test_what_cannot_be_had_is_said_without_what_is_secret),
        cmocka_unit_test(test_this_machine_is_not_reached),
        cmocka_unit_test(test_without_a_network_it_is_said),
        cmocka_unit_test(test_what_is_not_fetched_is_refused_with_its_line),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, start, stop);
}
