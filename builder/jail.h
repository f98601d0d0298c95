/* builder/jail — one program in namespaces of its own, seeing only what its specification names.
 *
 * Three processes stand between the caller and the program:
 *
 *   caller   jail_run: starts this binary again with the specification and waits (base/process:
 *            output line by line, time limit, cancel)
 *   outer    (jail_outer.c) in the host's namespaces: makes the user namespace and its mapping,
 *            opens what is bound into the jail, puts it into its control group, runs slirp4netns
 *            and the watch over its limits (jail_watch.c) beside it, waits
 *   init     (jail_init.c) pid 1 of the jail: builds the tree, pivots into it, forks the program,
 *            reaps orphans, and reports the program's wait status
 *
 * Each dies with the one before it, and pid 1's death kills all that is left in the jail.
 *
 * The verdict comes back in a memory file, not in an exit code: only a verdict that was written
 * counts, so whoever is killed on the way, the result never reads as a success. */
#ifndef BUILDER_JAIL_H
#define BUILDER_JAIL_H

#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/process.h"

/* ---- the user namespace ---- */

enum jail_users {
    JAIL_USERS_NONE,    /* no user namespace: root, where the machine has none to give */
    JAIL_USERS_DIRECT,  /* as root: the mapping is written to /proc/<pid>/uid_map */
    JAIL_USERS_HELPERS, /* as an ordinary user: by newuidmap and newgidmap */
};

#define JAIL_IDS       65536 /* ids 0…65535 exist in the jail */
#define JAIL_HOSTS_MAX 65536 /* bytes of /etc/hosts */

/* Id 0 of the jail is root_*, ids 1…65535 are first_*… on the host. */
struct jail_ids {
    enum jail_users users;
    uint32_t root_uid, first_uid;
    uint32_t root_gid, first_gid;
};

/* As root: a mapping of uid_base…uid_base+65535, or the identity for JAIL_USERS_NONE. */
struct jail_ids jail_ids_for_root(enum jail_users users, uint32_t uid_base);

/* As an ordinary user: our own ids and the first range of at least 65,535 that /etc/subuid and
 * /etc/subgid (or the files named) give us.  ERR_SYSTEM: there is none. */
MUST_CHECK int jail_ids_for_user(const char *subuid, const char *subgid, struct jail_ids *ret,
                                 struct error *err);

/* ---- what the program sees ---- */

enum jail_entry_kind {
    JAIL_DIR,       /* an empty directory */
    JAIL_LINK,      /* a symlink to from */
    JAIL_FILE,      /* a read-only file; from is its content */
    JAIL_SECRET,    /* the same, mode 0600 */
    JAIL_BIND,      /* from of the host, writable */
    JAIL_BIND_RO,   /* from of the host, read-only, no set-uid, no devices */
    JAIL_DEVICE,    /* the device node from of the host */
    JAIL_TMPFS,     /* from: mount options ("mode=1777,size=64m") */
    JAIL_PROC,      /* the jail's own */
    JAIL_DEVPTS,    /* likewise */
    JAIL_CGROUP,    /* likewise, its cgroup and what is below (version 2), read-only */
    JAIL_SYSFS,     /* that of the jail's network, read-only; an empty directory where the kernel
                       refuses it, as it does where the machine hides a part of its own */
    JAIL_LOOPBACK,  /* a network namespace with lo and nothing else; not with JAIL_NET_HOST */
    JAIL_KINDS_END, /* not a kind */
};

struct jail_entry {
    enum jail_entry_kind kind;
    char *path; /* in the jail, without the leading slash; parents are made */
    char *from;
};

enum jail_net {
    JAIL_NET_HOST, /* the host's: only for programs that run no code of the user's */
    JAIL_NET_NONE, /* lo */
    JAIL_NET_NAT,  /* lo and slirp4netns; not the host's loopback, own or link-local addresses, and
                      of private networks only the routes named */
    JAIL_NET_LIST, /* the same, but only the routes named, and no name server */
};

enum jail_rights {
    JAIL_RIGHTS_FILES, /* read and write files of any owner; no new privileges */
    JAIL_RIGHTS_MOUNT, /* the same and mounts, chroot, other users' ids; no new privileges */
    JAIL_RIGHTS_BUILD, /* the same, and set-uid programs work: a RUN may call sudo */
};

