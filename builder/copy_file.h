/* builder/copy_file — what is known about a file, from descriptor to descriptor. */
#ifndef BUILDER_COPY_FILE_H
#define BUILDER_COPY_FILE_H

#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"

struct copy_attributes {
    mode_t mode; /* permission bits */
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
};

/* The time, no later than epoch (seconds; -1: none). */
struct timespec copy_file_time(struct timespec t, int64_t epoch);

/* What a file that is made now gets: now, no later than epoch. */
struct timespec copy_file_now(int64_t epoch);

/* path: for messages.  Owner first, which takes setuid and capabilities away; then the mode; the
 * time last.  ERR_INPUT: there is no such owner in this user namespace. */
MUST_CHECK int copy_file_set(int fd, const struct copy_attributes *a, const char *path,
                             struct error *err);

/* The same for what cannot be opened (links, fifos, devices); a link's mode stays. */
MUST_CHECK int copy_file_set_at(int dirfd, const char *name, const struct copy_attributes *a,
                                bool is_link, const char *path, struct error *err);

/* Whether an attribute of that name goes into an image: user.* but overlay's own, and the
 * capabilities. */
bool copy_file_keeps_xattr(const char *name);

/* Copies those; that a filesystem has none or takes none is fine. */
MUST_CHECK int copy_file_xattrs(int from, int to, const char *path, struct error *err);

/* Sets one, likewise. */
MUST_CHECK int copy_file_set_xattr(int to, const char *name, const void *value, size_t len,
                                   const char *path, struct error *err);

#endif
