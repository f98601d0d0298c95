/* Uploads as bytes on a socket: whatever breaks, nothing changes. */
#include "wire.h"

#include <string.h>
#include <sys/socket.h>

static bool put_head(int fd, const char *target, const char *headers)
{
    CLEANUP(buf_release) struct buf head = BUF_INIT(4096);

    buf_addf(&head, "PUT %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/zip\r\n%s\r\n", target,
             headers);
    return wire_send(fd, head.data, head.len);
}

static int put(struct wire *w, const char *target, const char *headers, const char *body,
               char answer[ANSWER_MAX])
{
    int fd = wire_connect(w);

    assert_true(put_head(fd, target, headers));
    (void)wire_sends(fd, body);
    wire_read_one(fd, answer);
    close(fd);
    return wire_status(answer);
}

/* Waits until the server has done with a lost connection, as its log tells. */
static void wait_for_log(struct wire *w, const char *text)
{
    bool found = false;

    for (int i = 0; i < 6000 && !found; i++) {
        pthread_mutex_lock(&w->f->log_lock);
        found = strstr(buf_str(&w->f->log), text) != NULL;
        pthread_mutex_unlock(&w->f->log_lock);
        usleep(10000);
    }
    assert_true(found);
}

/* The server may have answered before it has removed what it did not take. */
static void wait_for_archives(struct wire *w, size_t n)
{
    for (int i = 0; i < 6000 && archives(w->f) != n; i++)
        usleep(10000);
    assert_int_equal(archives(w->f), n);
}

static void assert_unchanged(struct wire *w, const char *target)
{
    char answer[ANSWER_MAX];

    wait_for_archives(w, 0);
    assert_string_equal(wire_image_status(w, "a"), "UPLOADING");
    assert_int_equal(put(w, target, "Content-Length: 2\r\n", "PK", answer), 200);
}

static void test_an_upload_is_answered_with_200_and_nothing_else(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];

    wire_announce(w, "a", target);
    assert_int_equal(put(w, target, "Content-Length: 2\r\n", "PK", answer), 200);
    assert_non_null(strcasestr(answer, "\r\nContent-Length: 0\r\n"));
    assert_string_equal(wire_image_status(w, "a"), "BUILDING");
    assert_int_equal(archives(w->f), 1);
}

static void test_a_chunked_upload_is_taken(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];

    wire_announce(w, "a", target);
    assert_int_equal(put(w, target, "Transfer-Encoding: chunked\r\n",
                         "2\r\nPK\r\n7\r\narchive\r\n0\r\n\r\n", answer),
                     200);
    assert_int_equal(claim(w->f).archive_size, 9);
}

static void test_expect_100_continue_is_answered(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];
    int fd = wire_connect(w);

    wire_announce(w, "a", target);
    assert_true(put_head(fd, target, "Content-Length: 2\r\nExpect: 100-continue\r\n"));
    wire_read_one(fd, answer);
    assert_int_equal(wire_status(answer), 100);
    assert_true(wire_sends(fd, "PK"));
    wire_read_one(fd, answer);
    assert_int_equal(wire_status(answer), 200);
    close(fd);
}

static void test_a_refused_upload_need_not_be_sent(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];
    int fd = wire_connect(w);

    wire_announce(w, "a", target);
    target[strlen(target) - 1] ^= 1;
    assert_true(put_head(fd, target, "Content-Length: 900000\r\nExpect: 100-continue\r\n"));
    wire_read_one(fd, answer);
    assert_int_equal(wire_status(answer), 403);
    close(fd);
}

static void test_a_truncated_upload_changes_nothing(void **state)
{
    static const struct {
        const char *headers, *body;
    } cases[] = {
        {"Content-Length: 100\r\n", "PK"},
        {"Content-Length: 100\r\n", ""},
        {"Transfer-Encoding: chunked\r\n", "10\r\nPK"},
        {"Transfer-Encoding: chunked\r\n", "2\r\nPK\r\n"},
        {"Transfer-Encoding: chunked\r\n", "2\r\nPK\r\n0\r\n"},
        {"Transfer-Encoding: chunked\r\n", "2\r\nPK\r\nnonsense\r\n"},
    };
    struct wire *w = wire_of(state);
    char target[512];

    wire_announce(w, "a", target);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char answer[ANSWER_MAX];
        int fd = wire_connect(w);

        assert_true(put_head(fd, target, cases[i].headers));
        assert_true(wire_sends(fd, cases[i].body));
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        wire_read_all(fd, 60, answer);
        assert_int_not_equal(wire_status(answer), 200);
        pthread_mutex_lock(&w->f->log_lock);
        buf_clear(&w->f->log);
        pthread_mutex_unlock(&w->f->log_lock);
    }
    assert_unchanged(w, target);
}

static void test_a_lost_connection_leaves_nothing_behind(void **state)
{
    struct wire *w = wire_of(state);
    char target[512];
    int fd = wire_connect(w);

    wire_announce(w, "a", target);
    assert_true(put_head(fd, target, "Content-Length: 100000\r\n"));
    assert_true(wire_sends(fd, "half of it"));
    wait_for_archives(w, 1); /* on its way */
    close(fd);
    wait_for_log(w, "(connection lost)");
    assert_unchanged(w, target);
}

static void test_an_oversized_upload_is_refused_before_it_is_sent(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];

    wire_announce(w, "a", target);
    assert_int_equal(put(w, target, "Content-Length: 1000001\r\n", "", answer), 413);
    assert_non_null(strstr(answer, "upload_too_large"));
    assert_unchanged(w, target);
}

