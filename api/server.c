/* api/server — HTTP by libmicrohttpd, which only this file and api/handover.c know.
 *
 * A thread for each connection: handlers wait for the disk and the database, and there are few
 * clients.  But an answer that comes bit by bit may take hours, and there may be a thousand of
 * them.  libmicrohttpd can suspend connections only where all of them share a thread; so such a
 * connection is taken from it (api/handover.h) and given to api/streams.h, and its thread ends. One
 * that is encrypted stays and keeps its thread (api/held_stream.h): there may be fewer of those.
 *
 * libmicrohttpd calls on_target when the request line is there, on_request when the headers are
 * (first call), for each piece of the body, and at its end, and on_completed when the answer is out
 * or the client is gone.
 *
 * An answer before the body was read closes the connection.  Closed with unread bytes in the
 * socket, it would be reset, and the client might never see the answer (RFC 9112, 9.6): so
 * on_completed reads on for a moment. */
#include "api/server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "api/connections.h"
#include "api/exchange.h"
#include "api/followers.h"
#include "api/handover.h"
#include "api/limiter.h"
#include "api/listen.h"
#include "api/metrics.h"
#include "api/openapi.h"
#include "api/route.h"
#include "api/streams.h"
#include "api/tls.h"
#include "api/watch.h"
#include "base/text.h"

#define HEADERS_MAX    (64u << 10) /* bytes: request line, headers and the window of a body */
#define WINDOW         (32u << 10)
#define HEARTBEAT_LATE 15         /* seconds, on a machine under load */
#define STACK_SIZE     (1u << 20) /* bytes; body.c bounds how deep JSON goes */

const struct api_server_limits api_server_limits_default = {
    .idle_seconds = 30,
    .connections_max = 512,
    .headers_ns = 60 * NS_PER_SEC,
    .watch_ns = NS_PER_SEC,
    .slow_after_ns = 60 * NS_PER_SEC,
    .answer_ns = 60 * NS_PER_SEC,
    .answer_rate_min = EXCHANGE_RATE_MIN,
    .linger_ms = 2000,
    .stop_ns = 5 * NS_PER_SEC,
    .followers_max = 2048,
    .followers_max_each = 1024,
    .followers_max_held = 128,
    .heartbeat_ns = 15 * NS_PER_SEC,
};

struct api_server {
    struct api_config config;
    struct api_server_limits limits;
    struct MHD_Daemon *daemon;
    struct streams *streams; /* NULL: detached */
    int listen_fd;           /* ours again once the daemon was quiesced; -1 else */
    int port;
    bool detached;
    atomic_bool stopping;
    pthread_mutex_t lock; /* over in_flight */
    pthread_cond_t ended;
    unsigned in_flight;
    struct tls *tls; /* NULL: none */
    struct connections *connections;
};

/* ---- connections ---- */

static struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* Whatever the connection does next has to be done in ns; 0: it may take its time. */
static void set_deadline(struct MHD_Connection *connection, int64_t ns)
{
    struct connection *n = connection_of(connection);

    if (n)
        atomic_store(&n->deadline, ns ? clock_monotonic() + ns : 0);
}

static void *session_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    return info ? info->tls_session : NULL;
}

static enum MHD_Result on_accept(void *self, const struct sockaddr *from, socklen_t len)
{
    struct api_server *s = self;

    (void)len;
    return connections_may_open(s->connections, from) ? MHD_YES : MHD_NO;
}

static void on_connection(void *self, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct api_server *s = self;
    const union MHD_ConnectionInfo *fd, *from;
    struct tls_pair *pair;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connections_close(s->connections, *context);
        *context = NULL;
        return;
    }
    fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    from = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    pair = tls_hold(s->tls);
    if (pair && session_of(connection))
        tls_serve(pair, session_of(connection));
    *context = connections_open(s->connections, fd ? fd->connect_fd : -1,
                                from ? from->client_addr : NULL, pair);
    if (*context)
        atomic_store(&((struct connection *)*context)->deadline,
                     clock_monotonic() + s->limits.headers_ns);
}

/* ---- a request ---- */

static void *on_target(void *self, const char *target, struct MHD_Connection *connection)
{
    struct api_server *s = self;

    (void)connection;
    pthread_mutex_lock(&s->lock);
    s->in_flight++;
    pthread_mutex_unlock(&s->lock);
    return exchange_new(&s->config, target, s->limits.slow_after_ns);
}

struct body_headers {
    unsigned lengths, encodings, all;
    const char *forwarded; /* the last, which the nearest proxy wrote */
};

