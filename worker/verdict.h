/* worker/verdict — how a step that did not succeed is told: whose fault, and in plain words. */
#ifndef WORKER_VERDICT_H
#define WORKER_VERDICT_H

#include "builder/builder.h"

/* act: what ran ("pushing the image", "step 5/9 RUN make").  0 for BUILDER_DONE; else -1, with
 * ERR_NONE for BUILDER_CANCELLED, ERR_LIMIT for the configuration's limits, never to be tried
 * again, and ERR_SYSTEM for what this machine is to blame for.  said: the words for
 * BUILDER_FAILED. */
MUST_CHECK int verdict_of(const struct builder_config *config, enum builder_outcome outcome,
                          const char *act, const char *said, struct error *err);

#endif
