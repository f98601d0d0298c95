/* Requests against a small server of our own: what is sent, what is read, what an error tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/http.h"

/* Takes one connection, keeps the request, sends the canned answer, closes. */
struct server {
    int fd;
    int port;
    const char *answer;
    char request[65536];
    pthread_t thread;
    bool running;
};

/* True when the header block and the body that Content-Length promises are in. */
static bool is_whole(const char *request, size_t len)
{
    const char *end = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "\r\nContent-Length:");

    if (!end)
        return false;
    return len >= (size_t)(end + 4 - request) +
                      (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static void *serve(void *self)
{
    struct server *s = self;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    size_t len = 0;

    while (fd >= 0 && len + 1 < sizeof(s->request) && !is_whole(s->request, len)) {
        ssize_t n = recv(fd, s->request + len, sizeof(s->request) - 1 - len, 0);

        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (fd >= 0 && s->answer)
        (void)!send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
    if (!s->answer)
        (void)poll(NULL, 0, 1500);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static int setup(void **state)
{
    struct server *s = calloc(1, sizeof(*s));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    if (!s)
        return -1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s->fd, 4) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&a, &len) < 0)
        return -1;
    s->port = ntohs(a.sin_port);
    *state = s;
    return 0;
}

static void join(struct server *s)
{
    if (s->running)
        pthread_join(s->thread, NULL);
    s->running = false;
}

static int teardown(void **state)
{
    struct server *s = *state;

    shutdown(s->fd, SHUT_RDWR);
    join(s);
    close(s->fd);
    free(s);
    return 0;
}

/* Starts the server, sends req to path there, and waits for the server's side to be over. */
static int ask(struct server *s, const char *answer, struct http_request req, const char *path,
               struct http_response *resp, struct error *err)
{
    char url[512];
    int result;

    s->answer = answer;
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    s->running = true;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", s->port, path);
    req.url = url;
    result = http_curl.request(http_curl.self, &req, resp, err);
    join(s);
    return result;
}

static void test_status_headers_and_body_are_read(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state,
                         "HTTP/1.1 201 Created\r\nX-Kiln-Mixed: Value Kept\r\nx-kiln:  two \r\n"
                         "Content-Length: 5\r\n\r\nhello",
                         (struct http_request){.method = "GET"}, "/x", &resp, &err),
                     0);
    assert_int_equal(resp.status, 201);
    assert_string_equal(buf_str(&resp.body), "hello");
    assert_string_equal(http_header(&resp, "x-kiln-mixed"), "Value Kept");
    assert_non_null(http_header(&resp, "x-kiln"));
    assert_memory_equal(http_header(&resp, "x-kiln"), "two", 3);
    assert_null(http_header(&resp, "x-kil"));
    assert_null(http_header(&resp, "absent"));
    http_response_release(&resp);
}

static void test_any_status_is_an_answer(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state, "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno",
                         (struct http_request){.method = "GET"}, "/", &resp, &err),
                     0);
    assert_int_equal(resp.status, 503);
    assert_string_equal(buf_str(&resp.body), "no");
    http_response_release(&resp);
}

static void test_redirects_are_not_followed(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state,
                         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                         "Content-Length: 0\r\n\r\n",
                         (struct http_request){.method = "GET"}, "/", &resp, &err),
                     0);
    assert_int_equal(resp.status, 302);
    assert_string_equal(http_header(&resp, "location"), "http://127.0.0.1:1/");
    http_response_release(&resp);
}

static void test_headers_of_an_interim_answer_are_forgotten(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state,
                         "HTTP/1.1 103 Early Hints\r\nx-early: 1\r\n\r\n"
                         "HTTP/1.1 200 OK\r\nx-late: 1\r\nContent-Length: 0\r\n\r\n",
                         (struct http_request){.method = "GET"}, "/", &resp, &err),
                     0);
    assert_int_equal(resp.status, 200);
    assert_null(http_header(&resp, "x-early"));
    assert_non_null(http_header(&resp, "x-late"));
    http_response_release(&resp);
}

static void test_head_gets_headers_and_waits_for_no_body(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;
    struct server *s = *state;

    assert_int_equal(ask(s, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
                         (struct http_request){.method = "HEAD"}, "/", &resp, &err),
                     0);
    assert_memory_equal(s->request, "HEAD / HTTP/1.1\r\n", 17);
    assert_string_equal(http_header(&resp, "content-length"), "5000");
    assert_int_equal(resp.body.len, 0);
    http_response_release(&resp);
}

