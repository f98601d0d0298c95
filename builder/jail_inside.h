/* builder/jail_inside — what the second life of the binary is made of; included by jail_*.c. */
#ifndef BUILDER_JAIL_INSIDE_H
#define BUILDER_JAIL_INSIDE_H

#include <sys/types.h>

#include "builder/builder.h"
#include "builder/jail.h"

/* How jail.c starts it, and the descriptors it gives. */
#define JAIL_SELF "/proc/self/exe"
#define JAIL_WORD "builder-jail"
enum { JAIL_FD_SPEC = 3, JAIL_FD_VERDICT = 4, JAIL_FD_OUT = 5, JAIL_FDS_END };

/* Lies at offset 0 of JAIL_FD_VERDICT; all zero until somebody knows. */
enum jail_verdict_kind {
    JAIL_VERDICT_NONE,
    JAIL_VERDICT_EXITED,    /* value: the exit code */
    JAIL_VERDICT_SIGNALLED, /* value: the signal */
    JAIL_VERDICT_NO_SETUP,  /* text: why the program was not started */
    JAIL_VERDICT_STOPPED,   /* value: an enum jail_excess */
};
struct jail_verdict {
    int32_t kind;
    int32_t value;
    char text[1024];
};
void jail_verdict_write(enum jail_verdict_kind kind, int value, const char *text);

/* ---- jail_outer.c ---- */

/* Runs the jail of the specification in JAIL_FD_SPEC.  Returns the exit code of this process,
 * which means nothing: the verdict does. */
int jail_outer_main(const struct builder_inner *inner);

/* ---- jail_ids.c ---- */

/* Gives the new user namespace of pid its mapping. */
MUST_CHECK int jail_ids_map(const struct jail_ids *ids, pid_t pid, struct error *err);

/* ---- jail_tree.c ---- */

/* Opens (clones) the mounts that the spec's entries bind: ret_fds has n_entries descriptors, -1
 * where an entry binds nothing.  As root before the user namespace is entered, so that the host's
 * directories need not be open to the jail's ids; as an ordinary user after. */
MUST_CHECK int jail_tree_open(const struct jail_spec *spec, int *ret_fds, struct error *err);

/* Makes the tree in a tmpfs and pivots into it; nothing else is mounted afterwards. */
MUST_CHECK int jail_tree_enter(const struct jail_spec *spec, const int *fds, struct error *err);

/* ---- jail_net.c ---- */

/* The host's own IPv4 addresses, in network order, without loopback: at most JAIL_ADDRESSES.  (IPv6
 * has no way out of a jail at all.) */
#define JAIL_ADDRESSES 64
struct jail_addresses {
    uint32_t v[JAIL_ADDRESSES];
    size_t n;
};
MUST_CHECK int jail_net_own_addresses(struct jail_addresses *ret, struct error *err);

/* Starts slirp4netns on the network of pid and waits until it is ready.  It dies with us, or when
 * *ret_exit_fd is closed. */
MUST_CHECK int jail_net_start_slirp(const struct jail_spec *spec, pid_t pid, struct process *ret,
                                    int *ret_exit_fd, struct error *err);

/* Inside: lo up; with slirp4netns also the routes that allow and refuse. */
MUST_CHECK int jail_net_configure(const struct jail_spec *spec, const struct jail_addresses *own,
                                  struct error *err);
/* Makes a network namespace with lo in it and binds it to the file at path; ours stays the same. */
MUST_CHECK int jail_net_make_loopback(const char *path, struct error *err);

/* ---- jail_routes.c ---- */

/* Inside, with CAP_NET_ADMIN there: refuses and allows addresses by routes, as NAT or LIST want. */
MUST_CHECK int jail_routes_set(const struct jail_spec *spec, const struct jail_addresses *own,
                               struct error *err);

/* ---- jail_watch.c ---- */

/* Starts a process that looks after the limits of the jail whose pid 1 is init.  It exits with an
 * enum jail_excess when one is broken, and dies with us.  *ret_pid is 0 when there is nothing to
 * look after.  To be called before pid 1 may go: later its user namespace cannot be entered. */
MUST_CHECK int jail_watch_start(const struct jail_spec *spec, pid_t init, pid_t *ret_pid,
                                struct error *err);

/* ---- jail_disk.c ---- */

/* What lies below dir, in bytes of the disk: every file counts at least one block of 4096 bytes,
 * and so do files that were unlinked but that a process of the group (NULL: none known) has open.
 * Stops counting at enough.  A tree too deep to be measured is UINT64_MAX. */
uint64_t jail_disk_use(const char *dir, const struct argv *groups, uint64_t enough);

/* ---- jail_rights.c ---- */

/* For pid 1: no process of the jail can have more than this from here on. */
MUST_CHECK int jail_rights_bound(const struct jail_spec *spec, struct error *err);
/* For the program itself, just before it starts. */
MUST_CHECK int jail_rights_drop(const struct jail_spec *spec, struct error *err);

/* ---- jail_init.c ---- */

struct jail_init {
    const struct jail_spec *spec;
    const struct builder_inner *inner;
    const struct jail_addresses *refused;
    int *tree; /* from jail_tree_open; opened here for JAIL_USERS_HELPERS */
    int go_fd; /* one byte: the mapping and the network are ready; its end: outer has died */
};
void jail_init_main(struct jail_init *init) __attribute__((noreturn));

/* ---- jail_inner.c ---- */

/* For JAIL_VET.  0: none of them is this machine's or its private networks', and HOST is pinned to
 * them in the jail's hosts file.  Otherwise an exit code, and a line on stderr. */
int jail_inner_vet(const char *host);
/* For a registry that a user has named.  0: it is not this machine, and the jail's network leads to
 * it.  Otherwise JAIL_VET_UNKNOWN or JAIL_VET_REFUSED, and a line "Error: …" on stderr. */
int jail_inner_vet_registry(const char *authority);

/* ---- jail.c ---- */

/* The inner mains that the builder itself brings. */
extern const struct builder_inner builder_own_inner[];

#endif
