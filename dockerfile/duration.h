/* dockerfile/duration — "1h30m", "500ms": Go's time.ParseDuration. */
#ifndef DOCKERFILE_DURATION_H
#define DOCKERFILE_DURATION_H

#include <stdint.h>

#include "base/error.h"

/* In nanoseconds, rounded down.  ERR_INPUT in Go's words. */
MUST_CHECK int duration_parse(const char *text, int64_t *ret_ns, struct error *err);

#endif