static void test_the_body_and_the_callers_headers_are_sent_and_no_others(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct argv headers = ARGV_INIT;
    struct error err = ERROR_INIT;
    struct server *s = *state;

    argv_push(&headers, "X-Test: one", "Accept: text/plain", NULL);
    assert_int_equal(ask(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                         (struct http_request){
                             .method = "PUT", .headers = &headers, .body = "a\0b", .body_len = 3},
                         "/v2/?a=b", &resp, &err),
                     0);
    assert_memory_equal(s->request, "PUT /v2/?a=b HTTP/1.1\r\n", 23);
    assert_non_null(strstr(s->request, "\r\nX-Test: one\r\n"));
    assert_non_null(strstr(s->request, "\r\nContent-Length: 3\r\n"));
    assert_memory_equal(strstr(s->request, "\r\n\r\n") + 4, "a\0b", 3);
    assert_null(strcasestr(s->request, "\r\nExpect:"));
    assert_null(strcasestr(s->request, "\r\nContent-Type:"));
    argv_release(&headers);
    http_response_release(&resp);
}

static void test_a_content_type_of_the_caller_is_sent_once(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct argv headers = ARGV_INIT;
    struct error err = ERROR_INIT;
    struct server *s = *state;
    const char *found;

    argv_push(&headers, "Content-Type: application/json", NULL);
    assert_int_equal(ask(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                         (struct http_request){
                             .method = "POST", .headers = &headers, .body = "{}", .body_len = 2},
                         "/", &resp, &err),
                     0);
    found = strcasestr(s->request, "\r\nContent-Type: application/json\r\n");
    assert_non_null(found);
    assert_null(strcasestr(found + 4, "Content-Type:"));
    argv_release(&headers);
    http_response_release(&resp);
}

static void test_a_post_without_a_body_says_so(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;
    struct server *s = *state;

    assert_int_equal(ask(s, "HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n",
                         (struct http_request){.method = "POST"}, "/", &resp, &err),
                     0);
    assert_non_null(strstr(s->request, "\r\nContent-Length: 0\r\n"));
    http_response_release(&resp);
}

static void test_a_body_past_the_ceiling_is_refused(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(4);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                         (struct http_request){.method = "GET"}, "/", &resp, &err),
                     -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_non_null(strstr(err.msg, "answer is larger than 4 bytes"));
    http_response_release(&resp);
}

static void test_an_answer_that_breaks_off_is_an_error(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
                         (struct http_request){.method = "GET"}, "/", &resp, &err),
                     -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    http_response_release(&resp);
}

static void test_what_is_not_http_is_an_error(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state, "SSH-2.0-OpenSSH_9.2\r\n", (struct http_request){.method = "GET"},
                         "/", &resp, &err),
                     -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    http_response_release(&resp);
}

static void test_a_silent_server_is_given_up_after_the_timeout(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state, NULL, (struct http_request){.method = "GET", .timeout_ms = 300},
                         "/?token=secret", &resp, &err),
                     -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_non_null(strstr(err.msg, "timed out"));
    assert_null(strstr(err.msg, "secret"));
    http_response_release(&resp);
}