static enum MHD_Result look_at_header(void *self, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    struct body_headers *seen = self;

    (void)kind;
    seen->all++;
    if (strcasecmp(name, api_header_names[API_HEADER_FORWARDED_FOR]) == 0)
        seen->forwarded = value;
    seen->lengths += strcasecmp(name, "Content-Length") == 0;
    seen->encodings += strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

/* Who asks: the peer, or whom it asks for. */
static void set_address(struct exchange *x, struct MHD_Connection *connection,
                        const char *forwarded)
{
    const struct connection *n = connection_of(connection);

    if (n)
        x->req.address = n->address;
    address_behind(x->config->proxies, forwarded, &x->req.address);
}

static bool begin(const struct api_server *s, struct exchange *x, struct MHD_Connection *connection,
                  const char *method)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    struct body_headers seen = {.lengths = 0};
    struct exchange_head head = {.method = method};
    uint64_t length;

    for (size_t i = 0; i < API_HEADERS; i++)
        x->req.headers[i] =
            MHD_lookup_connection_value(connection, MHD_HEADER_KIND, api_header_names[i]);
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, look_at_header, &seen);
    set_address(x, connection, seen.forwarded);
    head.headers = seen.all;
    head.chunked = seen.encodings > 0;
    x->req.held = s->limits.hold || handover_is_encrypted(connection);
    head.ambiguous = seen.lengths + seen.encodings > 1;
    if (text && text_to_u64(text, UINT64_MAX, &length))
        head.length = &length;
    return exchange_begin(x, &head);
}

static enum MHD_Result add_headers(struct api_server *s, struct MHD_Response *response,
                                   const struct api_response *answer)
{
    const struct argv *headers = &answer->headers;
    enum MHD_Result ok = headers->failed ? MHD_NO : MHD_YES;

    for (size_t i = 0; i + 1 < headers->n; i += 2)
        ok &= MHD_add_response_header(response, headers->v[i], headers->v[i + 1]);
    if (atomic_load(&s->stopping))
        ok &= MHD_add_response_header(response, "Connection", "close");
    return ok;
}

static struct MHD_Response *whole_response(struct exchange *x)
{
    struct MHD_Response *response;
    size_t len = x->resp.body.len;
    char *body = buf_take(&x->resp.body);

    if (!body)
        return NULL;
    response = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(body);
    else
        x->sent = len;
    return response;
}

/* Its connection may be silent until a heartbeat, however late that comes. */
static struct MHD_Response *held_response(struct api_server *s, struct exchange *x,
                                          struct MHD_Connection *connection)
{
    struct connection *n = connection_of(connection);
    const struct held_stream like = {.config = &s->config,
                                     .deadline = n ? &n->deadline : NULL,
                                     .patience = s->limits.answer_ns,
                                     .beat_ns = s->limits.heartbeat_ns,
                                     .stopping = &s->stopping,
                                     .sent = &x->sent};

    return handover_hold(connection, &x->resp, &like,
                         s->limits.idle_seconds + (unsigned)(s->limits.heartbeat_ns / NS_PER_SEC) +
                             HEARTBEAT_LATE);
}

/* The exchange and its connection go to the streams; false: they stay. */
static bool hand_over(struct api_server *s, struct exchange *x, struct MHD_Connection *connection,
                      bool chunked)
{
    const int one = 1;
    struct stream *stream;
    int fd;

    api_response_usual(&x->resp);
    fd = x->resp.headers.failed ? -1 : handover_take(connection);
    if (fd < 0)
        return false;
    x->req.method = x->route->method; /* libmicrohttpd's memory goes with the connection */
    memset(x->req.headers, 0, sizeof(x->req.headers));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    stream = stream_new(x, fd, chunked);
    if (!stream) {
        close(fd);
        return false;
    }
    stream->beat_ns = s->limits.heartbeat_ns;
    stream->silence_ns = s->limits.idle_seconds * NS_PER_SEC;
    streams_add(s->streams, stream);
    return true;
}

static enum MHD_Result answer(struct api_server *s, struct exchange *x,
                              struct MHD_Connection *connection)
{
    enum MHD_Result ok = MHD_NO;
    struct MHD_Response *response;

