/* builder/run — one RUN: a command in a container of its own, by runc (OCI runtime specification
 * 1.0), inside the jail of the build.
 *
 * The container has its own pid, mount, ipc and uts namespace, and with no_network a network that
 * holds lo and nothing else (one for all such runs of the jail); else the jail's.  What it gets is
 * what Docker's default grants, less what a build needs not (docs/jail.md).  Mount targets that had
 * to be made in the tree are taken out again afterwards. */
#ifndef BUILDER_RUN_H
#define BUILDER_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/process.h"
#include "builder/jail.h"

/* The network without anything, to be joined. */
#define RUN_NO_NETWORK "/run/no-network"

/* Adds what runs need in their jail, after jail_spec_add_base: a view of cgroups, which runc asks
 * for, and RUN_NO_NETWORK.  Not for a jail with JAIL_NET_HOST. */
void run_add_to_jail(struct jail_spec *s);

/* Finds runc below /usr, which every jail has; false when there is none. */
bool run_find_runc(char ret[PATH_MAX]);

enum run_mount_type { RUN_MOUNT_BIND, RUN_MOUNT_TMPFS, RUN_MOUNT_FILE };

struct run_mount {
    enum run_mount_type type;
    const char *target; /* absolute, cleaned; not /, nothing of /proc, /sys and /dev but /dev/shm */
    const char *source; /* BIND: a path in the jail that nobody else can change under us */
    const char *content; /* FILE: a secret's text, kept in memory */
    size_t len;
    bool read_only;
    int64_t mode, uid, gid; /* TMPFS, FILE; -1: 0400 for a file, 1777 for a tmpfs; root */
    int64_t size;           /* TMPFS: bytes; 0: not limited but by the build's memory */
};

struct run_request {         /* all borrowed */
    const char *rootfs;      /* path of the mounted tree, writable */
    const char *bundle;      /* an empty directory of this run's own; empty again afterwards */
    const struct argv *argv; /* argv->v[0] is looked up in env's PATH inside the tree */
    const struct argv *env;  /* "K=V"; HOME is added when it lacks */
    const char *cwd;         /* absolute; "" is / */
    const char *user;        /* as USER has it; "": root */
    const char *script; /* not NULL: the content of an executable file /dev/pipes/<script_name> */
    const char *script_name;
    const struct run_mount *mounts;
    size_t n_mounts;
    bool no_network;
    const struct process_sink *sink; /* NULL: output is dropped */
    const struct cancel *cancel;     /* NULL: none */
};

enum run_how { RUN_EXITED, RUN_SIGNALLED, RUN_CANCELLED };
/* An exit code of 129 to 192 reads as a signal: runc does not tell the two apart. */
struct run_end {
    enum run_how how;
    int code;   /* of the exit; 128 + n by signal n; -1: cancelled */
    int signal; /* 0 unless it was signalled */
};

/* Returns when nothing of the container is left.  Runs may go on at the same time, each on a tree
 * of its own.  ERR_INPUT: it could not be started for a reason of the user's (no such program, user
 * or directory), in BuildKit's words where it has some; ERR_LIMIT: see accounts_find; ERR_SYSTEM:
 * ours.  A program that is found and that the kernel refuses to run has exited with 1. */
MUST_CHECK int run_command(const struct run_request *req, struct run_end *ret, struct error *err);

/* Sends a signal to the command of the run whose bundle that is, from another thread.  False: it
 * has not begun, or has ended.  As the first process of its pid namespace it hears only what it has
 * a handler for (pid_namespaces(7)), and SIGKILL. */
bool run_signal(const char *bundle, int signal);

#endif
