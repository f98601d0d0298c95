/* registry/relay — one repository of a registry, served on loopback to a program that pulls.
 *
 * What is asked for by the program is asked of the registry as often as it takes, and within a blob
 * from the byte where it broke off; so the program sees one connection that is slow at worst.  Only
 * blobs that a manifest has named are asked for, and of no more bytes than that said. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "base/text.h"
#include "registry/exchange.h"
#include "registry/manifest.h"
#include "registry/relay_request.h"

#define HEAD_MAX     16384
#define CLIENTS_MAX  64
#define LAYERS_MAX   500       /* of an image: an overlay takes no more */
#define BLOBS_MAX    4096      /* of all manifests that are read */
#define CONFIG_MAX   (8 << 20) /* bytes: nobody reads a larger one */
#define HEAD_SECONDS 30
#define SECRET       32

struct blob {
    char digest[REGISTRY_DIGEST];
    uint64_t size;
};

struct registry_relay {
    const struct registry_relay_config *config;
    char secret[SECRET + 1];
    int fd;
    pthread_mutex_t lock; /* on what follows */
    struct blob blobs[BLOBS_MAX];
    size_t n_blobs;
    size_t clients;
    struct error fault;
};

struct client {
    struct registry_relay *relay;
    int fd;
};

/* ---- what could not be had ---- */

static void note_fault(struct registry_relay *y, const struct error *fault)
{
    (void)pthread_mutex_lock(&y->lock);
    if (y->fault.kind == ERR_NONE)
        y->fault = *fault;
    (void)pthread_mutex_unlock(&y->lock);
}

void registry_relay_fault(struct registry_relay *y, struct error *ret)
{
    (void)pthread_mutex_lock(&y->lock);
    *ret = y->fault;
    (void)pthread_mutex_unlock(&y->lock);
}

/* ---- answers ---- */

static int send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int send_head(int fd, const char *status, const char *type, const char *digest, uint64_t len)
{
    CLEANUP(buf_release) struct buf head = BUF_INIT(4096);

    buf_addf(&head,
             "HTTP/1.1 %s\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"
             "Connection: close\r\nContent-Type: %s\r\nContent-Length: %" PRIu64 "\r\n",
             status, type, len);
    if (*digest)
        buf_addf(&head, "Docker-Content-Digest: %s\r\n", digest);
    buf_adds(&head, "\r\n");
    return send_all(fd, buf_str(&head), head.len);
}

static void send_nothing(int fd, const char *code)
{
    char body[128];
    const int len =
        snprintf(body, sizeof(body), "{\"errors\":[{\"code\":\"%s\",\"message\":\"\"}]}", code);

    if (send_head(fd, "404 Not Found", "application/json", "", (uint64_t)len) == 0)
        (void)!send_all(fd, body, (size_t)len);
}

/* ---- manifests ---- */

struct image {
    struct registry_relay *relay;
    size_t layers;
    uint64_t size;
};

/* With the lock. */
static int remember(struct registry_relay *y, const struct registry_blob *b, struct error *err)
{
    for (size_t i = 0; i < y->n_blobs; i++)
        if (strcmp(y->blobs[i].digest, b->digest) == 0)
            return 0;
    if (y->n_blobs == BLOBS_MAX)
        return error_set(err, ERR_LIMIT, "it has more than %d blobs", BLOBS_MAX);
    y->blobs[y->n_blobs].size = b->size;
    (void)snprintf(y->blobs[y->n_blobs].digest, REGISTRY_DIGEST, "%s", b->digest);
    y->n_blobs++;
    return 0;
}

static int check_size(const struct image *image, const struct registry_blob *b, struct error *err)
{
    const uint64_t max = image->relay->config->size_max;
    char text[TEXT_SIZE];

    if (!b->layer && b->size > CONFIG_MAX)
        return error_set(err, ERR_LIMIT, "its configuration is larger than %d bytes", CONFIG_MAX);
    if (image->layers > LAYERS_MAX)
        return error_set(err, ERR_LIMIT, "it has more than %d layers", LAYERS_MAX);
    if (max == 0 || image->size <= max)
        return 0;
    text_exact_size(max, text);
    return error_set(err, ERR_LIMIT, "its layers are larger than %s", text);
}

