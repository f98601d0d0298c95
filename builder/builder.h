/* builder — a context directory and a Dockerfile go in, an image in a registry comes out.
 *
 * buildah fetches the bases; the steps are executed here (docs/builder.md), and each gets a jail of
 * its own.  What belongs to one build lives in one job directory and is gone after
 * builder_job_end; what later builds of the workspace can use lives in its base store and its
 * cache.
 *
 *   builder_open → builder_job_begin → builder_fetch_inside(git) or an upload
 *     → builder_run_inside(extract) → builder_pull → builder_build
 *     → builder_open_blob, for a push → builder_job_end
 *
 * The jail (DESIGN.md): user, mount, pid, ipc, uts and cgroup namespaces, and a net namespace for
 * steps that run the user's code; pivot_root into a tmpfs that holds /usr read-only, a few device
 * nodes and this job's directories.  The kiln binary enters it by running itself again: a program
 * that calls builder_* must call builder_jail_main at the start of main. */
#ifndef BUILDER_BUILDER_H
#define BUILDER_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/process.h"
#include "builder/program.h"

/* ---- the second life of the binary ---- */

/* What may run inside a jail besides buildah: kiln's own code that reads hostile input.  It gets
 * its words, reads descriptor 0, writes descriptor 1, and returns an exit code. */
struct builder_inner {
    const char *name;
    int (*main)(int argc, char **argv);
};

/* If this process was started as a jail, enters it and never returns; otherwise returns at once.
 * inner ends with a NULL name. */
void builder_jail_main(int argc, char **argv, const struct builder_inner *inner);

/* The main of the inner program BUILDER_EXECUTE, which builder_build starts and every list of inner
 * programs must have: argc and argv are the inner main's own. */
#define BUILDER_EXECUTE "builder-execute"
int builder_execute_main(const struct builder_patterns *patterns, const struct builder_git *git,
                         int argc, char **argv);

/* What stands between buildah and the registry: a pull that breaks off is not buildah's business.
 */
struct builder_relay_order {        /* borrowed until the process ends */
    const char *url;                /* of the registry: "https://registry-1.docker.io" */
    const char *repository;         /* there: "library/alpine" */
    const char *docker_config;      /* JSON, whose credentials for that are shown; NULL: none */
    const char *ca_file;            /* PEM, trusted beside the system's; NULL */
    uint64_t size_max;              /* bytes of an image's layers as stored */
    void (*note)(const char *text); /* called on any thread with what the user may want to know */
};
struct builder_relay {
    /* Serves the repository until the process ends, by plain HTTP at "127.0.0.1:port/path". */
    int (*start)(const struct builder_relay_order *order, void **ret, char ret_location[64],
                 struct error *err);
    /* Why something could not be had: ERR_INPUT or ERR_LIMIT, the user's business; ERR_REMOTE;
     * ERR_NONE: all could. */
    void (*fault)(void *relay, struct error *ret);
};

/* The main of the inner program BUILDER_FETCH, which builder_pull starts and every list of inner
 * programs must have. */
#define BUILDER_FETCH "builder-fetch"
int builder_fetch_main(const struct builder_relay *relay, int argc, char **argv);

/* ---- the builder ---- */

enum builder_egress {
    BUILDER_EGRESS_NONE, /* RUN sees lo and nothing else */
    BUILDER_EGRESS_NAT,  /* slirp4netns; never the host's own, loopback or link-local addresses, and
                            of private networks only what egress_allow names */
    BUILDER_EGRESS_LIST, /* the same, but only to what egress_allow names */
};

/* Whether a word may stand in egress_allow: an IPv4 address ("192.0.2.7"), a network of them
 * ("192.0.2.0/24") or the name of a host, each perhaps with ":port" or ":from-to"; nothing on this
 * machine or link-local, and no IPv6, which has no way out. */
bool builder_egress_word_is_valid(const char *word);

/* What one build may use at most; 0: as much as there is.  Where the machine has no control groups
 * for it, a limit does not hold: builder_diagnose says so. */
struct builder_limits {
    uint64_t memory; /* bytes, swap included */
    uint64_t pids;   /* processes and threads at once */
    uint64_t cpus;
    uint64_t disk; /* bytes of the context and of what steps are writing; measured, so a fast writer
                      gets a little more */
};

/* What is named below prefix is fetched from location and from nowhere else: no fallback to the
 * registry in the name, no credentials for it; so also what may lie on this machine. */
