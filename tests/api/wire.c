#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static int start(void **state, int seconds, bool hold)
{
    struct api_server_limits limits = api_server_limits_default;
    struct wire *w = calloc(1, sizeof(*w));
    void *fixture;
    struct error err;

    assert_non_null(w);
    assert_int_equal(fixture_setup(&fixture), 0);
    w->f = fixture;
    limits.idle_seconds = (unsigned)seconds;
    limits.connections_max = 8;
    limits.slow_after_ns = seconds * NS_PER_SEC;
    limits.stop_ns = seconds * NS_PER_SEC;
    limits.followers_max = 3;
    limits.followers_max_each = 2;
    limits.hold = hold;
    limits.heartbeat_ns = 300 * NS_PER_MS;
    assert_int_equal(api_server_start_with(&w->f->config, &limits, "127.0.0.1:0", &w->server, &err),
                     0);
    (void)snprintf(w->host, sizeof(w->host), "127.0.0.1:%d", api_server_port(w->server));
    *state = w;
    return 0;
}

int wire_setup(void **state)
{
    return start(state, 1, false);
}

int wire_setup_patient(void **state)
{
    return start(state, 60, false);
}

int wire_setup_held(void **state)
{
    return start(state, 1, true);
}

int wire_teardown(void **state)
{
    struct wire *w = *state;
    void *fixture = w->f;

    api_server_stop(w->server);
    free(w);
    return fixture_teardown(&fixture);
}

int wire_connect(struct wire *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)api_server_port(w->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

bool wire_send(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool wire_sends(int fd, const char *text)
{
    return wire_send(fd, text, strlen(text));
}

/* One read, -1 when the time is over. */
static ssize_t read_some(int fd, int timeout_ms, char *to, size_t room)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (timeout_ms < 0 || poll(&p, 1, timeout_ms) <= 0)
        return -1;
    return recv(fd, to, room, 0);
}

void wire_read_all(int fd, int seconds, char answer[ANSWER_MAX])
{
    int64_t deadline = clock_monotonic() + seconds * NS_PER_SEC;
    size_t len = 0;

    while (len + 1 < ANSWER_MAX) {
        int64_t left = (deadline - clock_monotonic()) / NS_PER_MS;
        ssize_t n = read_some(fd, (int)left, answer + len, ANSWER_MAX - 1 - len);

        if (n <= 0)
            break;
        len += (size_t)n;
    }
    answer[len] = '\0';
    close(fd);
}

static bool is_whole(const char *answer, size_t len)
{
    const char *end = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\r\nContent-Length:");

    if (!end)
        return false;
    if (!length || length > end)
        return true;
    return len >= (size_t)(end + 4 - answer) + strtoull(length + 17, NULL, 10);
}

/* Reads a byte at a time, so that a pipelined answer behind it stays where it is. */
void wire_read_one(int fd, char answer[ANSWER_MAX])
{
    size_t len = 0;

    answer[0] = '\0';
    while (!is_whole(answer, len) && len + 1 < ANSWER_MAX) {
        if (read_some(fd, 60000, answer + len, 1) <= 0)
            return;
        answer[++len] = '\0';
    }
}

int wire_status(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

int wire_exchange(struct wire *w, const char *request, char answer[ANSWER_MAX])
{
    int fd = wire_connect(w);

    (void)wire_sends(fd, request);
    wire_read_one(fd, answer);
    close(fd);
    return wire_status(answer);
}

void wire_announce(struct wire *w, const char *name, char target[512])
{
    char body[128];

    (void)snprintf(body, sizeof(body), "{\"name\":\"%s\",\"resourceType\":\"sandbox\"}", name);
    (void)snprintf(target, 512, "%s",
                   upload_target(ask(w->f, "POST", "/v0/images?upload=true", body)));
}

const char *wire_image_status(struct wire *w, const char *name)
{
    char target[128];

    (void)snprintf(target, sizeof(target), "/v0/images/sandbox/%s", name);
    return text_at(ask(w->f, "GET", target, NULL), "metadata.status");
}
