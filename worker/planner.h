/* worker/planner — what is answered with a jail but without a build: the plan of an archive (POST
 * /v0/plan), and what the revisions of a template have in common. */
#ifndef WORKER_PLANNER_H
#define WORKER_PLANNER_H

#include <stdatomic.h>

#include "dockerfile/dockerfile.h"
#include "worker/pipeline.h"

struct planner {
    const struct worker_config *config; /* borrowed */
    int max;                            /* jails at once */
    atomic_int busy;
};

enum planner_outcome { PLANNER_DONE, PLANNER_BUSY };

/* Unpacks the archive in a jail of the workspace and plans it; nothing of it stays.  type as in
 * dockerfile_plan_request.  ERR_INPUT, ERR_LIMIT: the archive cannot be unpacked; what is wrong
 * with the project is in the plan, which the caller has initialised. */
MUST_CHECK int planner_plan(struct planner *p, const char *workspace, int archive_fd,
                            const char *type, enum planner_outcome *ret_outcome,
                            struct dockerfile_plan *ret, struct error *err);

/* Compares the newest revisions of a template of the workspace, which has a store: see
 * template_overlaps.  In a jail, as chunks came out of archives at some time. */
#define PLANNER_REVISIONS 32 /* that are compared */
MUST_CHECK int planner_overlaps(struct planner *p, const char *workspace, const char *name,
                                void (*each)(void *self, uint64_t a, uint64_t b, uint64_t bytes),
                                void *self, enum planner_outcome *ret_outcome, struct error *err);

/* What its jail printed: lines, of which the last is "end", or a failure.  text is changed. */
MUST_CHECK int planner_read_overlaps(char *text,
                                     void (*each)(void *self, uint64_t a, uint64_t b,
                                                  uint64_t bytes),
                                     void *self, struct error *err);

/* Whether a job directory of that name belongs to a plan that may still be made: its process
 * lives.  False for the names of builds' jobs. */
bool planner_owns_job(const char *name);

#endif
