/* worker/pipeline — the steps from an accepted upload to an image that can be pulled, and the
 * threads that run them. */
#ifndef WORKER_PIPELINE_H
#define WORKER_PIPELINE_H

#include "base/clock.h"
#include "builder/builder.h"
#include "registry/registry.h"
#include "uploads/uploads.h"
#include "worker/state.h"

struct worker_config { /* borrowed until worker_free */
    struct state *state;
    struct upload_store *uploads;
    struct builder *builder;
    const struct registry *registry;
    const char *registry_name;        /* "127.0.0.1:5000": as image references begin */
    const char *sandbox_image;        /* where sandbox-api is copied from */
    const struct argv *extract_words; /* for the inner main "extract": its limits */
    const char *credentials_dir;      /* see worker/credentials.h; NULL: none come */
    uint64_t git_max;                 /* bytes that a git server may send */
    const char *program;              /* "kiln 0.1.0", for labels */
    const char *name;                 /* of this worker process: worker_name_of(getpid()) */
    int threads;                      /* builds at once */
    int attempts;                     /* as in state_config, to tell users */
    int64_t lease_ns; /* how long a silent worker keeps a build; heartbeats at a third */
    uint64_t log_max; /* bytes of log text a build may write */
    bool sweep;       /* worker_sweep at the start and now and then */
    /* The operator's log: one line without a line end.  Called from any thread. */
    void (*log)(void *self, const char *line);
    void *log_self;
    /* Test seam, NULL in programs: called when a step begins. */
    void (*on_step)(void *self, const char *step);
    void *on_step_self;
};

/* "host:pid:start time": names a process and no later one.  False when there is no such process. */
#define WORKER_NAME 160
bool worker_name_of(int pid, char name[WORKER_NAME]);

/* "<workspace>/<type>/<name>": where a build's image lives in the registry. */
void pipeline_repository(const struct build *b, char repository[3 * NAME_SIZE]);

struct worker;

/* Removes archives and job directories that no unfinished build of the state owns: what killed
 * processes left.  Faults are logged. */
void worker_sweep(const struct worker_config *config);

/* Starts the threads. */
MUST_CHECK int worker_start(const struct worker_config *config, struct worker **ret,
                            struct error *err);

/* Lets running builds end for at most drain_ms, then cancels them and hands them back; joins all
 * threads and frees.  NULL is fine. */
void worker_stop(struct worker *w, int64_t drain_ms);

#endif
