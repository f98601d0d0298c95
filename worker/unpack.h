/* worker/unpack — an archive becomes a context and a plan of its build, in a jail. */
#ifndef WORKER_UNPACK_H
#define WORKER_UNPACK_H

#include "dockerfile/dockerfile.h"
#include "worker/pipeline.h"

/* Runs the inner main "extract" in the job's jail on the archive.  Both results are initialised by
 * the caller and stay releasable on -1.  *ret_outcome: BUILDER_DONE, or why there are no results;
 * what is wrong with the archive is -1 with ERR_INPUT or ERR_LIMIT, and what is wrong with the
 * project is in the plan. */
MUST_CHECK int unpack_archive(const struct worker_config *config, struct builder_job *job,
                              int archive_fd, const char *type, const struct builder_io *io,
                              struct upload_report *ret_report, struct dockerfile_plan *ret_plan,
                              enum builder_outcome *ret_outcome, struct error *err);

#endif
