/* What one client may take of the server, and for how long: nobody holds a thread by being slow. */
#include "wire.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define HEALTH "GET /healthz HTTP/1.1\r\nHost: h\r\n"

/* Nothing is slow to an idle timeout of a minute: what is cut is cut for another reason. */
static struct api_server_limits patient(void)
{
    struct api_server_limits l = api_server_limits_default;

    l.idle_seconds = 60;
    l.watch_ns = 50 * NS_PER_MS;
    return l;
}

static struct wire *serve(void **state, struct api_server_limits limits)
{
    struct wire *w = calloc(1, sizeof(*w));
    struct error err;

    assert_non_null(w);
    w->f = *state;
    assert_int_equal(api_server_start_with(&w->f->config, &limits, "127.0.0.1:0", &w->server, &err),
                     0);
    return w;
}

static void end(struct wire *w)
{
    api_server_stop(w->server);
    free(w);
}

/* True once the server has ended the connection; false after a minute. */
static bool is_cut(int fd, const char *drip)
{
    int64_t until = clock_monotonic() + 60 * NS_PER_SEC;
    char scrap[16];

    while (clock_monotonic() < until) {
        usleep(100000);
        if (drip && !wire_sends(fd, drip))
            return true;
        if (!drip && recv(fd, scrap, 1, MSG_DONTWAIT | MSG_PEEK) == 0)
            return true;
    }
    return false;
}

static void test_headers_that_drip_are_cut(void **state)
{
    static const char *const starts[] = {"", "GET /he", HEALTH, HEALTH "X: "};
    struct api_server_limits limits = patient();
    struct wire *w;

    limits.headers_ns = NS_PER_SEC;
    w = serve(state, limits);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        int fd = wire_connect(w);

        assert_true(wire_sends(fd, starts[i]));
        assert_true(is_cut(fd, "a"));
        close(fd);
    }
    end(w);
}

/* The same on a connection that has been good before; who finishes in time is answered. */
static void test_headers_that_drip_later_are_cut(void **state)
{
    struct api_server_limits limits = patient();
    char answer[ANSWER_MAX];
    struct wire *w;
    int fd;

    limits.headers_ns = 3 * NS_PER_SEC;
    w = serve(state, limits);
    fd = wire_connect(w);
    for (int i = 0; i < 2; i++) {
        assert_true(wire_sends(fd, HEALTH));
        usleep(300000);
        assert_true(wire_sends(fd, "\r\n"));
        wire_read_one(fd, answer);
        assert_int_equal(wire_status(answer), 200);
    }
    assert_true(wire_sends(fd, HEALTH));
    assert_true(is_cut(fd, "a"));
    close(fd);
    end(w);
}

/* A client that asks much and reads nothing. */
static int connect_deaf(struct wire *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)api_server_port(w->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int small = 4096;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static int open_descriptors(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

static void wait_for_count(const char *path, int n)
{
    for (int i = 0; i < 1200 && open_descriptors(path) > n; i++)
        usleep(50000);
    assert_true(open_descriptors(path) <= n);
}

static void test_an_answer_that_nobody_reads_is_cut(void **state)
{
    const int descriptors = open_descriptors("/proc/self/fd");
    struct api_server_limits limits = patient();
    struct wire *w;
    int fds[4], serving, threads;

    limits.answer_ns = NS_PER_SEC;
    limits.answer_rate_min = 1 << 20;
    w = serve(state, limits);
    serving = open_descriptors("/proc/self/fd");
    threads = open_descriptors("/proc/self/task");
    for (size_t i = 0; i < 4; i++) {
        fds[i] = connect_deaf(w);
        for (int k = 0; k < 200; k++)
            assert_true(wire_sends(fds[i], "GET /v0/openapi.json HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    wait_for_count("/proc/self/task", threads); /* while the clients are still there */
    wait_for_count("/proc/self/fd", serving + 4);
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
    end(w);
    assert_int_equal(open_descriptors("/proc/self/fd"), descriptors);
}

/* How many of n connections are answered. */
static int count_answers(struct wire *w, int n)
{
    char answer[ANSWER_MAX];
    int fds[16], answered = 0;

    for (int i = 0; i < n; i++) {
        fds[i] = wire_connect(w);
        if (!wire_sends(fds[i], HEALTH "\r\n"))
            continue;
        wire_read_one(fds[i], answer);
        answered += wire_status(answer) == 200;
    }
    for (int i = 0; i < n; i++)
        close(fds[i]);
    return answered;
}

static void test_an_address_has_so_many_connections(void **state)
{
    struct fixture *f = fixture_of(state);
    CLEANUP(argv_release) struct argv proxies = ARGV_INIT;
    struct api_server_limits limits = patient();
    struct wire *w;

    limits.connections_each_max = 3;
    w = serve(state, limits);
    assert_int_equal(count_answers(w, 6), 3);
    for (int i = 0; i < 1200 && count_answers(w, 1) == 0; i++) /* until those have ended */
        usleep(50000);
    end(w);
    argv_push(&proxies, "127.0.0.0/8", NULL);
    f->config.proxies = &proxies;
    w = serve(state, limits);
    assert_int_equal(count_answers(w, 6), 6);
    end(w);
    f->config.proxies = NULL;
}

static int ask_from(struct wire *w, const char *forwarded)
{
    char request[256], answer[ANSWER_MAX];

    (void)snprintf(request, sizeof(request),
                   HEALTH "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: %s\r\n\r\n", forwarded);
    return wire_exchange(w, request, answer);
}

/* Each client behind a proxy has a rate of its own, and what a client says of itself is not asked.
 */
static void test_clients_behind_a_proxy_are_told_apart(void **state)
{
    struct fixture *f = fixture_of(state);
    CLEANUP(argv_release) struct argv proxies = ARGV_INIT;
    struct wire *w;

    argv_push(&proxies, "127.0.0.1", NULL);
    f->config.rates.address = 1;
    f->config.proxies = &proxies;
    w = serve(state, patient());
    for (int i = 0; i < 60 && ask_from(w, "10.0.0.1") == 200; i++)
        ;
    assert_int_equal(ask_from(w, "10.0.0.1"), 429);
    assert_int_equal(ask_from(w, "10.0.0.2"), 200);
    end(w);
    f->config.proxies = NULL;
    w = serve(state, patient());
    for (int i = 0; i < 60 && ask_from(w, "10.0.0.1") == 200; i++)
        ;
    assert_int_equal(ask_from(w, "10.0.0.2"), 429);
    end(w);
}

static void test_too_many_headers_are_refused(void **state)
{
    CLEANUP(buf_release) struct buf request = BUF_INIT(65536);
    struct wire *w = serve(state, patient());
    char answer[ANSWER_MAX];

    buf_adds(&request, HEALTH);
    for (int i = 0; i < 99; i++)
        buf_addf(&request, "X-%d: a\r\n", i);
    buf_adds(&request, "\r\n");
    assert_int_equal(wire_exchange(w, buf_str(&request), answer), 200);
    request.len -= 2;
    buf_adds(&request, "X-More: a\r\n\r\n");
    assert_int_equal(wire_exchange(w, buf_str(&request), answer), 431);
    assert_non_null(strstr(answer, "too_many_headers"));
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_headers_that_drip_are_cut),
        TEST(test_headers_that_drip_later_are_cut),
        TEST(test_an_answer_that_nobody_reads_is_cut),
        TEST(test_an_address_has_so_many_connections),
        TEST(test_clients_behind_a_proxy_are_told_apart),
        TEST(test_too_many_headers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