struct builder_mirror {
    const char *prefix;   /* "docker.io", "ghcr.io/blaxel-ai/sandbox" */
    const char *location; /* "127.0.0.1:5000/mirror" */
    bool insecure;        /* plain HTTP */
};

struct builder_config {  /* borrowed until builder_free */
    const char *dir;     /* absolute; holds jobs/, bases/ and cache/ */
    const char *buildah; /* the program; NULL: "buildah" from PATH */
    uint32_t uid_base;   /* first host uid and gid of the 65,536 of jails (as root); 0: 1,000,000 */
    enum builder_egress egress;
    const struct argv *egress_allow; /* NULL: nothing */
    struct builder_limits limits;    /* of one job, over all its steps */
    const struct builder_mirror *mirrors;
    size_t n_mirrors;
    const char *push_registry; /* "127.0.0.1:5000": host:port images are pushed to, and may be
                                  built on */
    bool push_insecure;        /* plain HTTP there */
    int64_t timeout_ms;        /* for each of fetch, pull and build */
    uint64_t cache_max; /* bytes that the cache of a workspace may take between builds; 0: 10 GiB */
    uint64_t bases_max; /* likewise its base store */
    uint64_t caches_max; /* likewise the caches and base stores of all workspaces; 0: no bound */
    const char
        *ca_file;     /* absolute, PEM: certificates that are trusted beside the system's; NULL */
    uint64_t git_max; /* bytes that a git server may send for an ADD; 0: the default */
    /* "host" or "host:port" of servers on this machine or in its private networks that
     * builder_fetch_inside may talk to; NULL: none. */
    const struct argv *fetch_hosts;
};

struct builder;
/* Finds out by making a jail which kind this machine allows.  What is missing (buildah, subordinate
 * ids, namespaces, slirp4netns for BUILDER_EGRESS_NAT) does not fail here, so that builder_diagnose
 * can say it; it fails builder_job_begin, or builder_build for slirp4netns, with ERR_SYSTEM.  -1
 * when that could not be found out, as on a full disk. */
MUST_CHECK int builder_open(const struct builder_config *config, struct builder **ret,
                            struct error *err);
void builder_free(struct builder *b);

/* The configuration it was opened with. */
const struct builder_config *builder_configuration(const struct builder *b);

/* One finding of `kiln doctor`. */
enum builder_health { BUILDER_OK, BUILDER_DEGRADED, BUILDER_MISSING };
struct builder_finding {
    enum builder_health health;
    const char *subject; /* "user namespace" */
    char detail[256];    /* what is so, and what to do about it */
};
/* Tries each thing for real (starts a jail, mounts an overlay in it …).  Calls report for each. */
MUST_CHECK int builder_diagnose(struct builder *b,
                                void (*report)(void *self, const struct builder_finding *f),
                                void *self, struct error *err);

/* ---- one build ---- */

/* Where a step's output goes and what may end it early. */
struct builder_io {
    const struct process_sink *sink; /* NULL: dropped */
    const struct cancel *cancel;     /* NULL: none */
};

struct builder_job;

/* Makes <dir>/jobs/<id> anew (what an earlier try left there is removed) with an empty context.
 * workspace selects the base store and the cache; both are names of [a-z0-9-]. */
MUST_CHECK int builder_job_begin(struct builder *b, const char *workspace, const char *id,
                                 struct builder_job **ret, struct error *err);
/* Removes the job directory.  NULL is fine. */
void builder_job_end(struct builder_job *j);

/* How a step came out, when it could be run at all. */
enum builder_outcome {
    BUILDER_DONE,
    BUILDER_FAILED, /* the user's input is at fault; the sink has the reason */
    BUILDER_TIMED_OUT,
    BUILDER_CANCELLED,
    BUILDER_KILLED, /* a signal from elsewhere: never a success, worth another try */
    /* Stopped by, or failed after it ran into, a limit of the configuration: */
    BUILDER_OUT_OF_MEMORY,
    BUILDER_TOO_MANY_PROCESSES,
    BUILDER_DISK_FULL,
    /* Failed while the disk of this machine was full, and not by its own limit: worth another try
     */
    BUILDER_MACHINE_FULL,
};

/* Runs the inner main `name` with words (argv[1]…; NULL: none) in a jail without network whose only
 * writable directory is the job's context, at /context.  stdin_fd is its descriptor 0; its
 * descriptor 1 is read into out. */