    api_response_usual(&x->resp);
    response = x->resp.stream.read ? held_response(s, x, connection) : whole_response(x);
    if (!response)
        return MHD_NO;
    set_deadline(connection,
                 s->limits.answer_ns + (int64_t)(x->sent / s->limits.answer_rate_min) * NS_PER_SEC);
    if (add_headers(s, response, &x->resp) == MHD_YES)
        ok = MHD_queue_response(connection, (unsigned)x->resp.status, response);
    MHD_destroy_response(response);
    if (ok != MHD_YES)
        x->sent = 0;
    return ok;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **request)
{
    struct api_server *s = self;
    struct exchange *x = *request;
    bool go_on;

    (void)url;
    if (!x)
        return MHD_NO;
    if (!x->begun) {
        set_deadline(connection, 0);
        if (begin(s, x, connection, method))
            return MHD_YES;
        x->answered_early = true;
        return answer(s, x, connection);
    }
    if (*len > 0) {
        go_on = exchange_data(x, data, *len);
        *len = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    exchange_end(x);
    if (!x->resp.stream.read || x->req.held)
        return answer(s, x, connection);
    if (hand_over(s, x, connection, strcmp(version, MHD_HTTP_VERSION_1_1) == 0))
        *request = NULL;
    return MHD_NO; /* the connection ends for libmicrohttpd, one way or the other */
}

static void linger(const struct api_server *s, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int64_t deadline = clock_monotonic() + s->limits.linger_ms * NS_PER_MS;
    char scrap[4096];

    if (!info || s->detached)
        return;
    if (session_of(connection))
        tls_bye(session_of(connection));
    (void)shutdown(info->connect_fd, SHUT_WR);
    while (clock_monotonic() < deadline && !atomic_load(&s->stopping)) {
        struct pollfd p = {.fd = info->connect_fd, .events = POLLIN};

        if (poll(&p, 1, 100) > 0 && recv(info->connect_fd, scrap, sizeof(scrap), MSG_DONTWAIT) <= 0)
            return;
    }
}

static void on_completed(void *self, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct api_server *s = self;
    struct exchange *x = *request;

    if (x) {
        exchange_log(x, code != MHD_REQUEST_TERMINATED_COMPLETED_OK);
        if (x->answered_early)
            linger(s, connection);
    }
    exchange_free(x);
    *request = NULL;
    set_deadline(connection, s->limits.headers_ns);
    pthread_mutex_lock(&s->lock);
    s->in_flight--;
    pthread_cond_signal(&s->ended);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the server ---- */

static void server_free(struct api_server *s)
{
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    pthread_cond_destroy(&s->ended);
    pthread_mutex_destroy(&s->lock);
    streams_free(s->streams);
    followers_free(s->config.followers);
    limiter_free(s->config.limiter);
    connections_free(s->connections);
    tls_free(s->tls);
    watches_free(s->config.watches);
    openapi_free(s->config.openapi);
    free(s);
}

static int server_new(const struct api_config *config, const struct api_server_limits *limits,
                      struct api_server **ret, struct error *err)
{
    struct api_server *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    if (!s)
        return error_set(err, ERR_SYSTEM, "start the API: out of memory");
    s->config = *config;
    s->limits = *limits;
    s->listen_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->ended, &attr);
    pthread_condattr_destroy(&attr);
    s->connections = connections_new(limits->connections_each_max, config->proxies);
    if (!s->connections || openapi_new(&s->config.openapi, err) < 0) {
        if (!s->connections)
            (void)error_set(err, ERR_SYSTEM, "start the API: out of memory");
        server_free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

/* fd: the listening socket, -1 for none; the daemon's from here on. */
static bool start_daemon(struct api_server *s, unsigned flags, int fd)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADERS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_INCREMENT, WINDOW, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, s->limits.connections_max, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, s->limits.idle_seconds, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, STACK_SIZE, NULL},
        {fd >= 0 ? MHD_OPTION_LISTEN_SOCKET : MHD_OPTION_END, fd, NULL},
        {MHD_OPTION_END, 0, NULL},
    };

    if (s->tls)
        s->daemon = MHD_start_daemon(
            flags | MHD_USE_TLS, 0, on_accept, s, on_request, s, MHD_OPTION_URI_LOG_CALLBACK,
            on_target, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
            MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_HTTPS_CERT_CALLBACK2,
            tls_no_certificate(), MHD_OPTION_ARRAY, tls, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    else
        s->daemon = MHD_start_daemon(
            flags, 0, on_accept, s, on_request, s, MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
            MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
            on_connection, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    return s->daemon != NULL;
}

static int start_streams(struct api_server *s, struct error *err)
{
    const unsigned max = followers_that_fit(s->limits.followers_max, 2 * s->limits.connections_max);

    s->config.followers =
        followers_new(max, s->limits.followers_max_each, s->limits.followers_max_held);
    s->config.watches = watches_new();
    if (!s->config.followers || !s->config.watches)
        return error_set(err, ERR_SYSTEM, "start the API: out of memory");
    return streams_new(&s->config, max, &s->streams, err);
}

/* What a server with a socket has besides. */
static int equip(struct api_server *s, struct error *err)
{
    s->config.limiter = limiter_new(&s->config.rates);
    if (!s->config.limiter)
        return error_set(err, ERR_SYSTEM, "start the API: out of memory");
    if (!s->config.tls_key)
        return 0;
    if (tls_new(s->config.tls_certificate, s->config.tls_key, &s->tls, err) < 0)
        return -1;
    metrics_note_certificate(tls_ends(s->tls));
    return 0;
}

static int start(struct api_server *s, const char *listen, int *fd, struct error *err)
{
    const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                           MHD_USE_POLL | MHD_USE_ITC;

    if (equip(s, err) < 0 || api_listen(listen, fd, &s->port, err) < 0)
        return -1;
    if (start_streams(s, err) < 0)
        return -1;
    if (!start_daemon(s, flags, *fd)) {
        streams_stop(s->streams);
        return error_set(err, ERR_SYSTEM, "start the API on %s: libmicrohttpd refused", listen);
    }
    (void)TAKE_FD(*fd);
    if (connections_watch(s->connections, s->limits.watch_ns) == 0)
        return 0;
    streams_stop(s->streams);
    MHD_stop_daemon(s->daemon);
    return error_set(err, ERR_SYSTEM, "start the API: no thread to watch connections with");
}

int api_server_start_with(const struct api_config *config, const struct api_server_limits *limits,
                          const char *listen, struct api_server **ret, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    struct api_server *s;

    if (server_new(config, limits, &s, err) < 0)
        return -1;
    if (start(s, listen, &fd, err) < 0) {
        server_free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

/* Those of the configuration; followers whose connections keep their threads leave room for others.
 */
static struct api_server_limits limits_of(const struct api_config *config)
{
    struct api_server_limits l = api_server_limits_default;

    l.connections_each_max = config->address_connections_max;
    if (!config->connections_max)
        return l;
    l.connections_max = config->connections_max;
    l.followers_max_held = l.connections_max / 4;
    return l;
}

int api_server_start(const struct api_config *config, const char *listen, struct api_server **ret,
                     struct error *err)
{
    const struct api_server_limits limits = limits_of(config);

    return api_server_start_with(config, &limits, listen, ret, err);
}

int api_server_reload(struct api_server *s, bool always, bool *ret_renewed, struct error *err)
{
    *ret_renewed = false;
    if (!s->tls)
        return 0;
    if (tls_reload(s->tls, always, ret_renewed, err) < 0)
        return -1;
    if (*ret_renewed)
        metrics_note_certificate(tls_ends(s->tls));
    return 0;
}

int api_server_port(const struct api_server *s)
{
    return s->port;
}

static void wait_for_requests(struct api_server *s)
{
    int64_t deadline = clock_monotonic() + s->limits.stop_ns;
    struct timespec at = {.tv_sec = deadline / NS_PER_SEC, .tv_nsec = deadline % NS_PER_SEC};

    pthread_mutex_lock(&s->lock);
    while (s->in_flight > 0 && pthread_cond_timedwait(&s->ended, &s->lock, &at) == 0)
        ;
    pthread_mutex_unlock(&s->lock);
}

void api_server_stop(struct api_server *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    streams_stop(s->streams);
    if (!s->detached) {
        s->listen_fd = MHD_quiesce_daemon(s->daemon);
        wait_for_requests(s);
    }
    MHD_stop_daemon(s->daemon);
    server_free(s);
}

/* ---- without a socket ---- */

int api_server_start_detached(const struct api_config *config, struct api_server **ret,
                              struct error *err)
{
    struct api_server *s;

    if (server_new(config, &api_server_limits_default, &s, err) < 0)
        return -1;
    s->detached = true;
    if (!start_daemon(s, MHD_USE_NO_LISTEN_SOCKET, -1)) {
        server_free(s);
        return error_set(err, ERR_SYSTEM, "start the API: libmicrohttpd refused");
    }
    *ret = s;
    return 0;
}

int api_server_attach(struct api_server *s, int fd, struct error *err)
{
    struct sockaddr_in nowhere = {.sin_family = AF_INET};

    if (MHD_add_connection(s->daemon, fd, (struct sockaddr *)&nowhere, sizeof(nowhere)) != MHD_YES)
        return error_set(err, ERR_SYSTEM, "attach a connection: libmicrohttpd refused");
    return 0;
}

void api_server_turn(struct api_server *s)
{
    (void)MHD_run(s->daemon);
}