static void test_a_used_url_is_refused_before_the_body_is_sent(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];

    wire_announce(w, "a", target);
    assert_int_equal(put(w, target, "Content-Length: 2\r\n", "PK", answer), 200);
    assert_int_equal(put(w, target, "Content-Length: 900000\r\n", "", answer), 409);
    assert_int_equal(archives(w->f), 1);
}

/* A client that sends first and reads then must still be able to read the answer. */
static void test_a_client_that_sends_all_reads_the_refusal(void **state)
{
    struct wire *w = wire_of(state);
    char *body = calloc(1, 20000000);
    char answer[ANSWER_MAX];
    char target[512];
    int fd = wire_connect(w);

    assert_non_null(body);
    wire_announce(w, "a", target);
    assert_true(put_head(fd, target, "Content-Length: 20000000\r\n"));
    assert_true(wire_send(fd, body, 20000000));
    free(body);
    wire_read_all(fd, 60, answer);
    assert_int_equal(wire_status(answer), 413);
    assert_unchanged(w, target);
}

static void test_a_chunked_upload_that_grows_too_large_is_refused(void **state)
{
    CLEANUP(buf_release) struct buf body = BUF_INIT(4 << 20);
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];
    int fd = wire_connect(w);

    wire_announce(w, "a", target);
    for (int i = 0; i < 20; i++) {
        buf_adds(&body, "10000\r\n");
        for (int j = 0; j < 0x10000; j++)
            buf_addc(&body, 'x');
        buf_adds(&body, "\r\n");
    }
    buf_adds(&body, "0\r\n\r\n");
    assert_true(put_head(fd, target, "Transfer-Encoding: chunked\r\n"));
    assert_true(wire_send(fd, body.data, body.len));
    wire_read_one(fd, answer);
    close(fd);
    assert_int_equal(wire_status(answer), 413);
    assert_unchanged(w, target);
}

static void test_expired_replayed_and_foreign_urls_are_refused(void **state)
{
    struct wire *w = wire_of(state);
    char answer[ANSWER_MAX];
    char target[512];

    wire_announce(w, "a", target);
    assert_int_equal(put(w, target, "Content-Length: 2\r\n", "PK", answer), 200);
    assert_int_equal(put(w, target, "Content-Length: 2\r\n", "PK", answer), 409);
    assert_non_null(strstr(answer, "upload_url_used"));
    strstr(target, "/acme/")[4] = 'f';
    assert_int_equal(put(w, target, "Content-Length: 2\r\n", "PK", answer), 403);
    wire_announce(w, "b", target);
    api_server_stop(w->server); /* the clock is turned while nobody looks at it */
    w->server = NULL;
    w->f->now += 4000 * NS_PER_SEC;
    assert_error(ask(w->f, "PUT", target, "PK"), 403, "upload_url_expired");
    assert_null(strstr(buf_str(&w->f->log), "signature"));
}

struct racer {
    struct wire *w;
    const char *target;
    pthread_barrier_t *start;
    int status;
};

static void *race(void *self)
{
    struct racer *r = self;
    char answer[ANSWER_MAX];
    int fd = wire_connect(r->w);

    (void)put_head(fd, r->target, "Content-Length: 4\r\n");
    (void)wire_sends(fd, "PK");
    usleep(100000); /* both are past every check that comes before the body */
    (void)pthread_barrier_wait(r->start);
    (void)wire_sends(fd, "zz");
    wire_read_one(fd, answer);
    close(fd);
    r->status = wire_status(answer);
    return NULL;
}

static void test_of_two_uploads_at_once_one_wins(void **state)
{
    struct wire *w = wire_of(state);
    struct racer racers[2];
    pthread_barrier_t start;
    pthread_t threads[2];
    char target[512];

    wire_announce(w, "a", target);
    assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
    for (size_t i = 0; i < 2; i++) {
        racers[i] = (struct racer){.w = w, .target = target, .start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&start);
    assert_int_equal(racers[0].status + racers[1].status, 200 + 409);
    wait_for_archives(w, 1);
    assert_string_equal(wire_image_status(w, "a"), "BUILDING");
}

static void test_other_methods_are_not_allowed(void **state)
{
    struct wire *w = wire_of(state);
    char request[1024];
    char answer[ANSWER_MAX];
    char target[512];

    wire_announce(w, "a", target);
    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target);
    assert_int_equal(wire_exchange(w, request, answer), 405);
    assert_non_null(strstr(answer, "\r\nAllow: PUT\r\n"));
    (void)snprintf(request, sizeof(request),
                   "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nPK", target);
    assert_int_equal(wire_exchange(w, request, answer), 405);
    assert_unchanged(w, target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(test_an_upload_is_answered_with_200_and_nothing_else),
        WIRE_TEST(test_a_chunked_upload_is_taken),
        WIRE_TEST(test_expect_100_continue_is_answered),
        WIRE_TEST(test_a_refused_upload_need_not_be_sent),
        WIRE_TEST(test_a_truncated_upload_changes_nothing),
        PATIENT_TEST(test_a_lost_connection_leaves_nothing_behind),
        WIRE_TEST(test_an_oversized_upload_is_refused_before_it_is_sent),
        WIRE_TEST(test_a_used_url_is_refused_before_the_body_is_sent),
        WIRE_TEST(test_a_client_that_sends_all_reads_the_refusal),
        WIRE_TEST(test_a_chunked_upload_that_grows_too_large_is_refused),
        WIRE_TEST(test_expired_replayed_and_foreign_urls_are_refused),
        PATIENT_TEST(test_of_two_uploads_at_once_one_wins),
        WIRE_TEST(test_other_methods_are_not_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