MUST_CHECK int builder_run_inside(struct builder_job *j, const char *name, const struct argv *words,
                                  int stdin_fd, struct buf *out, const struct builder_io *io,
                                  enum builder_outcome *ret_outcome, struct error *err);

/* What an inner main sees besides the context. */
struct builder_share {
    const char *name; /* in the jail it is /kiln/<name> */
    const char *dir;  /* on the host, absolute; writable in the jail.  See builder_give. */
};

/* The same with shares. */
MUST_CHECK int builder_run_beside(struct builder_job *j, const char *name, const struct argv *words,
                                  int stdin_fd, const struct builder_share *shares, size_t n_shares,
                                  struct buf *out, const struct builder_io *io,
                                  enum builder_outcome *ret_outcome, struct error *err);

/* Makes the directory, and gives it, what is in it, and what is in directories in it, to the root
 * of jails, so that an inner main can work on what we wrote, and on what jails with another
 * uid_base did.  Links are not followed. */
MUST_CHECK int builder_give(const struct builder *b, const char *dir, struct error *err);

/* Runs the inner main `name` with words in a jail with the host's network, for it to talk to
 * authority ("host:port") and to what builder_may_fetch_from allows; its only writable directory,
 * empty, is /kiln/tmp.  Before it starts, the host's addresses are looked at: those of this
 * machine, of link-local and private networks and of the clouds' metadata services are refused
 * unless fetch_hosts names the server; and the host's name then means the addresses that were
 * looked at. *ret_fd, the caller's to close, is a nameless file, rewound, that was the inner main's
 * descriptor 0; out is what it wrote to descriptor 1.  BUILDER_FAILED: the host is refused, and the
 * sink has the reason, or the inner main did not return 0; ERR_REMOTE: the host's name does not
 * resolve. */
MUST_CHECK int builder_fetch_inside(struct builder_job *j, const char *name,
                                    const struct argv *words, const char *authority, int *ret_fd,
                                    struct buf *out, const struct builder_io *io,
                                    enum builder_outcome *ret_outcome, struct error *err);

/* For an inner main of builder_fetch_inside that is sent on to another server: looks at its name as
 * at the first one's, and pins it to its addresses.  False, with a line on stderr: none of them is
 * of the public internet. */
bool builder_may_fetch_from(const char *authority);

/* Fetches image into the workspace's base store, with no code of the user's: from a mirror or our
 * own registry with the host's network, from any other with one that leads to no private network
 * that egress_allow does not name, and not to this machine.  A connection that breaks off is made
 * again, and goes on where it was.
 * docker_config: JSON text as from upload_clean_docker_config, NULL: none; it is kept in memory.
 * BUILDER_FAILED: no such image or not allowed (the sink says which); ERR_REMOTE: the registry
 * could not be reached. */
MUST_CHECK int builder_pull(struct builder_job *j, const char *image, const char *docker_config,
                            const struct builder_io *io, enum builder_outcome *ret_outcome,
                            struct error *err);

#define BUILDER_DIGEST 80

/* What is known of an image that builder_pull has fetched. */
struct builder_base {
    struct buf config;           /* its OCI config, JSON; its digest was checked */
    char digest[BUILDER_DIGEST]; /* of the manifest */
    const char *program;         /* the first of the paths asked for that it has; NULL: none */
};
void builder_base_release(struct builder_base *b);

/* Looks the image up in the workspace's base store, without starting anything.  programs, ended by
 * NULL: absolute paths at which an executable file is looked for.  ret is to be released. */
MUST_CHECK int builder_base_find(const struct builder_job *j, const char *name,
                                 const char *const *programs, bool *ret_found,
                                 struct builder_base *ret, struct error *err);

/* How to learn, without builder_pull, whether an image in the base store is what its name means. */
enum builder_currency {
    BUILDER_BASE_UNKNOWN, /* not at all: it is not there, or its registry may want credentials */
    BUILDER_BASE_CURRENT, /* its name has a digest, and that is what is there */
    BUILDER_BASE_ASK,     /* by what a mirror, or the registry that is pushed to, says of its tag */
};
struct builder_base_place { /* of BUILDER_BASE_ASK */
    char url[300];          /* "http://127.0.0.1:5000" */
    char repository[1024];  /* perhaps outside the registry's grammar */
    char tag[160];
};
/* An image that builder_pull would refuse is UNKNOWN. */
MUST_CHECK int builder_base_currency(const struct builder_job *j, const char *image,
                                     enum builder_currency *ret,
                                     struct builder_base_place *ret_place, struct error *err);

