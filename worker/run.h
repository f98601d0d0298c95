/* worker/run — one try of one build, by one thread, with a second thread that keeps its lease and
 * flushes its log. */
#ifndef WORKER_RUN_H
#define WORKER_RUN_H

#include <stdatomic.h>

#include "dockerfile/dockerfile.h"
#include "worker/attest.h"
#include "worker/journal.h"
#include "worker/pipeline.h"
#include "worker/plain_log.h"

/* "<worker's name>#<number>": a lease is held by one try, so that not even another thread of the
 * same process can take a lost one for its own. */
#define WORKER_HOLDER (WORKER_NAME + 24)

/* What other workers left, and where (worker/cache_registry.h). */
struct run_cache {
    struct registry registry;
    struct builder_remote remote;
    bool exporting;
};

struct run {
    const struct worker_config *config;
    struct build build;
    struct journal journal;
    struct plain_log plain_log;
    struct cancel cancel;       /* thrown when the lease says stop, or the worker drains */
    atomic_bool lost;           /* the lease is gone: write nothing more */
    char holder[WORKER_HOLDER]; /* of the lease: this try and no other */
    int64_t begun;              /* monotonic, ns */
    atomic_llong leased;        /* until when nobody else can have the build; monotonic, ns */

    /* What the steps leave for each other. */
    struct builder_job *job;
    struct run_cache cache; /* of the job */
    struct upload_report report;
    struct upload_git source;       /* of the build; all "" with an upload */
    char revision[UPLOAD_REVISION]; /* the commit that is built; "" when it is not known */
    struct dockerfile_plan plan;    /* as the jail made it from the archive's files */
    struct argv build_args;
    struct dockerfile *dockerfile;
    struct buf dockerfile_text; /* what is built: the user's, with what was injected */
    struct argv images;         /* to be fetched */
    struct argv open;           /* repositories of Kiln's registry that it may pull them from */
    bool reused;                /* the image is an earlier build's: nothing is built or pushed */
    bool pushed;                /* and read back: the image is there */
    struct builder_image image; /* what was built */
    int64_t epoch;              /* seconds: SOURCE_DATE_EPOCH; -1: none */
    struct attest attest;       /* what is said of it */
    char digest[BUILDER_DIGEST];
    uint64_t image_size;
    char made[256];     /* by a build that makes no image: what its resource has now */
    bool dropped;       /* revisions: there is something to collect */
    struct buf failure; /* what the log says of it, for the failure event; empty: not told yet */
};

/* "<build>-<try>": no two tries share a job directory, not even one whose lease was lost. */
#define JOB_NAME (BUILD_ID + 12)
void pipeline_job_name(const struct build *b, char name[JOB_NAME]);

/* Whether layers are made slim: unless blaxel.toml or the configuration says otherwise. */
static inline bool run_is_slim(const struct run *r)
{
    return r->plan.settings.build_slim && !r->config->no_slim;
}

/* Before what others see at once: -1 when somebody else may have the build.  Where half a lease is
 * left for the act nobody is asked; while the database does not answer, nor does this, until the
 * run is stopped.  self: the run; on any thread. */
MUST_CHECK int run_has_lease(void *self, struct error *err);

/* The registry, of which every call ends when the run is stopped, and which is given no tag without
 * a lease: a process that was frozen, or cut off from the database, must not overwrite what the
 * next try has made of the build. */
struct registry run_registry(struct run *r);

/* A line for the operator.  b: what it is about, or NULL. */
void run_log(const struct worker_config *c, const struct build *b, const char *fmt, ...)
    PRINTF(3, 4);

/* Takes the build through all steps.  -1 is the build's failure, in err; ERR_NONE in err means that
 * it was stopped (cancel was thrown). */
MUST_CHECK int pipeline_run(struct run *r, struct error *err);

/* The whole try: journal, lease, pipeline, verdict, cleaning up.  When drain is thrown the build
 * goes back to the queue.  False: it failed by a fault of this machine. */
bool run_build(const struct worker_config *config, const struct build *build, const char *holder,
               const struct cancel *drain);

#endif
