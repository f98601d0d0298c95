/* builder/state — what the builder's own files share. */
#ifndef BUILDER_STATE_H
#define BUILDER_STATE_H

#include <limits.h>

#include "builder/builder.h"
#include "builder/cgroup.h"
#include "builder/jail.h"
#include "builder/progress.h"

struct builder {
    const struct builder_config *config;
    struct jail_ids ids;
    char buildah[PATH_MAX];  /* on the host; "" when not found */
    struct error no_users;   /* why there is no user namespace; ERR_NONE: there is one */
    struct error no_jail;    /* why nothing can be built here; ERR_NONE: it can */
    struct error no_overlay; /* why no step can be executed here; ERR_NONE: it can */
    struct cgroup_site site; /* where control groups can be made */
};

#define BUILDER_NAME_MAX 64

struct builder_job {
    const struct builder *b;
    int held;       /* its directory, locked: somebody is at work in it */
    int lock;       /* on the workspace's cache: nothing of it goes meanwhile that the job uses */
    int bases_lock; /* on the base store */
    char workspace[BUILDER_NAME_MAX + 1];
    char id[BUILDER_NAME_MAX + 1];
    char dir[PATH_MAX];          /* <dir>/jobs/<id> */
    char bases[PATH_MAX];        /* see builder/bases_store.h */
    char cache[PATH_MAX];        /* <dir>/cache/<workspace> */
    char work[PATH_MAX + 80];    /* <cache>/tmp/<id>: what the build is working on */
    char context[PATH_MAX + 96]; /* <work>/context: files of it can be linked to the cache */
    const struct builder_remote *remote; /* NULL: none */
    const struct argv *shared;           /* see builder_job_use_shared; NULL: nothing */
    struct argv groups;                  /* the directories of the job's control group */
};

/* builder_open with a choice that it makes itself otherwise: for tests of each. */
MUST_CHECK int builder_open_as(const struct builder_config *config, enum jail_users users,
                               struct builder **ret, struct error *err);

/* -1 with the reason when this machine cannot run jails. */
MUST_CHECK int builder_check_jail(const struct builder *b, struct error *err);

/* Tries a jail of these ids, and an overlay in it: *ret_no_jail and *ret_no_overlay say why there
 * is none (ERR_NONE: there is).  -1: it could not be tried, as on a full disk. */
MUST_CHECK int builder_probe(const struct builder *b, const struct jail_ids *ids,
                             struct error *ret_no_jail, struct error *ret_no_overlay,
                             struct error *err);

/* Removes what probes that were killed have left, unless one is running. */
MUST_CHECK int builder_sweep_probes(const struct builder *b, struct error *err);

/* Makes a directory that belongs to root in the jail. */
MUST_CHECK int builder_make_dir(const struct builder *b, const char *path, struct error *err);

/* Removes parent/name, whoever owns what is in it. */
MUST_CHECK int builder_remove(const struct builder *b, const char *parent, const char *name,
                              struct error *err);

/* The absolute path of a program in path ("/a:/b"); false when there is none. */
bool builder_find_program(const char *path, const char *name, char ret[PATH_MAX]);

/* True when the workspace's base store has been written to. */
bool builder_job_has_bases(const struct builder_job *j);

/* Makes the job's control group, of whose directories a list is kept in the job's. */
MUST_CHECK int builder_limits_begin(struct builder_job *j, struct error *err);
/* Removes the control group that a job directory lists, with all that still runs in it. */
MUST_CHECK int builder_limits_end(const char *job_dir, struct error *err);
/* Puts the job's limits into a jail. */
void builder_limits_describe(const struct builder_job *j, struct jail_spec *s);
void builder_limits_count(const struct builder_job *j, struct cgroup_counts *ret);
/* The disk of this machine that the job is on has next to no room. */
bool builder_disk_is_full(const struct builder_job *j);
/* outcome, unless the job's limits or a full disk are behind it.  before: as counted before the
 * step began; was_full: the disk was seen to be full in the meantime. */
enum builder_outcome builder_limits_judge(const struct builder_job *j,
                                          const struct cgroup_counts *before, bool was_full,
                                          enum builder_outcome outcome, int code);

/* Runs a described jail for a step of the job: the time limit is the configured one.  spec is
 * released.  *ret_end tells how it came out, *ret_outcome only what does not depend on the exit
 * code, and what the job's limits had to do with it: BUILDER_DONE, or any but BUILDER_FAILED (and
 * then the exit code has no meaning).  A crash of the program is ERR_SYSTEM.  The job's limits are
 * put into spec here. */
MUST_CHECK int builder_run_step(const struct builder_job *j, struct jail_spec *spec,
                                const struct builder_io *io, const struct process_sink *sink,
                                int stdin_fd, uint32_t grace_ms, int64_t timeout_ms,
                                enum builder_outcome *ret_outcome, int *ret_code,
                                struct error *err);

/* Begins the description of a jail where an inner main works with a build's rights: it has the
 * base. egress: and the network that the configuration allows, of which this says what is not so;
 * NULL: none. */
void builder_describe_inner(const struct builder_job *j, const struct progress *egress,
                            struct jail_spec *s);

/* Runs an inner main for a step of the job: what it writes to descriptor 1 goes to out, which has a
 * ceiling.  *ret_outcome and *ret_code as above; spec stays the caller's. */
MUST_CHECK int builder_run_inner(const struct builder_job *j, struct jail_spec *spec, int stdin_fd,
                                 struct buf *out, const struct builder_io *io,
                                 enum builder_outcome *ret_outcome, int *ret_code,
                                 struct error *err);

#endif