/* Whether the image in the base store came by the manifest or index of that digest. */
MUST_CHECK int builder_base_came_as(const struct builder_job *j, const char *image,
                                    const char *digest, bool *ret, struct error *err);

/* Results of other workers of the workspace, wherever they are kept: where there is nothing, or it
 * cannot be had, a build does without.  Called from another thread than the build's, one call at a
 * time; what comes is checked, and believed no more than the workspace's user is. */
#define BUILDER_REMOTE_STEPS "steps"  /* of the image */
#define BUILDER_REMOTE_MOUNT "mount-" /* and 64 hex digits: a cache mount of the workspace */
struct builder_remote {
    /* Adds to ret what has that name. */
    int (*look_up)(void *self, const char *name, struct buf *ret, bool *ret_found,
                   struct error *err);
    /* Writes a blob that was found by such a name to the file fd. */
    int (*fetch)(void *self, const char *digest, uint64_t size, int fd, bool *ret_found,
                 struct error *err);
    void *self;
};

/* For builder_build and builder_export; remote lives as long as the job, or until it is set to
 * NULL. */
void builder_job_use_remote(struct builder_job *j, const struct builder_remote *remote);

/* Repositories of other workspaces in the registry that is pushed to, "globex/sandbox/app", which
 * builder_pull and builder_base_currency shall not refuse; they live as long as the job. */
void builder_job_use_shared(struct builder_job *j, const struct argv *repositories);

/* What a build says while it runs; called on the caller's thread.  Stages run beside each other, so
 * lines of several steps come mixed. */
enum builder_event_kind {
    BUILDER_EVENT_BEGIN,  /* text: the step's title */
    BUILDER_EVENT_CACHED, /* it is not run: its result is there */
    BUILDER_EVENT_NOTE,   /* text: why it is run, and other remarks of ours */
    BUILDER_EVENT_LINE,   /* text: a line of the command's output */
    BUILDER_EVENT_DONE,
    BUILDER_EVENT_FAILED, /* text: the reason; code */
};
#define BUILDER_NO_STEP ((size_t)-1) /* exporting the image */
struct builder_event {
    enum builder_event_kind kind;
    size_t stage, step; /* indices into the program */
    const char *text;
    enum process_stream stream; /* LINE */
    uint64_t bytes;             /* DONE: that it wrote */
    int code; /* FAILED: the command's exit code, 128 + n by signal n; -1: no command
                 failed */
};

struct builder_watch {
    void (*event)(void *self, const struct builder_event *e);
    void *self;
};

/* One layer of a finished image, as it is pushed. */
struct builder_layer {
    char digest[BUILDER_DIGEST]; /* of the blob */
    char diff_id[BUILDER_DIGEST];
    uint64_t size;
    bool base; /* came with the base image, unchanged */
    bool away; /* another worker made it: it is where builder_remote is, and perhaps not here */
};

struct builder_image {
    struct buf config; /* JSON */
    struct builder_layer *layers;
    size_t n_layers;
    size_t n_steps, n_cached; /* that have files as their result */
    struct buf packages;      /* JSON: what is in it (builder/packages.h); empty: not known */

    /* For builder_export: */
    struct buf keys;    /* JSON: the steps and what they came to */
    struct argv mounts; /* cache mounts that commands had */
    int64_t epoch;      /* of the program */
};
void builder_image_release(struct builder_image *image);

/* Where a failed build stood. */
struct builder_failure {
    size_t stage, step; /* BUILDER_NO_STEP: at none */
    int exit_code;      /* of the command, 128 + n by signal n; -1: it was no command that failed */
    char reason[2048];  /* unless BUILDER_FAILED: the title of the step */
};

/* Builds from the job's context; all images it needs must have been pulled.  The image stays in the
 * workspace's cache: see builder_open_blob.  Unless the outcome is BUILDER_DONE, ret_failure is
 * set, and ret_image has only what builder_export needs of the steps that were done.  ret_image is
 * to be released in any case. */
MUST_CHECK int builder_build(struct builder_job *j, const struct builder_program *program,
                             const struct builder_watch *watch, const struct cancel *cancel,
                             enum builder_outcome *ret_outcome, struct builder_image *ret_image,
                             struct builder_failure *ret_failure, struct error *err);

/* Opens a layer's blob, of this build's image or of its base. */
MUST_CHECK int builder_open_blob(const struct builder_job *j, const struct builder_layer *layer,
                                 int *ret_fd, struct error *err);

