/* HTTP itself: connections, framing, limits, stopping. */
#include "wire.h"

#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

static void test_a_request_is_answered(void **state)
{
    struct wire *w = wire_of(state);
    char request[512];
    char answer[ANSWER_MAX];

    (void)snprintf(
        request, sizeof(request),
        "POST /v0/images?upload=true HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
        "Content-Type: application/json\r\nContent-Length: 39\r\n\r\n"
        "{\"name\":\"a\",\"resourceType\":\"sandbox\"}  ",
        w->host, w->f->key);
    assert_int_equal(wire_exchange(w, request, answer), 200);
    assert_non_null(strstr(answer, "\r\nContent-Type: application/json\r\n"));
    (void)snprintf(request, sizeof(request), "\r\nX-Blaxel-Upload-Url: http://%s/uploads/acme/",
                   w->host);
    assert_non_null(strstr(answer, request));
    assert_string_equal(wire_image_status(w, "a"), "UPLOADING");
}

static void test_a_connection_is_kept(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    int fd = wire_connect(w);

    for (int i = 0; i < 3; i++) {
        assert_true(wire_sends(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"));
        wire_read_one(fd, answer);
        assert_int_equal(wire_status(answer), 200);
    }
    close(fd);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    int fd = wire_connect(w);

    assert_true(wire_sends(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
                               "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
                               "POST /v0/images HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
                               "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (int i = 0; i < 4; i++) {
        static const int expected[] = {200, 404, 401, 200};

        wire_read_one(fd, answer);
        assert_int_equal(wire_status(answer), expected[i]);
    }
    close(fd);
}

static void test_head_has_no_body(void **state)
{
    char answer[ANSWER_MAX];
    int fd = wire_connect(wire_of(state));

    assert_true(wire_sends(fd, "HEAD /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    wire_read_all(fd, 60, answer);
    assert_int_equal(wire_status(answer), 200);
    assert_true(text_ends(answer, "\r\n\r\n"));
}

static void test_a_body_larger_than_json_may_be_is_refused_at_once(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char request[512];

    (void)snprintf(request, sizeof(request),
                   "POST /v0/images?upload=true HTTP/1.1\r\nHost: h\r\n"
                   "Authorization: Bearer %s\r\nContent-Length: 1048577\r\n\r\n",
                   w->f->key);
    assert_int_equal(wire_exchange(w, request, answer), 413);
    assert_non_null(strstr(answer, "body_too_large"));
    assert_int_equal(wire_exchange(w,
                                   "POST /v0/oauth/token HTTP/1.1\r\nHost: h\r\n"
                                   "Content-Length: 65537\r\n\r\n",
                                   answer),
                     413);
}

/* Much is not read from a stranger; eight times as much as of JSON may come for a plan. */
static void test_a_large_body_needs_a_key_before_it_is_read(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char request[512];

    static const char *const strange[] = {
        "POST /v0/plan HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n",
        "POST /v0/images HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n",
        "POST /v0/images HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"};

    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        assert_int_equal(wire_exchange(w, strange[i], answer), 401);
    (void)snprintf(request, sizeof(request),
                   "POST /v0/plan HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
                   "Content-Length: 8388609\r\n\r\n",
                   w->f->key);
    assert_int_equal(wire_exchange(w, request, answer), 413);
    assert_non_null(strstr(answer, "8388608"));
}

static void test_an_endless_chunked_body_is_refused(void **state)
{
    CLEANUP(buf_release) struct buf chunk = BUF_INIT(1 << 20);
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char request[512];
    int fd = wire_connect(w);

    buf_adds(&chunk, "10000\r\n");
    for (int i = 0; i < 0x10000; i++)
        buf_addc(&chunk, ' ');
    buf_adds(&chunk, "\r\n");
    (void)snprintf(request, sizeof(request),
                   "POST /v0/images HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n",
                   w->f->key);
    assert_true(wire_sends(fd, request));
    for (int i = 0; i < 20; i++)
        assert_true(wire_send(fd, chunk.data, chunk.len));
    assert_true(wire_sends(fd, "0\r\n\r\n"));
    wire_read_one(fd, answer);
    assert_int_equal(wire_status(answer), 413);
    close(fd);
}

/* Two lengths are how requests are smuggled past a proxy. */
static void test_an_ambiguous_length_is_refused(void **state)
{
    static const struct {
        const char *headers;
        bool ambiguous; /* the others libmicrohttpd refuses itself */
    } cases[] = {
        {"Content-Length: 2\r\nContent-Length: 3\r\n", true},
        {"Content-Length: 2\r\nContent-Length: 2\r\n", true},
        {"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", true},
        {"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", true},
        {"Content-Length: -1\r\n", false},
        {"Content-Length: 2x\r\n", false},
        {"Content-Length: 99999999999999999999999\r\n", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char request[512];
        char answer[ANSWER_MAX];
        int fd = wire_connect(wire_of(state));

        (void)snprintf(request, sizeof(request),
                       "POST /v0/images HTTP/1.1\r\nHost: h\r\n%s\r\n{}\r\n0\r\n\r\n"
                       "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
                       cases[i].headers);
        assert_true(wire_sends(fd, request));
        wire_read_all(fd, 60, answer);
        assert_null(strstr(answer, "HTTP/1.1 200")); /* what follows is not a request */
        assert_in_range(wire_status(answer), 400, 413);
        assert_int_equal(strstr(answer, "ambiguous_length") != NULL, cases[i].ambiguous);
    }
}

static void test_a_flood_of_headers_is_refused(void **state)
{
    CLEANUP(buf_release) struct buf request = BUF_INIT(8 << 20);
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    int fd = wire_connect(w);

    buf_adds(&request, "GET /healthz HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 20000; i++)
        buf_addf(&request, "X-Flood-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", i);
    (void)wire_send(fd, request.data, request.len);
    wire_read_all(fd, 60, answer);
    assert_true(wire_status(answer) == 0 || wire_status(answer) == 431 ||
                wire_status(answer) == 413);
    assert_int_equal(wire_exchange(w, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", answer), 200);
}

static void test_a_long_url_is_refused(void **state)
{
    CLEANUP(buf_release) struct buf request = BUF_INIT(1 << 20);
    char answer[ANSWER_MAX];

    buf_adds(&request, "GET /");
    for (int i = 0; i < 9000; i++)
        buf_addc(&request, 'a');
    buf_adds(&request, " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(wire_exchange(wire_of(state), buf_str(&request), answer), 414);
    assert_non_null(strstr(answer, "\"code\":414"));
}

static void test_a_silent_client_is_let_go(void **state)
{
    static const char unfinished[] =
        "POST /v0/images HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{";
    static const char *const starts[] = {"", "GET /heal",
                                         "GET /healthz HTTP/1.1\r\nHost:", unfinished};
    struct wire *w = wire_of(state);

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        int64_t before = clock_monotonic();
        char answer[ANSWER_MAX];
        int fd = wire_connect(w);

        assert_true(wire_sends(fd, starts[i]));
        wire_read_all(fd, 60, answer);
        assert_true(clock_monotonic() - before < 50 * NS_PER_SEC);
        assert_int_not_equal(wire_status(answer), 200);
    }
}

/* A byte now and then keeps the idle timeout away, but not this one. */
static void test_a_body_that_drips_is_cut(void **state)
{
    struct wire *w = wire_of(state);
    int fd = wire_connect(w);
    bool alive = true;

    assert_true(wire_sends(fd, "POST /v0/images HTTP/1.1\r\nHost: h\r\n"
                               "Content-Length: 1000\r\n\r\n"));
    for (int i = 0; i < 200 && alive; i++) {
        usleep(300000);
        alive = wire_sends(fd, "x");
    }
    close(fd);
    assert_false(alive);
}

static void test_no_more_connections_than_allowed(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    int fds[8];
    int status = 0;
    int extra;

    for (size_t i = 0; i < 8; i++) {
        fds[i] = wire_connect(w);
        assert_true(wire_sends(fds[i], "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"));
        wire_read_one(fds[i], answer);
        assert_int_equal(wire_status(answer), 200);
    }
    extra = wire_connect(w); /* the kernel's queue takes it; no thread does */
    assert_true(wire_sends(extra, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"));
    for (size_t i = 0; i < 8; i++)
        close(fds[i]);
    wire_read_all(extra, 60, answer);
    /* Refused or answered later, as libmicrohttpd likes; never at the price of the others. */
    assert_true(wire_status(answer) == 0 || wire_status(answer) == 200);
    for (int i = 0; i < 3000 && status != 200; i++) { /* until their threads have ended */
        usleep(20000);
        status = wire_exchange(w, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", answer);
    }
    assert_int_equal(status, 200);
}

static void test_the_operator_reads_a_line_for_each_request(void **state)
{
    struct wire *w = wire_of(state);
    char request[512];
    char answer[ANSWER_MAX];

    (void)snprintf(request, sizeof(request),
                   "GET /v0/images/job/a%%20b%%1bc?workspace=acme&secret=hunter2 HTTP/1.1\r\n"
                   "Host: h\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n",
                   w->f->key);
    (void)wire_exchange(w, request, answer);
    (void)snprintf(request, sizeof(request),
                   "GET /v0/images HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n",
                   w->f->key);
    (void)wire_exchange(w, request, answer);
    (void)wire_exchange(w, "GET /a\x1b[31m\xff HTTP/1.1\r\nHost: h\r\n\r\n", answer);
    api_server_stop(w->server);
    w->server = NULL;
    assert_non_null(strstr(buf_str(&w->f->log), "GET /a?[31m? 400 "));
    assert_non_null(strstr(buf_str(&w->f->log), "GET /v0/images/job/a%20b%1bc 400 0/"));
    assert_non_null(strstr(buf_str(&w->f->log), "GET /v0/images 200 0/3 B"));
    assert_non_null(strstr(buf_str(&w->f->log), " ms acme\n"));
    assert_null(strstr(buf_str(&w->f->log), "hunter2"));
    assert_null(strstr(buf_str(&w->f->log), w->f->key));
}

struct stopper {
    struct api_server *server;
    int64_t took;
};

static void *stop(void *self)
{
    struct stopper *s = self;
    int64_t before = clock_monotonic();

    api_server_stop(s->server);
    s->took = clock_monotonic() - before;
    return NULL;
}

static void test_a_request_in_flight_ends_before_the_server_does(void **state)
{
    struct wire *w = wire_of(state);
    struct stopper stopper = {.server = w->server};
    int fd = wire_connect(w);
    char answer[ANSWER_MAX];
    pthread_t thread;

    assert_true(
        wire_sends(fd, "POST /v0/images HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{"));
    usleep(100000);
    assert_int_equal(pthread_create(&thread, NULL, stop, &stopper), 0);
    w->server = NULL;
    usleep(200000);
    assert_true(wire_sends(fd, "}"));
    wire_read_all(fd, 60, answer);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wire_status(answer), 401);
    assert_non_null(strcasestr(answer, "Connection: close"));
}

static void test_a_request_that_never_ends_does_not_hold_the_server(void **state)
{
    struct wire *w = wire_of(state);
    struct stopper stopper = {.server = w->server};
    int fd = wire_connect(w);

    assert_true(
        wire_sends(fd, "POST /v0/images HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{"));
    usleep(100000);
    w->server = NULL;
    (void)stop(&stopper);
    assert_true(stopper.took < 50 * NS_PER_SEC);
    close(fd);
}

static void test_addresses_are_read(void **state)
{
    static const struct {
        const char *listen;
        bool good;
    } cases[] = {
        {"127.0.0.1:0", true}, {"0.0.0.0:0", true},
        {"localhost:0", true}, {"127.0.0.1", false},
        {":80", false},        {"::1:80", false},
        {"127.0.0.1:", false}, {"127.0.0.1:99999", false},
        {"[]:0", false},       {"127.0.0.1:x", false},
        {"", false},           {"256.1.1.1:0", false},
    };
    struct wire *w = wire_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct api_server *s = NULL;
        struct error err = ERROR_INIT;
        int rc = api_server_start(&w->f->config, cases[i].listen, &s, &err);

        assert_int_equal(rc, cases[i].good ? 0 : -1);
        if (rc == 0)
            assert_true(api_server_port(s) > 0);
        else
            assert_int_equal(err.kind, ERR_INPUT);
        api_server_stop(s);
    }
}

static void test_an_address_in_use_is_an_error(void **state)
{
    struct wire *w = wire_of(state);
    struct error err = ERROR_INIT;
    struct api_server *s;

    assert_int_equal(api_server_start(&w->f->config, w->host, &s, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, w->host));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_a_request_is_answered),
        WIRE_TEST(test_a_connection_is_kept),
        WIRE_TEST(test_pipelined_requests_are_answered_in_order),
        WIRE_TEST(test_head_has_no_body),
        WIRE_TEST(test_a_body_larger_than_json_may_be_is_refused_at_once),
        WIRE_TEST(test_a_large_body_needs_a_key_before_it_is_read),
        WIRE_TEST(test_an_endless_chunked_body_is_refused),
        WIRE_TEST(test_an_ambiguous_length_is_refused),
        WIRE_TEST(test_a_flood_of_headers_is_refused),
        WIRE_TEST(test_a_long_url_is_refused),
        WIRE_TEST(test_a_silent_client_is_let_go),
        WIRE_TEST(test_a_body_that_drips_is_cut),
        WIRE_TEST(test_no_more_connections_than_allowed),
        WIRE_TEST(test_the_operator_reads_a_line_for_each_request),
        PATIENT_TEST(test_a_request_in_flight_ends_before_the_server_does),
        WIRE_TEST(test_a_request_that_never_ends_does_not_hold_the_server),
        WIRE_TEST(test_addresses_are_read),
        WIRE_TEST(test_an_address_in_use_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
