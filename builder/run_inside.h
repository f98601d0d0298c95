/* builder/run_inside — what the parts of run share; included by run*.c. */
#ifndef BUILDER_RUN_INSIDE_H
#define BUILDER_RUN_INSIDE_H

#include <jansson.h>

#include "builder/accounts.h"
#include "builder/run.h"

#define RUN_HOSTNAME "localhost"

/* A sysfs of the jail's, or nothing. */
#define RUN_SYSFS "/kiln/sys"

/* What the command may have: Docker's default less what needs a device, a raw socket or the audit
 * log; SYS_CHROOT stays for package managers.  Ends with NULL. */
extern const char *const run_capabilities[];

/* Files and filesystems of the user's are <bundle>/mount0…, numbered as in req->mounts.  Ours: */
#define RUN_FILE_HOSTS    "hosts"
#define RUN_FILE_HOSTNAME "hostname"
#define RUN_FILE_RESOLVER "resolv.conf"
#define RUN_DIR_PIPES     "pipes"

/* ---- run_config.c ---- */

/* True for targets that are mounted on the /dev that each run gets, and not on the tree. */
bool run_target_is_in_dev(const char *target);

/* config.json of the OCI runtime specification 1.0.2.  ERR_INPUT: a word is not UTF-8. */
MUST_CHECK int run_config_write(const struct run_request *req, const struct account *who,
                                struct buf *out, struct error *err);

/* ---- run_seccomp.c ---- */

/* The linux.seccomp of a config.json, made of the profile at path, in the form that
 * containers-common and Docker share.  *ret is NULL when there is no such file. */
MUST_CHECK int run_seccomp_read(const char *path, json_t **ret, struct error *err);

/* ---- run_stubs.c ---- */

/* A mount point that was made in the tree. */
struct run_stub {
    char *path; /* from the root, without symlinks and leading slash */
    bool is_dir;
};
struct run_stubs {
    struct run_stub *v; /* parents before children */
    size_t n;
};

/* Makes target (absolute) and its parents where the tree lacks them, following symlinks with root
 * as their root.  Times of directories stay as they were.  ERR_INPUT: something is in the way. */
MUST_CHECK int run_stubs_make(int root, const char *target, bool is_dir, struct run_stubs *s,
                              struct error *err);
/* Takes out those that are still as they were made, and releases s. */
void run_stubs_remove(int root, struct run_stubs *s);

/* ---- run_verdict.c ---- */

/* What runc's log (JSON lines) says went wrong; false when it holds no error. */
bool run_verdict_read(const char *log, struct buf *ret_message);
/* The error for it: returns -1. */
int run_verdict_error(const struct run_request *req, const char *message, struct error *err);

/* ---- run_probe.c ---- */

/* builder-run: an inner main that runs one command, for a jail with JAIL_RIGHTS_BUILD and what
 * run_add_to_jail adds.  Exits with 0 when that went well, else says why not. */
int run_probe_main(int argc, char **argv);

#endif
