/* api/connections — the connections that are open: whose they are, and until when what they are at
 * has to be done.  Those that are late are cut, which bounds how long a slow client, or one that is
 * slow on purpose, can keep a thread. */
#ifndef API_CONNECTIONS_H
#define API_CONNECTIONS_H

#include <stdatomic.h>

#include "api/tls.h"
#include "base/address.h"

struct connections;

struct connection {
    struct connection *next, **at; /* in the list */
    int fd;                        /* borrowed */
    struct client_address address;
    struct tls_pair *pair;    /* held; NULL: no TLS */
    _Atomic int64_t deadline; /* clock_monotonic; 0: none */
};

/* each_max: from one address at once; 0: any number.  That does not hold for proxies (networks,
 * borrowed; NULL: none). */
struct connections *connections_new(unsigned each_max, const struct argv *proxies);
/* Shuts down those whose deadline is over, in a thread, every so many ns, to the end.  -1: there is
 * no thread. */
MUST_CHECK int connections_watch(struct connections *c, int64_t every);
/* None is open any more. */
void connections_free(struct connections *c);

/* Whether one more may come from there; one that may not is counted. */
bool connections_may_open(struct connections *c, const struct sockaddr *from);
/* NULL: out of memory.  Takes over pair. */
struct connection *connections_open(struct connections *c, int fd, const struct sockaddr *from,
                                    struct tls_pair *pair);
/* Before fd is closed. */
void connections_close(struct connections *c, struct connection *n);

#endif
