/* worker/status — what a client is told about a build, and when. */
#ifndef WORKER_STATUS_H
#define WORKER_STATUS_H

#include "worker/state.h"

enum status {
    STATUS_UPLOADING,
    STATUS_BUILDING,
    STATUS_DEPLOYING,
    STATUS_DEPLOYED,
    STATUS_BUILT,
    STATUS_FAILED,
};

/* The status of a build at the moment now (ns), as an image (BUILT) or as a resource (DEPLOYED).
 * It never goes back to an earlier one while the build's facts only grow. */
enum status build_status(const struct build *b, enum build_purpose view, int64_t now);

const char *status_name(enum status status); /* "UPLOADING"… */

/* DEPLOYED, BUILT or FAILED. */
bool status_is_final(enum status status);

#endif
