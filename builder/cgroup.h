/* builder/cgroup — groups of processes whose memory, number and CPU time the kernel limits.
 *
 * Where the controllers are in the tree of version 2 (cgroups(7)) one directory is a group; where
 * they are in hierarchies of version 1, one directory in each.  Groups are made below the one that
 * this process is in, so that what an operator allows kiln as a whole bounds its builds too.
 *
 *   cgroup_find → cgroup_dirs → cgroup_make → cgroup_enter (by the jail's outer process) →
 * cgroup_read_counts → cgroup_remove */
#ifndef BUILDER_CGROUP_H
#define BUILDER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/argv.h"
#include "base/buf.h"

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CONTROLLERS };

/* Where this machine lets us make groups. */
struct cgroup_site {
    bool unified;                      /* version 2 */
    char *parents[CGROUP_CONTROLLERS]; /* absolute directories; NULL: cannot be limited */
    struct error why[CGROUP_CONTROLLERS];
};

/* Looks where the files (as /proc/self/cgroup and /proc/self/mountinfo) say, by making a group and
 * removing it.  In version 2 it gives the controllers to the groups below ours, and where our own
 * group must then be empty of processes, moves this one into a child "kiln-self".  What is not to
 * be had does not fail: why says it. */
void cgroup_find(const char *own_cgroup, const char *mountinfo, struct cgroup_site *ret);
void cgroup_site_release(struct cgroup_site *s);

/* What a group may use; 0: as much as there is. */
struct cgroup_limits {
    uint64_t memory; /* bytes, of RAM and swap together */
    uint64_t pids;   /* threads count too */
    uint64_t cpus;
};

#define CGROUP_NAME 24
/* Draws the name of a new group. */
void cgroup_draw_name(char name[CGROUP_NAME]);

/* The directories of the group of that name, without making them. */
void cgroup_dirs(const struct cgroup_site *site, const char *name, struct argv *ret_dirs);

/* Makes them and sets the limits.  What was made before a failure stays, for cgroup_remove. */
MUST_CHECK int cgroup_make(const struct cgroup_site *site, const char *name,
                           const struct cgroup_limits *limits, struct error *err);

/* Moves a process into the group. */
MUST_CHECK int cgroup_enter(const struct argv *dirs, pid_t pid, struct error *err);

/* What the kernel refused the group since it was made. */
struct cgroup_counts {
    uint64_t memory_full;  /* times its memory was at the limit and nothing could be freed; version
                              1 does not count them: its oom_kills, if it ever was that high */
    uint64_t oom_kills;    /* its processes that were killed for want of memory, whoever's */
    uint64_t forks_failed; /* for its limit of processes */
};
void cgroup_read_counts(const struct argv *dirs, struct cgroup_counts *ret);

/* Kills whatever is in the group and removes it; waits for it to die for at most two seconds. */
MUST_CHECK int cgroup_remove(const struct argv *dirs, struct error *err);

#endif
