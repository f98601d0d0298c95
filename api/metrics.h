/* api/metrics — requests counted by route, for GET /metrics. */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/limiter.h"
#include "api/route.h"

/* From any thread, at a request's end.  route: NULL for what matches none; status: 0 when there was
 * no answer. */
void metrics_note_request(const struct route *route, int status, int64_t ns);

/* A request was answered with 429. */
void metrics_note_limited(enum limit limit);

/* The server's certificate ends then, ns since 1970. */
void metrics_note_certificate(int64_t ends);

enum connection_end { CONNECTION_OF_TOO_MANY, CONNECTION_TOO_SLOW, CONNECTION_ENDS };
/* The server ended n connections. */
void metrics_note_connections(enum connection_end end, unsigned n);

#endif
