/* worker/pipeline — the steps from an accepted upload to an image that can be pulled, and the
 * threads that run them. */
#ifndef WORKER_PIPELINE_H
#define WORKER_PIPELINE_H

#include "base/clock.h"
#include "base/note.h"
#include "builder/builder.h"
#include "registry/registry.h"
#include "uploads/uploads.h"
#include "worker/places.h"
#include "worker/state.h"

/* What is left for other workers of the workspace, in its registry. */
enum worker_cache_mode {
    WORKER_CACHE_OFF, /* nothing, and nothing of theirs is used */
    WORKER_CACHE_MIN, /* of the image's own steps their layers, of others that they came out so */
    WORKER_CACHE_MAX, /* all layers */
};
struct worker_cache {
    enum worker_cache_mode mode;
    uint64_t size_max;   /* bytes of layers, for one image */
    uint64_t mounts_max; /* bytes of one cache mount; 0: they are not kept there */
};

struct worker_config { /* borrowed until worker_free */
    struct state *state;
    struct upload_store *uploads;
    struct builder *builder;
    const struct registry *registry;
    const char *registry_name;        /* "127.0.0.1:5000": as image references begin */
    const char *sandbox_image;        /* where sandbox-api is copied from */
    const struct argv *extract_words; /* for the inner main "extract": its limits */
    const struct places *places;      /* of template stores and volumes */
    const char *credentials_dir;      /* see worker/credentials.h; NULL: none come */
    uint64_t git_max;                 /* bytes that a git server may send */
    const char *program;              /* "kiln 0.1.0", for labels */
    bool attest;                      /* images get an SBOM and provenance */
    int64_t probe_ms; /* what is deployed is started, and has so long to answer; 0: it is not */
    const char *builder_id; /* a URI: who says so; "": nobody in particular */
    const char *name;       /* of this worker process: worker_name_of(getpid()) */
    int threads;            /* builds at once */
    int attempts;           /* as in state_config, to tell users */
    int64_t pull_ns;        /* how long a pull may take */
    int64_t lease_ns;       /* how long a silent worker keeps a build; heartbeats at a third */
    uint64_t log_max;       /* bytes of log text a build may write */
    int64_t log_ns;         /* how long logs are kept once their builds are over; 0: for ever */
    struct worker_cache cache;
    bool sweep;               /* worker_sweep at the start and now and then */
    bool no_slim;             /* layers are whole, whatever blaxel.toml says */
    struct cancel *transfers; /* thrown when builds that are stopped have had a while to tidy up: it
                                 ends requests to the object store; NULL: none */
    /* The operator's log: one line without a line end.  Called from any thread. */
    void (*log)(void *self, const struct note *note);
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

/* Removes what workers left each other of an image; that there is nothing is fine. */
MUST_CHECK int pipeline_forget_cache(const struct registry *registry, const struct target *t,
                                     struct error *err);

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