static void test_unreachable_is_remote_and_names_the_host(void **state)
{
    struct server *s = *state;
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;
    struct http_request req = {.method = "GET"};
    char url[100];
    char host[50];

    close(s->fd);
    s->fd = -1;
    (void)snprintf(host, sizeof(host), "127.0.0.1:%d", s->port);
    (void)snprintf(url, sizeof(url), "http://%s/v2/?a=b", host);
    req.url = url;
    assert_int_equal(http_curl.request(NULL, &req, &resp, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_non_null(strstr(err.msg, host));
    http_response_release(&resp);
}

static void test_no_error_ever_shows_a_secret_of_the_url(void **state)
{
    static const char *const urls[] = {
        "http://127.0.0.1:1/path-s3cret?X-Amz-Signature=s3cret",
        "http://127.0.0.1:1?s3cret",
        "http://127.0.0.1:1#s3cret",
        "http://user:s3cret@127.0.0.1:1/",
        "http://user:s3cret@more@127.0.0.1:1/",
        "http://127.0.0.1:99999/?s3cret",
        "http://127.0.0.1:x/?s3cret",
        "http://?s3cret",
        "http:///?s3cret",
        "http://kiln.invalid/?s3cret",
        "http://[::1/?s3cret",
        "http://127.0.0.1:1/ space?s3cret",
        "http://127.0.0.1:1/?s3cret\n",
        "file:///etc/s3cret",
        "ftp://127.0.0.1:1/?s3cret",
        "/?s3cret",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct http_response resp = HTTP_RESPONSE_INIT(100);
        struct error err = ERROR_INIT;
        struct http_request req = {.method = "GET", .url = urls[i], .timeout_ms = 3000};

        if (http_curl.request(NULL, &req, &resp, &err) == 0)
            fail_msg("%s was answered", urls[i]);
        if (strstr(err.msg, "s3cret"))
            fail_msg("%s is shown: %s", urls[i], err.msg);
        http_response_release(&resp);
    }
}

static void test_a_proxy_in_the_environment_is_not_asked_for_loopback(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;
    int result;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    result = ask(*state, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                 (struct http_request){.method = "GET"}, "/", &resp, &err);
    unsetenv("http_proxy");
    assert_int_equal(result, 0);
    http_response_release(&resp);
}

/* ---- bodies by descriptor ---- */

static int make_file(const char *text)
{
    int fd = memfd_create("body", MFD_CLOEXEC);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void test_a_part_of_a_file_is_sent_as_the_body(void **state)
{
    static const char *const methods[] = {"PUT", "PATCH", "POST"};
    CLEANUP_CLOSE int fd = make_file("0123456789");
    const struct http_source source = {.fd = fd, .offset = 3, .len = 5};
    struct server *s = *state;

    for (int i = 0; i < 3; i++) {
        struct http_response resp = HTTP_RESPONSE_INIT(100);
        struct error err = ERROR_INIT;
        char first[40];

        memset(s->request, 0, sizeof(s->request));
        if (ask(s, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
                (struct http_request){.method = methods[i], .source = &source}, "/b", &resp,
                &err) < 0)
            fail_msg("%s", err.msg);
        (void)snprintf(first, sizeof(first), "%s /b HTTP/1.1\r\n", methods[i]);
        assert_memory_equal(s->request, first, strlen(first));
        assert_non_null(strstr(s->request, "\r\nContent-Length: 5\r\n"));
        assert_null(strcasestr(s->request, "\r\nExpect:"));
        assert_null(strcasestr(s->request, "\r\nTransfer-Encoding:"));
        assert_string_equal(strstr(s->request, "\r\n\r\n") + 4, "34567");
        assert_string_equal(buf_str(&resp.body), "ok");
        http_response_release(&resp);
    }
}

static void test_a_file_that_is_shorter_than_said_is_this_machines_fault(void **state)
{
    CLEANUP_CLOSE int fd = make_file("0123456789");
    const struct http_source source = {.fd = fd, .offset = 3, .len = 8};
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;

    assert_int_equal(ask(*state, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
                         (struct http_request){.method = "PUT", .source = &source}, "/b", &resp,
                         &err),
                     -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "shorter"));
    http_response_release(&resp);
}

struct taken {
    struct buf bytes;
    int status;
    bool refuse;
};

static int take(void *self, const struct http_response *resp, const void *data, size_t len,
                struct error *err)
{
    struct taken *t = self;

    t->status = resp->status;
    assert_string_equal(http_header(resp, "x-kind"), "some");
    if (t->refuse)
        return error_set(err, ERR_LIMIT, "no more of this");
    buf_add(&t->bytes, data, len);
    return 0;
}

static int ask_with_sink(struct server *s, const char *answer, struct taken *t,
                         struct http_response *resp, struct error *err)
{
    const struct http_sink sink = {.take = take, .self = t};

    return ask(s, answer, (struct http_request){.method = "GET", .sink = &sink}, "/", resp, err);
}

static void test_a_sink_takes_the_body_of_a_success_and_of_nothing_else(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(3);
    struct taken t = {.bytes = BUF_INIT(100)};
    struct error err = ERROR_INIT;

    assert_int_equal(
        ask_with_sink(*state, "HTTP/1.1 206 Part\r\nX-Kind: some\r\nContent-Length: 5\r\n\r\nhello",
                      &t, &resp, &err),
        0);
    assert_int_equal(t.status, 206);
    assert_string_equal(buf_str(&t.bytes), "hello");
    assert_int_equal(resp.body.len, 0);
    http_response_release(&resp);
    assert_int_equal(ask_with_sink(*state,
                                   "HTTP/1.1 404 No\r\nX-Kind: some\r\nContent-Length: 2\r\n\r\nno",
                                   &t, &resp, &err),
                     0);
    assert_string_equal(buf_str(&t.bytes), "hello");
    assert_string_equal(buf_str(&resp.body), "no");
    http_response_release(&resp);
    buf_release(&t.bytes);
}

static void test_a_sink_that_refuses_ends_the_exchange_with_its_own_words(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct taken t = {.bytes = BUF_INIT(100), .refuse = true};
    struct error err = ERROR_INIT;

    assert_int_equal(
        ask_with_sink(*state, "HTTP/1.1 200 OK\r\nX-Kind: some\r\nContent-Length: 5\r\n\r\nhello",
                      &t, &resp, &err),
        -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.msg, ": no more of this"));
    http_response_release(&resp);
}

static void test_a_server_that_stalls_is_given_up_though_there_is_no_time_limit(void **state)
{
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;
    int64_t before = clock_monotonic();

    assert_int_equal(
        ask(*state, NULL, (struct http_request){.method = "GET", .stall_ms = 1}, "/", &resp, &err),
        -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_true(clock_monotonic() - before < 10 * NS_PER_SEC);
    http_response_release(&resp);
}

static void *throw_soon(void *cancel)
{
    (void)poll(NULL, 0, 300);
    cancel_throw(cancel);
    return NULL;
}

static void test_a_request_that_is_cancelled_ends(void **state)
{
    pthread_t thread;
    struct http_response resp = HTTP_RESPONSE_INIT(100);
    struct error err = ERROR_INIT;
    struct cancel cancel;

    assert_int_equal(cancel_init(&cancel, &err), 0);
    assert_int_equal(pthread_create(&thread, NULL, throw_soon, &cancel), 0);
    assert_int_equal(ask(*state, NULL, (struct http_request){.method = "GET", .cancel = &cancel},
                         "/?s3cret", &resp, &err),
                     -1);
    pthread_join(thread, NULL);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, ": cancelled"));
    assert_null(strstr(err.msg, "s3cret"));
    cancel_release(&cancel);
    http_response_release(&resp);
}