static int take_blob(void *self, const struct registry_blob *b, struct error *err)
{
    struct image *image = self;
    int result;

    if (b->foreign)
        return error_set(err, ERR_INPUT,
                         "it has a foreign layer, which its registry does not have; such images "
                         "are not supported");
    image->layers += b->layer;
    image->size += b->size; /* the sum was checked for overflow when it was read */
    if (check_size(image, b, err) < 0)
        return -1;
    (void)pthread_mutex_lock(&image->relay->lock);
    result = remember(image->relay, b, err);
    (void)pthread_mutex_unlock(&image->relay->lock);
    return result;
}

static int fetch_manifest(const struct registry_relay *y, const char *reference,
                          struct registry_manifest *ret, struct error *err)
{
    const struct registry *r = y->config->registry;
    const struct http_response none = {.status = 0};
    struct registry_tries tries = {.r = r};

    for (;;) {
        enum registry_presence presence = REGISTRY_ABSENT;
        struct error now = ERROR_INIT;

        if (registry_get_manifest(r, y->config->repository, reference, &presence, ret, &now) == 0)
            return presence == REGISTRY_PRESENT ? 0 : error_set(err, ERR_INPUT, "not found");
        if (now.kind != ERR_REMOTE || !registry_try_again(&tries, &none))
            return registry_give_up(r, &now, err);
    }
}

static void serve_manifest(struct registry_relay *y, const struct relay_request *req, int fd)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    struct image image = {.relay = y};
    struct error err = ERROR_INIT;

    if (fetch_manifest(y, req->reference, &m, &err) < 0 ||
        registry_manifest_blobs(&m, take_blob, &image, &err) < 0) {
        note_fault(y, &err);
        send_nothing(fd, "MANIFEST_UNKNOWN");
        return;
    }
    if (send_head(fd, "200 OK", m.media_type, m.digest, m.body.len) == 0 && !req->head)
        (void)!send_all(fd, buf_str(&m.body), m.body.len);
}

/* ---- blobs ---- */

struct passing {
    const struct registry_relay *relay;
    const struct blob *blob;
    int fd;
    bool begun; /* the head was sent */
    bool left;  /* whoever asked has gone */
};

static int begin(struct passing *p)
{
    if (!p->begun &&
        send_head(p->fd, "200 OK", "application/octet-stream", p->blob->digest, p->blob->size) < 0)
        p->left = true;
    p->begun = true;
    return p->left ? -1 : 0;
}

static int pass_on(void *self, uint64_t offset, const void *data, size_t len, struct error *err)
{
    struct passing *p = self;

    (void)offset;
    if (begin(p) == 0 && send_all(p->fd, data, len) == 0)
        return 0;
    p->left = true;
    return error_set(err, ERR_SYSTEM, "whoever asked for it has gone");
}

static void say_resumed(void *self, uint64_t offset)
{
    const struct passing *p = self;
    char line[256], at[TEXT_SIZE], size[TEXT_SIZE];

    if (!p->relay->config->note)
        return;
    text_size(offset, at);
    text_size(p->blob->size, size);
    (void)snprintf(line, sizeof(line),
                   "the connection broke off; blob %.19s goes on after %s of %s", p->blob->digest,
                   at, size);
    p->relay->config->note(line);
}

static bool find_blob(struct registry_relay *y, const char *digest, struct blob *ret)
{
    bool found = false;

    (void)pthread_mutex_lock(&y->lock);
    for (size_t i = 0; i < y->n_blobs && !found; i++) {
        found = strcmp(y->blobs[i].digest, digest) == 0;
        if (found)
            *ret = y->blobs[i];
    }
    (void)pthread_mutex_unlock(&y->lock);
    return found;
}

