/* api/server — what tests may turn that programs need not. */
#ifndef API_SERVER_H
#define API_SERVER_H

#include "api/api.h"

struct api_server_limits {
    unsigned idle_seconds;         /* without a byte either way */
    unsigned connections_max;      /* a thread each */
    unsigned connections_each_max; /* from one address; 0: any number */
    int64_t headers_ns; /* from the connection, or the answer before, until the headers are there */
    int64_t watch_ns;   /* between looks for who is late */
    int64_t slow_after_ns; /* how long a body may come as slowly as it likes */
    /* How long an answer, or a piece of one that goes on, may go as slowly as it likes; and how
     * fast it then has to be read, in bytes a second. */
    int64_t answer_ns;
    uint64_t answer_rate_min;
    int linger_ms; /* how long what a refused client still sends is read, so that it can read too */
    int64_t stop_ns;        /* how long api_server_stop waits for requests in flight */
    unsigned followers_max; /* of logs, besides; fewer where there are no descriptors for them */
    unsigned followers_max_each; /* for each workspace */
    unsigned followers_max_held; /* whose connection keeps its thread: fewer than connections_max */
    bool hold;                   /* all do, as encrypted ones; for tests */
    int64_t heartbeat_ns;        /* of silence, before a heartbeat */
};
extern const struct api_server_limits api_server_limits_default;

MUST_CHECK int api_server_start_with(const struct api_config *config,
                                     const struct api_server_limits *limits, const char *listen,
                                     struct api_server **ret, struct error *err);

/* For the fuzzer: a server without a socket and without threads.  It owns the connected sockets it
 * is given; each turn does what can be done without waiting.  Ends with api_server_stop. */
MUST_CHECK int api_server_start_detached(const struct api_config *config, struct api_server **ret,
                                         struct error *err);
MUST_CHECK int api_server_attach(struct api_server *s, int fd, struct error *err);
void api_server_turn(struct api_server *s);

#endif
