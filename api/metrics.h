/* api/metrics — requests counted by route, for GET /metrics. */
#ifndef API_METRICS_H
#define API_METRICS_H

#include "api/route.h"

/* From any thread, at a request's end.  route: NULL for what matches none; status: 0 when there was
 * no answer. */
void metrics_note_request(const struct route *route, int status, int64_t ns);

#endif
