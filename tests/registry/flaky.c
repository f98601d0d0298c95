/* See the header.  One request for each connection. */
#include "tests/registry/flaky.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "base/text.h"

#define BODY_MAX (64u << 20)

struct request {
    int fd;
    char head[8192];
    size_t head_len;
    char method[8];
    size_t body_len; /* as announced */
    size_t begun;    /* bytes of the body that came with the head, after head_len */
    uint64_t from;   /* of a Range or Content-Range */
    const struct flaky_fault *fault;
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

/* ---- reading ---- */

static bool read_head(struct request *r)
{
    size_t len = 0;
    const char *end = NULL;

    while (!end && len + 1 < sizeof(r->head)) {
        ssize_t n = recv(r->fd, r->head + len, sizeof(r->head) - 1 - len, 0);

        if (n <= 0)
            return false;
        len += (size_t)n;
        r->head[len] = '\0';
        end = strstr(r->head, "\r\n\r\n");
    }
    must(end != NULL, "a head that ends");
    r->head_len = (size_t)(end + 4 - r->head);
    r->begun = len - r->head_len;
    return true;
}

static uint64_t number_in(const struct request *r, const char *name)
{
    const char *at = strcasestr(r->head, name);

    return at && at < r->head + r->head_len ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* Adds up to max bytes of the body to out. */
static void read_body(const struct request *r, size_t max, struct buf *out)
{
    size_t want = r->body_len < max ? r->body_len : max;
    size_t got = r->begun < want ? r->begun : want;
    char block[65536];

    buf_add(out, r->head + r->head_len, got);
    while (got < want) {
        size_t room = sizeof(block) < want - got ? sizeof(block) : want - got;
        ssize_t n = recv(r->fd, block, room, 0);

        if (n <= 0)
            return;
        buf_add(out, block, (size_t)n);
        got += (size_t)n;
    }
}

/* ---- answering ---- */

static void reset(const struct request *r)
{
    const struct linger at_once = {.l_onoff = 1};

    (void)setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void answer(const struct request *r, int status, const char *headers, const char *body,
                   size_t len)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(BODY_MAX);
    size_t sent = 0;
    bool head_only = strcmp(r->method, "HEAD") == 0;

    if (r->fault && r->fault->how == FLAKY_NO_ANSWER) {
        reset(r);
        return;
    }
    buf_addf(&out, "HTTP/1.1 %d Whatever\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
             status, len, headers);
    if (r->fault && r->fault->how == FLAKY_CUT && r->fault->n < len)
        len = r->fault->n;
    buf_add(&out, body, head_only ? 0 : len);
    while (sent < out.len) {
        ssize_t n = send(r->fd, out.data + sent, out.len - sent, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        sent += (size_t)n;
    }
}

static void location(const struct flaky *f, char *out, size_t size)
{
    if (f->upload.len == 0)
        (void)snprintf(out, size, "Location: /up/load?state=%zu\r\n", f->upload.len);
    else
        (void)snprintf(out, size, "Location: %s/up/load?state=%zu\r\nRange: 0-%zu\r\n", f->url,
                       f->upload.len, f->upload.len - 1);
}

/* ---- requests ---- */

static void on_body(struct flaky *f, struct request *r)
{
    bool cut = r->fault && r->fault->how == FLAKY_CUT;
    size_t before = f->upload.len;
    char headers[300], hex[SHA256_HEX];
    const char *digest = strstr(r->head, "digest=sha256:");

    if (strcmp(r->method, "PATCH") == 0 && r->from != f->upload.len) {
        answer(r, 416, "", "", 0);
        return;
    }
    read_body(r, cut ? r->fault->n : SIZE_MAX, &f->upload);
    buf_addf(&f->log, "%s %zu\n", r->method, f->upload.len - before);
    if (cut) {
        reset(r);
        return;
    }
    location(f, headers, sizeof(headers));
    if (strcmp(r->method, "PATCH") == 0) {
        answer(r, 202, headers, "", 0);
        return;
    }
    digest_sha256_hex(buf_str(&f->upload), f->upload.len, hex);
    if (!digest || strncmp(digest + 14, hex, 64) != 0) {
        answer(r, 400, "", "", 0);
        return;
    }
    buf_clear(&f->blob);
    buf_add(&f->blob, buf_str(&f->upload), f->upload.len);
    f->has_blob = true;
    answer(r, 201, "", "", 0);
}

static void on_upload_state(struct flaky *f, struct request *r)
{
    char headers[300];

    buf_addf(&f->log, "GET upload\n");
    location(f, headers, sizeof(headers));
    if (r->fault && r->fault->how == FLAKY_FORGET)
        answer(r, 404, "", "", 0);
    else
        answer(r, 204, headers, "", 0);
}

static void on_blob(struct flaky *f, struct request *r)
{
    bool all = r->from == 0 || (r->fault && r->fault->how == FLAKY_NO_RANGE);
    uint64_t from = all ? 0 : r->from;
    char headers[100] = "";

    buf_addf(&f->log, "%s from %" PRIu64 "\n", r->method, r->from);
    if (!f->has_blob) {
        answer(r, 404, "", "", 0);
        return;
    }
    if (r->fault && r->fault->how == FLAKY_OTHER_PART)
        from++;
    if (!all)
        (void)snprintf(headers, sizeof(headers), "Content-Range: bytes %" PRIu64 "-%zu/%zu\r\n",
                       from, f->blob.len - 1, f->blob.len);
    answer(r, all ? 200 : 206, headers, buf_str(&f->blob) + from, f->blob.len - (size_t)from);
}

static void on_request(struct flaky *f, struct request *r)
{
    char header[200];

    if (r->fault && r->fault->how == FLAKY_SILENT) {
        (void)poll(&(struct pollfd){.fd = f->stop.fd, .events = POLLIN}, 1, 20000);
    } else if (r->fault && r->fault->how == FLAKY_STATUS) {
        CLEANUP(buf_release) struct buf ignored = BUF_INIT(BODY_MAX);

        read_body(r, SIZE_MAX, &ignored);
        buf_addf(&f->log, "%s %u\n", r->method, r->fault->n);
        (void)snprintf(header, sizeof(header), "%s%s", r->fault->header ? r->fault->header : "",
                       r->fault->header ? "\r\n" : "");
        answer(r, (int)r->fault->n, header, "", 0);
    } else if (strcmp(r->method, "POST") == 0) {
        buf_clear(&f->upload);
        buf_adds(&f->log, "POST\n");
        location(f, header, sizeof(header));
        answer(r, 202, header, "", 0);
    } else if (strcmp(r->method, "PUT") == 0 || strcmp(r->method, "PATCH") == 0) {
        on_body(f, r);
    } else if (strstr(r->head, "/up/load") && strcmp(r->method, "GET") == 0) {
        on_upload_state(f, r);
    } else {
        on_blob(f, r);
    }
}

static const struct flaky_fault *next_fault(struct flaky *f, const char *method)
{
    for (size_t i = 0; i < f->n_faults; i++)
        if (!(f->used & UINT64_C(1) << i) && strcmp(f->faults[i].method, method) == 0) {
            f->used |= UINT64_C(1) << i;
            return &f->faults[i];
        }
    return NULL;
}

static void *serve(void *self)
{
    struct flaky *f = self;

    for (;;) {
        struct request r = {.fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC)};

        if (r.fd < 0)
            return NULL;
        if (read_head(&r)) {
            (void)snprintf(r.method, sizeof(r.method), "%.*s", (int)strcspn(r.head, " "), r.head);
            r.body_len = number_in(&r, "\r\nContent-Length:");
            r.from = number_in(&r, "\r\nRange: bytes=") + number_in(&r, "\r\nContent-Range: ");
            r.fault = next_fault(f, r.method);
            on_request(f, &r);
        }
        close(r.fd);
    }
}

struct flaky *flaky_start(const struct flaky_fault *faults, size_t n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    struct flaky *f = calloc(1, sizeof(*f));
    struct error err = ERROR_INIT;

    must(f != NULL && n <= 64, "flaky");
    f->faults = faults;
    f->n_faults = n;
    f->upload = f->blob = (struct buf)BUF_INIT(BODY_MAX);
    f->log = (struct buf)BUF_INIT(65536);
    must(cancel_init(&f->stop, &err) == 0, "cancel");
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(f->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(f->fd, 16) == 0 &&
             getsockname(f->fd, (struct sockaddr *)&a, &len) == 0,
         "listen");
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", ntohs(a.sin_port));
    f->registry = (struct registry){.url = f->url, .http = &http_curl, .wait_ms = 1};
    must(pthread_create(&f->thread, NULL, serve, f) == 0, "thread");
    return f;
}

void flaky_free(struct flaky *f)
{
    if (!f)
        return;
    cancel_throw(&f->stop);
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->fd);
    cancel_release(&f->stop);
    buf_release(&f->upload);
    buf_release(&f->blob);
    buf_release(&f->log);
    free(f);
}
