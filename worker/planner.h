/* worker/planner — plans the build of an archive that nobody asked to build: POST /v0/plan. */
#ifndef WORKER_PLANNER_H
#define WORKER_PLANNER_H

#include <stdatomic.h>

#include "dockerfile/dockerfile.h"
#include "worker/pipeline.h"

struct planner {
    const struct worker_config *config; /* borrowed */
    int max;                            /* plans at once: each is a jail */
    atomic_int busy;
};

enum planner_outcome { PLANNER_DONE, PLANNER_BUSY };

/* Unpacks the archive in a jail of the workspace and plans it; nothing of it stays.  type as in
 * dockerfile_plan_request.  ERR_INPUT, ERR_LIMIT: the archive cannot be unpacked; what is wrong
 * with the project is in the plan, which the caller has initialised. */
MUST_CHECK int planner_plan(struct planner *p, const char *workspace, int archive_fd,
                            const char *type, enum planner_outcome *ret_outcome,
                            struct dockerfile_plan *ret, struct error *err);

/* Whether a job directory of that name belongs to a plan that may still be made: its process
 * lives.  False for the names of builds' jobs. */
bool planner_owns_job(const char *name);

#endif
