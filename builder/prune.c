/* builder/prune — see the header.  Names are opened one by one and no link is followed, so what is
 * compared is what the overlay puts over one another. */
#include "builder/prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/layer_attributes.h"

#define DEPTH_MAX 1024 /* directories in one another; deeper ones stay as they are */

static int open_in(int dir, const char *name)
{
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool have_same_attributes(const struct attributes *a, const struct attributes *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i].name, b->v[i].name) != 0 || a->v[i].len != b->v[i].len ||
            memcmp(a->v[i].value, b->v[i].value, a->v[i].len) != 0)
            return false;
    return true;
}

static int is_unchanged(int old, int new, bool *ret, struct error *err)
{
    CLEANUP(attributes_release) struct attributes a = {.n = 0};
    CLEANUP(attributes_release) struct attributes b = {.n = 0};
    struct stat was, is;

    *ret = false;
    if (fstat(old, &was) < 0 || fstat(new, &is) < 0)
        return error_errno(err, errno, "compare a directory");
    if (was.st_mode != is.st_mode || was.st_uid != is.st_uid || was.st_gid != is.st_gid)
        return 0;
    if (attributes_read(new, &b, err) < 0)
        return -1;
    if (b.opaque)
        return 0;
    if (attributes_read(old, &a, err) < 0)
        return -1;
    *ret = have_same_attributes(&a, &b);
    return 0;
}

static bool may_be_directory(const struct dirent *e)
{
    return (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN) && strcmp(e->d_name, ".") != 0 &&
           strcmp(e->d_name, "..") != 0;
}

static int prune_dir(int view, int diff, int depth, struct error *err);

/* A directory of the diff's dir, and what it lies on. */
static int prune_name(int view, int diff, const char *name, int depth, struct error *err)
{
    CLEANUP_CLOSE int old = open_in(view, name);
    CLEANUP_CLOSE int new = old < 0 ? -1 : open_in(diff, name);
    bool unchanged = false;

    if (old < 0 || new < 0)
        return 0; /* it is new, or no directory */
    if (prune_dir(old, new, depth + 1, err) < 0 || is_unchanged(old, new, &unchanged, err) < 0)
        return -1;
    if (unchanged && unlinkat(diff, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
        errno != EEXIST)
        return error_errno(err, errno, "take out an unchanged directory");
    return 0;
}

static void close_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

static int prune_dir(int view, int diff, int depth, struct error *err)
{
    int fd = openat(diff, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(close_dir) DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d) {
        (void)error_errno(err, errno, "look through what a step changed");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (depth >= DEPTH_MAX)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (may_be_directory(e) && prune_name(view, diff, e->d_name, depth, err) < 0)
            return -1;
    return 0;
}

int prune_unchanged(int view, int diff, struct error *err)
{
    return view < 0 ? 0 : prune_dir(view, diff, 0, err);
}
