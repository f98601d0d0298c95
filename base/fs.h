/* base/fs — files and directories, relative to a directory descriptor where the caller has one
 * (AT_FDCWD otherwise).  Everything is opened O_CLOEXEC. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/argv.h"
#include "base/buf.h"

/* Makes path and its parents; a directory that is there already is fine. */
MUST_CHECK int fs_mkdirs(const char *path, mode_t mode, struct error *err);

/* O_DIRECTORY | O_PATH is not used: the descriptor can be read and synced. */
MUST_CHECK int fs_open_dir(int dirfd, const char *path, int *ret_fd, struct error *err);

/* Adds the names in a directory, in byte order, without "." and "..". */
MUST_CHECK int fs_list(int dirfd, const char *path, struct argv *ret_names, struct error *err);

/* The whole file, up to out's ceiling (ERR_LIMIT beyond it).  Follows symlinks. */
MUST_CHECK int fs_read_file(int dirfd, const char *path, struct buf *out, struct error *err);

/* Reads from fd until its end into out. */
MUST_CHECK int fs_read_fd(int fd, struct buf *out, struct error *err);

MUST_CHECK int fs_write_all(int fd, const void *data, size_t len, struct error *err);

/* Opens a file of that content that is in memory alone, to be read from its beginning; name is for
 * /proc. */
MUST_CHECK int fs_memory_file(const char *name, const void *data, size_t len, int *ret_fd,
                              struct error *err);

/* Reads len bytes at an offset, or those up to the end of the file: how many; -1 with errno. */
ssize_t fs_pread(int fd, void *data, size_t len, uint64_t offset);
/* Writes all len bytes at an offset; -1 with errno. */
MUST_CHECK int fs_pwrite(int fd, const void *data, size_t len, uint64_t offset);

/* Writes a neighbour "<path>.tmp-XXXX", syncs it, renames it over path and syncs the directory:
 * after a power cut path holds the old content or the new one. */
MUST_CHECK int fs_write_file(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
                             struct error *err);

/* fsync of the directory that holds path. */
MUST_CHECK int fs_sync_parent(int dirfd, const char *path, struct error *err);

/* Removes path and all below it, never following a symlink, adding owner permission to
 * directories that lack it.  An absent path is fine, and so is one that somebody else removes at
 * the same time. */
MUST_CHECK int fs_remove_tree(int dirfd, const char *path, struct error *err);

#endif
