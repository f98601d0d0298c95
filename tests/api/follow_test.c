/* Logs that are followed while their builds run: chunks, heartbeats, the end, and coming back. */
#include "wire.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define PATIENCE 60 /* s, for what happens at once on a quiet machine */

/* An answer on its way, its chunks put together. */
struct follower {
    int fd;
    char raw[ANSWER_MAX]; /* what is not taken apart yet */
    size_t len;
    char head[2048];
    char body[ANSWER_MAX];
    size_t body_len;
    bool ended; /* by a last chunk */
    bool lost;  /* the connection is */
};

static struct build begin(struct wire *w, const char *name)
{
    char target[512];

    wire_announce(w, name, target);
    assert_int_equal(ask(w->f, "PUT", target, "PK")->status, 200);
    return claim(w->f);
}

static void follow_as(struct wire *w, const char *key, const char *query, struct follower *ret)
{
    char request[512];

    memset(ret, 0, sizeof(*ret));
    ret->fd = wire_connect(w);
    (void)snprintf(request, sizeof(request),
                   "GET /v0/sandboxes/s/build-logs?%s HTTP/1.1\r\nHost: %s\r\nAuthorization: "
                   "Bearer %s\r\n\r\n",
                   query, w->host, key);
    assert_true(wire_sends(ret->fd, request));
}

static void follow(struct wire *w, const char *query, struct follower *ret)
{
    follow_as(w, w->f->key, query, ret);
}

static void drop(struct follower *f, size_t n)
{
    memmove(f->raw, f->raw + n, f->len - n);
    f->len -= n;
    f->raw[f->len] = '\0';
}

static bool take_head(struct follower *f)
{
    char *end = strstr(f->raw, "\r\n\r\n");

    if (!end)
        return false;
    (void)snprintf(f->head, sizeof(f->head), "%.*s", (int)(end + 4 - f->raw), f->raw);
    drop(f, (size_t)(end + 4 - f->raw));
    return true;
}

static bool take_chunk(struct follower *f)
{
    char *line = strstr(f->raw, "\r\n");
    size_t size = strtoul(f->raw, NULL, 16);
    size_t start = line ? (size_t)(line + 2 - f->raw) : 0;

    if (!line || f->len < start + size + 2)
        return false;
    assert_true(f->body_len + size < sizeof(f->body));
    memcpy(f->body + f->body_len, f->raw + start, size);
    f->body_len += size;
    f->body[f->body_len] = '\0';
    f->ended = size == 0;
    drop(f, start + size + 2);
    return !f->ended;
}

/* One read, and what it completes. */
static void hear(struct follower *f)
{
    struct pollfd p = {.fd = f->fd, .events = POLLIN};
    ssize_t n;

    if (poll(&p, 1, 100) <= 0)
        return;
    n = recv(f->fd, f->raw + f->len, sizeof(f->raw) - 1 - f->len, 0);
    f->lost = n <= 0;
    f->len += n > 0 ? (size_t)n : 0;
    f->raw[f->len] = '\0';
    if (f->head[0] || take_head(f))
        while (take_chunk(f))
            ;
}

static bool is_over(const struct follower *f)
{
    return f->ended || f->lost;
}

static int64_t deadline(void)
{
    return clock_monotonic() + PATIENCE * NS_PER_SEC;
}

static void hear_until_over(struct follower *f)
{
    for (int64_t until = deadline(); !is_over(f) && clock_monotonic() < until;)
        hear(f);
    assert_true(is_over(f));
    close(f->fd);
}

static void hear_until(struct follower *f, const char *text)
{
    for (int64_t until = deadline(); !strstr(f->body, text) && clock_monotonic() < until;)
        hear(f);
    assert_non_null(strstr(f->body, text));
    assert_false(is_over(f));
}

static void hear_head(struct follower *f)
{
    for (int64_t until = deadline(); !f->head[0] && clock_monotonic() < until;)
        hear(f);
    assert_true(f->head[0]);
}

/* The clock is the tests': the end shows when they say so. */
static void end_visibly(struct wire *w, const struct build *b)
{
    succeed(w->f, b);
    w->f->now += 60 * NS_PER_SEC;
}

