/* builder/share — directories that outlive jobs and are worked on in jails.
 *
 * Whoever worked there before may have been taken over by what it read, so nothing here follows a
 * link.  Another's file cannot have got a name there: links do not cross mounts, and a share is all
 * of its mount that a jail has. */
#include <errno.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/state.h"

static int give(const struct builder *b, int dirfd, const char *name, bool *ret_directory,
                struct error *err)
{
    struct stat st;

    *ret_directory = false;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "look at %s", name);
    *ret_directory = S_ISDIR(st.st_mode);
    if (st.st_uid == b->ids.root_uid ||
        fchownat(dirfd, name, b->ids.root_uid, b->ids.root_gid, AT_SYMLINK_NOFOLLOW) == 0 ||
        errno == ENOENT)
        return 0;
    return error_errno(err, errno, "give %s to the jail", name);
}

/* What goes meanwhile is gone. */
static int give_below(const struct builder *b, int dir, unsigned depth, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (fs_list(dir, ".", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        CLEANUP_CLOSE int below = -1;
        bool directory;

        if (give(b, dir, names.v[i], &directory, err) < 0)
            return -1;
        if (!directory || depth == 0)
            continue;
        below = openat(dir, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0 && give_below(b, below, depth - 1, err) < 0)
            return -1;
    }
    return 0;
}

int builder_give(const struct builder *b, const char *dir, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    /* The directory first: what is made in it from now on is not ours any more. */
    if (builder_make_dir(b, dir, err) < 0)
        return -1;
    if (b->ids.users != JAIL_USERS_DIRECT)
        return 0;
    if (fs_open_dir(AT_FDCWD, dir, &fd, err) < 0)
        return -1;
    return give_below(b, fd, 1, err);
}