/* How a layer's blob is packed, by its first bytes: our own by gzip, a base's as it came. */
enum builder_packing { BUILDER_PACKED_GZIP, BUILDER_PACKED_ZSTD, BUILDER_NOT_PACKED };
MUST_CHECK int builder_packing_of(const struct builder_job *j, const struct builder_layer *layer,
                                  enum builder_packing *ret, struct error *err);

/* ---- starting it ---- */

/* An image that was built is started once, as it was pushed, with lo as its only network and the
 * job's limits.  It runs as root, with Entrypoint and Cmd, Env and WorkingDir of its configuration.
 */
struct builder_trial { /* borrowed */
    const struct builder_image *image;
    const struct argv *env; /* "K=V": these count more than the image's own */
    uint16_t port;          /* that has to answer, at another address than 127.0.0.1 */
    int64_t timeout_ms;     /* for that */
    int64_t grace_ms;       /* then, between SIGTERM and SIGKILL */
    /* Writes a layer that is not here to fd. */
    int (*fetch)(void *self, const struct builder_layer *layer, int fd, struct error *err);
    void *self;
};

enum builder_trial_end {
    BUILDER_TRIAL_ANSWERED,
    BUILDER_TRIAL_SILENT, /* the time was over */
    BUILDER_TRIAL_ENDED,  /* its program did, before anything answered */
};
struct builder_trial_result {
    enum builder_trial_end end;
    int code;   /* ENDED: of the exit; 128 + n by signal n */
    int signal; /* 0 unless it was signalled */
    int64_t took_ms;
    char listens[256]; /* SILENT: where anything did: "127.0.0.1:3000, [::]:5000"; "" */
    uint64_t left_out; /* bytes that it said beyond 64 KiB, which io did not get */
    bool killed;       /* it did not end at SIGTERM */
};

/* ret is set when the outcome is BUILDER_DONE; BUILDER_FAILED is none here.  ERR_INPUT: the image
 * cannot be started (no such program…).  io gets what the image's program says. */
MUST_CHECK int builder_try(struct builder_job *j, const struct builder_trial *t,
                           const struct builder_io *io, enum builder_outcome *ret_outcome,
                           struct builder_trial_result *ret, struct error *err);

/* Adds the names of the workspaces that have a cache here. */
MUST_CHECK int builder_list_caches(const struct builder *b, struct argv *ret, struct error *err);

/* Removes from a workspace's cache what was not used for the longest time, until it takes at most
 * `keep` bytes, and with bases its base store.  *ret_busy true: a build of it runs, and nothing was
 * removed. */
MUST_CHECK int builder_prune(const struct builder *b, const char *workspace, uint64_t keep,
                             bool bases, bool *ret_busy, uint64_t *ret_freed, struct error *err);

/* ---- for other workers ---- */

struct builder_export_options {
    bool all;            /* with the layers of steps that are not in the image */
    uint64_t size_max;   /* bytes of layers kept for the image */
    uint64_t mounts_max; /* bytes of a cache mount's files; 0: none is saved */
    int64_t now;         /* seconds since 1970 */
};

/* What is to be kept where builder_remote looks it up by name.  Layers as in an image: the blobs
 * that it speaks of; those that are away, or of earlier builds, are there already. */
struct builder_artifact {
    char name[80];
    struct buf text;
    struct builder_layer *layers;
    size_t n_layers;
};

struct builder_export {
    struct builder_artifact *v;
    size_t n;
    struct argv notes; /* what could not be made, and why */
};
void builder_export_release(struct builder_export *e);

/* Makes of a built image, and of what the job's remote has of it already, what other workers shall
 * find.  What did not change is not among it. */
MUST_CHECK int builder_export(struct builder_job *j, const struct builder_image *image,
                              const struct builder_export_options *options,
                              const struct builder_io *io, struct builder_export *ret,
                              struct error *err);

/* The disk of the builder's directory has next to no room: what is built now fails. */
bool builder_is_full(const struct builder *b);

/* Removes job directories that keep says no to and nobody holds: what killed processes left.  Then
 * brings caches and base stores within their bounds. */
MUST_CHECK int builder_sweep(struct builder *b, bool (*keep)(void *self, const char *id),
                             void *self, struct error *err);

/* At a clean stop: has what builds left for later ones reach the disk, so that a boot after it
 * forgets nothing. */
MUST_CHECK int builder_sync(const struct builder *b, struct error *err);

#endif
