/* api — the control API of PROTOCOL.md and the upload endpoint, over HTTP.
 *
 * server.c knows libmicrohttpd and nothing else does: it hands a request, whole but for an upload's
 * body, to api_handle, which is a function from request and state to answer. */
#ifndef API_API_H
#define API_API_H

#include "base/note.h"
#include "registry/registry.h"
#include "uploads/uploads.h"
#include "worker/worker.h"

/* How many requests are answered; 0: any number (api/limiter.h). */
struct api_rates {
    int64_t key, workspace; /* a second */
    int64_t address;        /* a second, of those without a key */
    int64_t failed_logins;  /* a minute, from an address */
};

struct api_config { /* what it points to is borrowed until api_server_stop */
    struct state *state;
    struct upload_store *uploads;
    const struct registry *registry;
    const char *registry_name;   /* "127.0.0.1:5000": the host users pull from */
    const char *credentials_dir; /* see worker/credentials.h; NULL: credentials are refused */
    const char *public_url; /* "https://kiln.example"; NULL: http(s):// and the request's Host */
    const char *tls_certificate, *tls_key; /* paths of PEM files; NULL: HTTP without TLS */
    unsigned connections_max;              /* at once; 0: as api/server.h has it */
    unsigned address_connections_max;      /* from one address; 0: any number */
    const struct argv *proxies; /* whose X-Forwarded-For is believed, networks; NULL: nobody's */
    struct api_rates rates;
    const struct clock *clock;
    int64_t upload_seconds;      /* how long a presigned URL is good for */
    uint64_t upload_max;         /* bytes */
    const struct places *places; /* of template stores and volumes */
    int64_t volume_wait; /* ns that the answer to a POST waits for a volume to be made; 0: none */
    bool operators; /* answers /metrics, /healthz and /readyz without a key, and nothing else */
    struct planner *planner;     /* for POST /v0/plan; NULL: it is answered with 501 */
    struct followers *followers; /* the server's own; NULL: logs are not followed, only read */
    struct watches *watches;     /* with them */
    struct openapi *openapi;     /* the server's own: what GET /v0/openapi.json answers */
    struct limiter *limiter;     /* the server's own; NULL: nothing is limited */
    /* The operator's log, as in worker_config. */
    void (*log)(void *self, const struct note *note);
    void *log_self;
};

struct api_server;

/* listen: "127.0.0.1:8080", "[::1]:8080" or "0.0.0.0:8080"; port 0 takes a free one. */
MUST_CHECK int api_server_start(const struct api_config *config, const char *listen,
                                struct api_server **ret, struct error *err);
/* The port it listens on. */
int api_server_port(const struct api_server *s);
/* With TLS: reads certificate and key again where the files are not what they were, or always.
 * Connections that are open keep theirs.  -1: it goes on with what it has, and is only told again
 * when the files are others. */
MUST_CHECK int api_server_reload(struct api_server *s, bool always, bool *ret_renewed,
                                 struct error *err);
/* Stops accepting, lets requests in flight end for up to 5 s.  NULL is fine. */
void api_server_stop(struct api_server *s);

/* What a certificate says. */
struct api_tls_facts {
    int64_t begins, ends; /* ns since 1970 */
    bool names_host;
};
/* Reads the two as the server would.  host: a name or address that clients use; NULL: none.
 * ERR_INPUT names the key of the configuration and the file. */
MUST_CHECK int api_tls_examine(const char *certificate, const char *key, const char *host,
                               struct api_tls_facts *ret, struct error *err);

#endif
