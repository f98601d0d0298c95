/* builder/state — what the builder's own files share. */
#ifndef BUILDER_STATE_H
#define BUILDER_STATE_H

#include <limits.h>

#include "builder/builder.h"
#include "builder/jail.h"

struct builder {
    const struct builder_config *config;
    struct jail_ids ids;
    char buildah[PATH_MAX];  /* on the host; "" when not found */
    const char *driver;      /* of containers/storage: "overlay", "vfs" */
    struct error no_users;   /* why there is no user namespace; ERR_NONE: there is one */
    struct error no_jail;    /* why nothing can be built here; ERR_NONE: it can */
    struct error no_overlay; /* why the driver is vfs */
};

#define BUILDER_NAME_MAX 64

struct builder_job {
    const struct builder *b;
    int lock; /* on the workspace's cache and base store: nothing of them goes meanwhile */
    char workspace[BUILDER_NAME_MAX + 1];
    char id[BUILDER_NAME_MAX + 1];
    char dir[PATH_MAX];           /* <dir>/jobs/<id> */
    char bases[PATH_MAX];         /* <dir>/bases/<workspace> */
    char cache[PATH_MAX];         /* <dir>/cache/<workspace> */
    char context[PATH_MAX + 128]; /* <cache>/tmp/<id>/context: files can be linked to the cache */
};

/* builder_open with a choice that it makes itself otherwise: for tests of each. */
MUST_CHECK int builder_open_as(const struct builder_config *config, enum jail_users users,
                               struct builder **ret, struct error *err);

/* -1 with the reason when this machine cannot run jails. */
MUST_CHECK int builder_check_jail(const struct builder *b, struct error *err);

/* Tries whether an overlay can be mounted in a jail of these ids: *ret_no_overlay says why not
 * (ERR_NONE: it can).  -1: the jail itself cannot be made. */
MUST_CHECK int builder_probe(const struct builder *b, const struct jail_ids *ids,
                             struct error *ret_no_overlay, struct error *err);

/* Makes a directory that belongs to root in the jail. */
MUST_CHECK int builder_make_dir(const struct builder *b, const char *path, struct error *err);

/* Removes parent/name, whoever owns what is in it. */
MUST_CHECK int builder_remove(const struct builder *b, const char *parent, const char *name,
                              struct error *err);

/* The absolute path of a program in path ("/a:/b"); false when there is none. */
bool builder_find_program(const char *path, const char *name, char ret[PATH_MAX]);

/* Runs a described jail for a step of the job: the time limit is the configured one.  spec is
 * released.  *ret_end tells how it came out, *ret_outcome only what does not depend on the exit
 * code: BUILDER_DONE, _TIMED_OUT, _CANCELLED, _KILLED (and then the exit code has no meaning).  A
 * crash of the program is ERR_SYSTEM. */
MUST_CHECK int builder_run_step(const struct builder_job *j, struct jail_spec *spec,
                                const struct builder_io *io, const struct process_sink *sink,
                                int stdin_fd, uint32_t grace_ms, int64_t timeout_ms,
                                enum builder_outcome *ret_outcome, int *ret_code,
                                struct error *err);

#endif
