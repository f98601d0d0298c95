/* api/listen — "127.0.0.1:8080" to a listening socket. */
#ifndef API_LISTEN_H
#define API_LISTEN_H

#include "base/error.h"

/* address: host:port, an IPv6 host in brackets.  ERR_INPUT: it is not that; ERR_SYSTEM: taken, not
 * ours, not allowed.  The descriptor is the caller's. */
MUST_CHECK int api_listen(const char *address, int *ret_fd, int *ret_port, struct error *err);

#endif