static int pass_blob(struct registry_relay *y, struct passing *p, struct error *err)
{
    const struct registry_blob_sink sink = {.take = pass_on, .resume = say_resumed, .self = p};
    enum registry_presence presence = REGISTRY_ABSENT;

    if (registry_stream_blob(y->config->registry, y->config->repository, p->blob->digest,
                             p->blob->size, &sink, &presence, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        return error_set(err, ERR_REMOTE, "the registry has no blob %s", p->blob->digest);
    return 0;
}

static void serve_blob(struct registry_relay *y, const struct relay_request *req, int fd)
{
    struct blob blob;
    struct passing p = {.relay = y, .blob = &blob, .fd = fd};
    struct error err = ERROR_INIT;

    if (!find_blob(y, req->reference, &blob)) {
        send_nothing(fd, "BLOB_UNKNOWN");
    } else if (req->head) {
        (void)begin(&p);
    } else if (pass_blob(y, &p, &err) == 0) {
        (void)begin(&p); /* an empty one */
    } else if (!p.left) {
        note_fault(y, &err);
        if (!p.begun)
            send_nothing(fd, "BLOB_UNKNOWN");
    }
}

/* ---- clients ---- */

/* False: it says something else, as one that tries TLS first does, or nothing. */
static bool read_head(int fd, char head[HEAD_MAX])
{
    const struct timeval wait = {.tv_sec = HEAD_SECONDS};
    size_t len = 0;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    while (len + 1 < HEAD_MAX) {
        const ssize_t n = recv(fd, head + len, HEAD_MAX - 1 - len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = '\0';
        if (head[0] != 'G' && head[0] != 'H')
            return false;
        if (strstr(head, "\r\n\r\n"))
            return true;
    }
    return false;
}

static void serve(struct registry_relay *y, int fd)
{
    struct relay_request req;
    struct error fault;
    char head[HEAD_MAX];

    if (!read_head(fd, head))
        return;
    relay_request_read(head, y->secret, &req);
    registry_relay_fault(y, &fault);
    if (req.what == RELAY_VERSION)
        (void)send_head(fd, "200 OK", "application/json", "", 0);
    else if (req.what == RELAY_NOTHING || fault.kind != ERR_NONE)
        send_nothing(fd, "NAME_UNKNOWN"); /* when something is missing nobody need try again */
    else if (req.what == RELAY_MANIFEST)
        serve_manifest(y, &req, fd);
    else
        serve_blob(y, &req, fd);
}

static void *serve_client(void *self)
{
    struct client *c = self;
    struct registry_relay *y = c->relay;

    serve(y, c->fd);
    close(c->fd);
    free(c);
    (void)pthread_mutex_lock(&y->lock);
    y->clients--;
    (void)pthread_mutex_unlock(&y->lock);
    return NULL;
}

static bool count_client(struct registry_relay *y)
{
    bool room;

    (void)pthread_mutex_lock(&y->lock);
    room = y->clients < CLIENTS_MAX;
    y->clients += room;
    (void)pthread_mutex_unlock(&y->lock);
    return room;
}

static void begin_client(struct registry_relay *y, int fd)
{
    struct client *c = count_client(y) ? malloc(sizeof(*c)) : NULL;
    pthread_t thread;

    if (c)
        *c = (struct client){y, fd};
    if (!c || pthread_create(&thread, NULL, serve_client, c) != 0) {
        close(fd);
        free(c);
        return;
    }
    (void)pthread_detach(thread);
}

static void *accept_clients(void *self)
{
    struct registry_relay *y = self;

    for (;;) {
        const int fd = accept4(y->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            begin_client(y, fd);
        else if (errno != EINTR && errno != ECONNABORTED)
            return NULL;
    }
}

static int listen_on_loopback(int *ret_fd, uint16_t *ret_port, struct error *err)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) < 0 || listen(fd, CLIENTS_MAX) < 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) < 0)
        return error_errno(err, errno, "listen on loopback");
    *ret_port = ntohs(in.sin_port);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int registry_relay_start(const struct registry_relay_config *config, struct registry_relay **ret,
                         char ret_location[REGISTRY_RELAY_LOCATION], struct error *err)
{
    CLEANUP_FREE struct registry_relay *y = calloc(1, sizeof(*y));
    pthread_t thread;
    uint16_t port = 0;
    int problem;

    if (!y)
        return error_set(err, ERR_SYSTEM, "start a relay: out of memory");
    y->config = config;
    (void)pthread_mutex_init(&y->lock, NULL);
    digest_random_name(y->secret, SECRET);
    if (listen_on_loopback(&y->fd, &port, err) < 0)
        return -1;
    problem = pthread_create(&thread, NULL, accept_clients, y);
    if (problem) {
        close(y->fd);
        return error_errno(err, problem, "start a relay");
    }
    (void)pthread_detach(thread);
    (void)snprintf(ret_location, REGISTRY_RELAY_LOCATION, "127.0.0.1:%u/%s", port, y->secret);
    *ret = TAKE(y);
    return 0;
}
