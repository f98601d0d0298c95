/* dockerfile/duration — "1h30m", "500ms": Go's time.ParseDuration. */
#ifndef DOCKERFILE_DURATION_H
#define DOCKERFILE_DURATION_H

#include <stdint.h>

#include "base/buf.h"

/* In nanoseconds, rounded down.  ERR_INPUT in Go's words. */
MUST_CHECK int duration_parse(const char *text, int64_t *ret_ns, struct error *err);

/* As time.Duration prints it: "1h0m0s", "1.5s", "20ms". */
void duration_add(struct buf *out, int64_t ns);

#endif
