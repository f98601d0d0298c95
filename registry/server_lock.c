/* registry/server_lock — see the header. */
#include "registry/server_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>

#include "base/fs.h"

int registry_server_lock(const char *dir, bool alone, bool *ret_busy, int *ret_fd,
                         struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "%s: path too long", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    *ret_busy = flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0;
    if (*ret_busy && errno != EWOULDBLOCK)
        return error_errno(err, errno, "lock %s", path);
    if (!*ret_busy)
        *ret_fd = TAKE_FD(fd);
    return 0;
}