/* Without the lines that are empty, which are heartbeats. */
static void lines_of(const struct follower *f, char out[ANSWER_MAX])
{
    size_t n = 0;

    for (const char *at = f->body; *at; at += strcspn(at, "\n") + 1)
        if (*at != '\n')
            n += (size_t)snprintf(out + n, ANSWER_MAX - n, "%.*s|", (int)strcspn(at, "\n"), at);
    out[n] = '\0';
}

static struct follower f, g; /* large */
static char lines[ANSWER_MAX];

static void test_a_log_is_followed_until_its_build_is_over(void **state)
{
    struct wire *w = wire_of(state);
    struct build b = begin(w, "s");

    say(w->f, &b, LOG_INFO, "one");
    follow(w, "follow=true", &f);
    hear_until(&f, "one\n");
    assert_int_equal(wire_status(f.head), 200);
    assert_non_null(strcasestr(f.head, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_non_null(strcasestr(f.head, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
    say(w->f, &b, LOG_INFO, "two");
    hear_until(&f, "two\n");
    say(w->f, &b, LOG_INFO, "");
    say(w->f, &b, LOG_ERROR, "three");
    end_visibly(w, &b);
    hear_until_over(&f);
    assert_true(f.ended);
    lines_of(&f, lines);
    assert_string_equal(lines, "one|two| |three|");
}

static void test_silence_is_broken_by_heartbeats(void **state)
{
    struct wire *w = wire_of(state);
    struct build b = begin(w, "s");

    follow(w, "follow=true", &f);
    follow(w, "follow=true&format=jsonl", &g);
    hear_until(&f, "\n\n"); /* two, so that the connection outlived the first */
    hear_until(&g, "\"seq\":0");
    say(w->f, &b, LOG_INFO, "late");
    hear_until(&f, "\nlate\n");
    hear_until(&g, "\"text\":\"late\"}\n");
    hear_until(&g, "{\"seq\":1,\"time\":\"2026-01-01T00:00:00.000000000Z\",\"heartbeat\":true}\n");
    end_visibly(w, &b);
    hear_until_over(&f);
    hear_until_over(&g);
}

/* Counting the lines that are not empty, as a client does. */
static void test_a_lost_connection_is_taken_up_where_it_was(void **state)
{
    struct wire *w = wire_of(state);
    struct build b = begin(w, "s");
    char query[64], text[32];
    unsigned have = 0;

    for (int i = 0; i < 5; i++) {
        (void)snprintf(text, sizeof(text), "line %d", i);
        say(w->f, &b, LOG_INFO, text);
        (void)snprintf(query, sizeof(query), "follow=true&offset=%u", have);
        follow(w, query, &f);
        hear_until(&f, text);
        close(f.fd);
        lines_of(&f, lines);
        (void)snprintf(query, sizeof(query), "%s|", text);
        assert_string_equal(lines, query); /* neither more nor less than the new one */
        have++;
    }
    end_visibly(w, &b);
    follow(w, "follow=true&format=jsonl&after=3", &g);
    hear_until_over(&g);
    assert_true(g.ended);
    assert_int_equal(strncmp(g.body, "{\"seq\":4,", 9), 0);
    assert_non_null(strstr(g.body, "\n{\"seq\":5,"));
    assert_null(strstr(g.body, "\"seq\":6"));
}

static void test_a_long_log_comes_whole(void **state)
{
    struct wire *w = wire_of(state);
    struct build b = begin(w, "s");
    unsigned n = 0;
    char *at = f.body;
    char text[16];

    for (int i = 0; i < 3000; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        say(w->f, &b, LOG_INFO, text);
    }
    end_visibly(w, &b);
    follow(w, "follow=true", &f);
    hear_until_over(&f);
    assert_true(f.ended);
    for (; *at; at = strchr(at, '\n') + 1)
        assert_int_equal(strtoul(at, NULL, 10), n++);
    assert_int_equal(n, 3000);
}

static void test_what_came_and_went_meanwhile_is_told(void **state)
{
    struct wire *w = wire_of(state);
    struct build b = begin(w, "s");
    struct error err;
    bool more;

    for (int i = 0; i < 1100; i++)
        say(w->f, &b, LOG_INFO, "line");
    end_visibly(w, &b);
    assert_int_equal(state_log_remove_old(w->f->config.state, w->f->now, &more, &err), 0);
    follow(w, "follow=true&format=jsonl&after=10", &f);
    hear_until_over(&f);
    assert_int_equal(strncmp(f.body, "{\"seq\":1000,", 12), 0);
    assert_non_null(strstr(f.body, "was removed"));
    follow(w, "follow=true&format=jsonl&after=1000", &f);
    hear_until_over(&f);
    assert_int_equal(strncmp(f.body, "{\"seq\":1001,", 12), 0);
    assert_null(strstr(f.body, "was removed"));
}

/* Two for a workspace, three in all: wire.c. */
static void test_only_so_many_may_follow(void **state)
{
    struct wire *w = wire_of(state);
    struct build b = begin(w, "s");
    struct follower third;
    int64_t until = deadline();

    follow(w, "follow=true", &f);
    follow(w, "follow=true", &g);
    hear_head(&f);
    hear_head(&g);
    follow(w, "follow=true", &third);
    hear_head(&third);
    assert_int_equal(wire_status(third.head), 429);
    assert_non_null(strcasestr(third.head, "\r\nRetry-After: 5\r\n"));
    close(third.fd);
    follow_as(w, w->f->other_key, "follow=true", &third); /* it has no such build, but a place */
    hear_head(&third);
    assert_int_equal(wire_status(third.head), 404);
    close(third.fd);
    close(f.fd); /* gone: its place is free again */
    do {
        follow(w, "follow=true", &third);
        hear_head(&third);
        if (wire_status(third.head) == 429)
            close(third.fd);
    } while (wire_status(third.head) == 429 && clock_monotonic() < until);
    assert_int_equal(wire_status(third.head), 200);
    end_visibly(w, &b);
    hear_until_over(&g);
    hear_until_over(&third);
}

static void test_a_server_that_stops_cuts_the_answer(void **state)
{
    struct wire *w = wire_of(state);

    (void)begin(w, "s");
    follow(w, "follow=true", &f);
    hear_head(&f);
    api_server_stop(w->server);
    w->server = NULL;
    hear_until_over(&f);
    assert_false(f.ended); /* so that the client knows there is more */
}

static void test_head_and_pages_are_not_followed(void **state)
{
    struct wire *w = wire_of(state);
    char request[512], answer[ANSWER_MAX];

    (void)begin(w, "s");
    (void)snprintf(request, sizeof(request),
                   "HEAD /v0/sandboxes/s/build-logs?follow=true HTTP/1.1\r\nHost: h\r\n"
                   "Authorization: Bearer %s\r\nConnection: close\r\n\r\n",
                   w->f->key);
    assert_int_equal(wire_exchange(w, request, answer), 200);
    (void)snprintf(request, sizeof(request),
                   "GET /v0/sandboxes/s/build-logs?follow=true HTTP/1.1\r\nHost: h\r\n"
                   "Accept: application/json\r\nAuthorization: Bearer %s\r\n\r\n",
                   w->f->key);
    assert_int_equal(wire_exchange(w, request, answer), 200);
    assert_non_null(strstr(answer, "\"totalCount\":0"));
}

/* By the streams' thread, and by one of its own. */
#define FOLLOW_TEST(name)                                                                          \
    WIRE_TEST(name),                                                                               \
    {                                                                                              \
#name " (held)", name, wire_setup_held, wire_teardown, NULL                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLLOW_TEST(test_a_log_is_followed_until_its_build_is_over),
        FOLLOW_TEST(test_silence_is_broken_by_heartbeats),
        FOLLOW_TEST(test_a_lost_connection_is_taken_up_where_it_was),
        FOLLOW_TEST(test_a_long_log_comes_whole),
        FOLLOW_TEST(test_what_came_and_went_meanwhile_is_told),
        FOLLOW_TEST(test_only_so_many_may_follow),
        FOLLOW_TEST(test_a_server_that_stops_cuts_the_answer),
        FOLLOW_TEST(test_head_and_pages_are_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