static void test_a_redirect_leads_from_where_it_was_given(void **state)
{
    static const char *const cases[][3] = {
        {"http://a.b:8/c/d?e=f", "g", "http://a.b:8/c/g"},
        {"http://a.b/c/d", "/g?h", "http://a.b/g?h"},
        {"http://a.b/c/d", "../g", "http://a.b/g"},
        {"http://a.b/c", "//d/e", "http://d/e"},
        {"http://a.b/c", "https://d/e", "https://d/e"},
        {"https://user:secret@a.b/c", "http://d/e", "http://d/e"},
        {"http://a.b/c", "file:///etc/passwd", NULL},
        {"http://a.b/c", "http://", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(buf_release) struct buf url = BUF_INIT(200);
        struct error err = ERROR_INIT;

        buf_adds(&url, cases[i][0]);
        if (!cases[i][2]) {
            assert_int_equal(http_resolve(&url, cases[i][1], &err), -1);
            assert_int_equal(err.kind, ERR_INPUT);
            continue;
        }
        assert_int_equal(http_resolve(&url, cases[i][1], &err), 0);
        assert_string_equal(buf_str(&url), cases[i][2]);
    }
}

static int start(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    return http_setup(&err);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_status_headers_and_body_are_read),
        TEST(test_any_status_is_an_answer),
        TEST(test_redirects_are_not_followed),
        cmocka_unit_test(test_a_redirect_leads_from_where_it_was_given),
        TEST(test_headers_of_an_interim_answer_are_forgotten),
        TEST(test_head_gets_headers_and_waits_for_no_body),
        TEST(test_the_body_and_the_callers_headers_are_sent_and_no_others),
        TEST(test_a_content_type_of_the_caller_is_sent_once),
        TEST(test_a_post_without_a_body_says_so),
        TEST(test_a_body_past_the_ceiling_is_refused),
        TEST(test_an_answer_that_breaks_off_is_an_error),
        TEST(test_what_is_not_http_is_an_error),
        TEST(test_a_silent_server_is_given_up_after_the_timeout),
        TEST(test_unreachable_is_remote_and_names_the_host),
        TEST(test_no_error_ever_shows_a_secret_of_the_url),
        TEST(test_a_proxy_in_the_environment_is_not_asked_for_loopback),
        TEST(test_a_part_of_a_file_is_sent_as_the_body),
        TEST(test_a_file_that_is_shorter_than_said_is_this_machines_fault),
        TEST(test_a_sink_takes_the_body_of_a_success_and_of_nothing_else),
        TEST(test_a_sink_that_refuses_ends_the_exchange_with_its_own_words),
        TEST(test_a_server_that_stalls_is_given_up_though_there_is_no_time_limit),
        TEST(test_a_request_that_is_cancelled_ends),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
