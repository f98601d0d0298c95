/* builder — a context directory and a Dockerfile go in, an image in a registry comes out.
 *
 * buildah does the work; this folder decides its arguments, gives it a jail of its own, and reads
 * its verdict.  Everything of one build lives in one job directory and is gone after
 * builder_job_end: stores are cattle.
 *
 *   builder_open → builder_job_begin → builder_run_inside(extract) → builder_pull → builder_build
 *     → builder_push → builder_job_end
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

/* ---- the builder ---- */

enum builder_egress {
    BUILDER_EGRESS_NONE, /* RUN sees lo and nothing else */
    BUILDER_EGRESS_NAT,  /* slirp4netns; never the host's own, loopback or link-local addresses, and
                            of private networks only what egress_allow names */
    BUILDER_EGRESS_LIST, /* the same, but only to what egress_allow names */
};

/* Whether a word may stand in egress_allow: an IPv4 address ("192.0.2.7"), a network of them
 * ("192.0.2.0/24") or the name of a host; no ports, nothing on this machine or link-local. */
bool builder_egress_word_is_valid(const char *word);

/* What one build may use at most; 0: as much as there is.  Where the machine has no control groups
 * for it, a limit does not hold: builder_diagnose says so. */
struct builder_limits {
    uint64_t memory; /* bytes, swap included */
    uint64_t pids;   /* processes and threads at once */
    uint64_t cpus;
    uint64_t disk; /* bytes in the job's directory; measured, so a fast writer gets a little more */
};

/* What is named below prefix is fetched from location and from nowhere else: no fallback to the
 * registry in the name, no credentials for it; so also what may lie on this machine. */
struct builder_mirror {
    const char *prefix;   /* "docker.io", "ghcr.io/blaxel-ai/sandbox" */
    const char *location; /* "127.0.0.1:5000/mirror" */
    bool insecure;        /* plain HTTP */
};

struct builder_config {  /* borrowed until builder_free */
    const char *dir;     /* absolute; holds jobs/ and bases/ */
    const char *buildah; /* the program; NULL: "buildah" from PATH */
    uint32_t uid_base;   /* first host uid and gid of the 65,536 of jails (as root); 0: 1,000,000 */
    enum builder_egress egress;
    const struct argv *egress_allow; /* NULL: nothing */
    struct builder_limits limits;    /* of one job, over all its steps */
    const struct builder_mirror *mirrors;
    size_t n_mirrors;
    const char *push_registry; /* "127.0.0.1:5000": host:port images are pushed to */
    bool push_insecure;        /* plain HTTP there */
    int64_t timeout_ms;        /* for each of pull, build, push */
};

struct builder;
/* Finds out by making a jail which kind this machine allows.  What is missing (buildah, subordinate
 * ids, namespaces, slirp4netns for BUILDER_EGRESS_NAT) does not fail here, so that builder_diagnose
 * can say it; it fails builder_job_begin, or builder_build for slirp4netns, with ERR_SYSTEM. */
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
 * workspace selects the base store; both are names of [a-z0-9-]. */
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

/* Fetches image into the workspace's base store, with the host's network and no code of the user's.
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

/* Where a failed build stood. */
struct builder_failure {
    int stage;      /* from 0, among the stages buildah ran; -1: unknown */
    int step;       /* from 1, FROM being 1; 0: unknown */
    int steps;      /* of the stage; 0: unknown */
    char text[512]; /* the instruction as buildah printed it */
    int exit_code;  /* of the command, 128 + n by signal n; -1: it was no command that failed */
};

struct builder_request {
    const char *dockerfile;        /* text */
    const char *ignore;            /* what COPY does not see, in .dockerignore's form; NULL: nothing
                                      is left out.  No file of the context is asked. */
    const struct argv *build_args; /* "K=V"; values never reach argv, image, history or log */
    const struct argv *labels;     /* "K=V" */
};

/* Builds from the job's context without pulling.  ret_failure is set unless the outcome is
 * BUILDER_DONE. */
MUST_CHECK int builder_build(struct builder_job *j, const struct builder_request *req,
                             const struct builder_io *io, enum builder_outcome *ret_outcome,
                             struct builder_failure *ret_failure, struct error *err);

/* Pushes what builder_build made to <push_registry>/<repository>:<tag>.  ret_digest: that of the
 * manifest, "sha256:…". */
MUST_CHECK int builder_push(struct builder_job *j, const char *repository, const char *tag,
                            const struct builder_io *io, enum builder_outcome *ret_outcome,
                            char ret_digest[BUILDER_DIGEST], struct error *err);

/* Removes job directories that keep says no to: what killed processes left. */
MUST_CHECK int builder_sweep(struct builder *b, bool (*keep)(void *self, const char *id),
                             void *self, struct error *err);

#endif
