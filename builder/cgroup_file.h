/* builder/cgroup_file — the files in a group's directory; included by cgroup*.c and the jail's
 * watch. */
#ifndef BUILDER_CGROUP_FILE_H
#define BUILDER_CGROUP_FILE_H

#include "builder/cgroup.h"

MUST_CHECK int cgroup_write(const char *dir, const char *name, const char *text, struct error *err);
/* The whole file into out; false when it is not there. */
bool cgroup_read(const char *dir, const char *name, struct buf *out);
bool cgroup_has(const char *dir, const char *name);

/* The pids in the group, one a line. */
bool cgroup_read_processes(const char *dir, struct buf *out);

/* The name of the file that sets the controller's limit. */
const char *cgroup_limit_file(bool unified, enum cgroup_controller c);

/* The number on the line "key number" of a flat keyed file; 0 without one. */
uint64_t cgroup_number_after(const char *text, const char *key);

#endif