/* What the jail as a whole may use.  The group's limits are the kernel's to hold; the outer process
 * ends a jail that keeps running into them, and one that fills the disk. */
struct jail_limits {
    struct argv groups;   /* of base cgroup: the directories of the group it is put into */
    uint32_t processes;   /* RLIMIT_NPROC of the program, where no group counts them; 0: none */
    uint64_t disk;        /* bytes below disk_dir, as jail_disk_use counts them; 0: none */
    struct argv disk_dir; /* one word, or none */
};

/* All of it crosses to the second life of the binary: see jail_spec_write. */
struct jail_spec {
    struct jail_ids ids;
    enum jail_net net;
    struct argv routes; /* IPv4, "10.1.0.0/16" or "10.1.0.0/16:80-90": see enum jail_net */
    struct buf hosts;   /* more lines for /etc/hosts; jail_spec_add_base takes them over */
    enum jail_rights rights;
    struct jail_limits limits;
    struct jail_entry *entries; /* made in this order */
    size_t n_entries;
    struct argv argv; /* v[0]: a path in the jail, or with inner the name of an inner main */
    struct argv env;
    bool inner;
    bool failed;       /* out of memory on the way */
    bool out;          /* set by jail_run: descriptor 1 is jail_run.out_fd */
    uint32_t grace_ms; /* set by jail_run */
};

/* In front of an inner main: with argv JAIL_VET HOST NAME WORDS…, HOST's addresses are looked at
 * first, and NAME is not run but for addresses of the public internet; the exit code then is one of
 * these. */
#define JAIL_VET "builder-vet"
enum { JAIL_VET_UNKNOWN = 125, JAIL_VET_REFUSED = 126 };

void jail_spec_release(struct jail_spec *s);
/* Copies path and from ("" for NULL).  Errors are sticky, and jail_run reports them. */
void jail_spec_add(struct jail_spec *s, enum jail_entry_kind kind, const char *path,
                   const char *from);

/* The tree every jail has: /usr read-only and the links into it, a minimal /etc with what the
 * net mode and hosts (set before) need to resolve names, /proc, /dev, an empty /sys, /run, /tmp. */
void jail_spec_add_base(struct jail_spec *s);

/* The file of the host with certificates that are trusted beside the system's (NULL: none), and the
 * variable by which OpenSSL, and what is written in Go, find it; an inner main that uses libcurl
 * has to read it.  (OpenSSL and Go look into the system's directory of certificates beside it.) */
#define JAIL_AUTHORITIES "SSL_CERT_FILE"
void jail_spec_add_authorities(struct jail_spec *s, const char *ca_file);

/* Length-prefixed words in host order; only ever read by the same binary. */
void jail_spec_write(const struct jail_spec *s, struct buf *out);
MUST_CHECK int jail_spec_read(const void *data, size_t len, struct jail_spec *ret,
                              struct error *err);

/* ---- running it ---- */

struct jail_run {
    const struct jail_spec *spec;
    int stdin_fd; /* -1: /dev/null */
    int out_fd;   /* the program's descriptor 1; -1: lines to the sink */
    const struct process_sink *sink;
    const struct cancel *cancel;
    int64_t timeout_ms; /* 0: none */
    uint32_t grace_ms;  /* between SIGTERM to the program and the end of the jail; 0: at once */
};

enum jail_how {
    JAIL_EXITED,
    JAIL_SIGNALLED, /* the program itself */
    JAIL_TIMED_OUT,
    JAIL_CANCELLED,
    JAIL_LOST,    /* the jail was killed from outside before the program ended */
    JAIL_STOPPED, /* by its limits */
};
enum jail_excess { JAIL_EXCESS_NONE, JAIL_EXCESS_MEMORY, JAIL_EXCESS_PROCESSES, JAIL_EXCESS_DISK };
struct jail_end {
    enum jail_how how;
    int code;                /* -1 unless it exited */
    int signal;              /* 0 unless it was signalled */
    enum jail_excess excess; /* of what it had too much when it was stopped */
};

/* Returns when nothing of the jail is left (with JAIL_LOST the kernel may still be at it for some
 * milliseconds).  -1: it could not be set up. */
MUST_CHECK int jail_run(const struct jail_run *run, struct jail_end *ret, struct error *err);

/* "exited with 3", "was killed by signal 9 (Killed)"… */
void jail_describe(const struct jail_end *end, char text[PROCESS_TEXT]);

#endif
