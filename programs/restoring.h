/* programs/restoring — a restore that has begun: DATA/.restoring is there until it has ended, and
 * as long as it is, nothing else may work on that data directory. */
#ifndef PROGRAMS_RESTORING_H
#define PROGRAMS_RESTORING_H

#include "base/error.h"

#define RESTORING ".restoring"

/* ERR_INPUT, with what to do: a restore has begun there and not ended. */
MUST_CHECK int restoring_check(const char *data_dir, struct error *err);

#endif
