/* builder/jail_disk — how much of the disk a build takes.
 *
 * The tree is the build's to change while it is walked over, so nothing of it is trusted: no
 * symlink is followed, what vanishes is skipped, and depth, the one thing that costs descriptors,
 * has an end.  Of a file with several links each counts its share, so that together they count
 * once. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "builder/cgroup_file.h"
#include "builder/jail_inside.h"

#define DEPTH_MAX 2048 /* PATH_MAX allows no deeper path of single letters */
#define BLOCK     4096 /* the least that a file counts */
#define SEEN      8192 /* a power of two */
#define FULL      UINT64_MAX

static uint64_t share_of(const struct stat *st)
{
    const uint64_t size = (uint64_t)st->st_blocks * 512;
    const uint64_t links = st->st_nlink > 0 && !S_ISDIR(st->st_mode) ? st->st_nlink : 1;

    return size / links > BLOCK ? size / links : BLOCK;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > FULL - b ? FULL : a + b;
}

/* ---- what has a name ---- */

/* fd is closed. */
static uint64_t use_below(int fd, int depth, uint64_t enough)
{
    DIR *dir = fdopendir(fd);
    uint64_t use = 0;

    if (!dir) {
        close(fd);
        return FULL;
    }
    for (struct dirent *e = readdir(dir); e && use <= enough; e = readdir(dir)) {
        struct stat st;
        int child;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        use = plus(use, share_of(&st));
        if (!S_ISDIR(st.st_mode))
            continue;
        child = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child >= 0 && depth < DEPTH_MAX)
            use = plus(use, use_below(child, depth + 1, enough - (use < enough ? use : enough)));
        else if (child >= 0 || errno == EMFILE)
            use = FULL;
        if (child >= 0 && depth >= DEPTH_MAX)
            close(child);
    }
    closedir(dir);
    return use;
}

/* ---- what has none, but is open ---- */

struct seen {
    struct {
        dev_t dev;
        ino_t ino; /* 0: none */
    } v[SEEN];
    size_t n;
};

/* True the first time; always, when there are more than it can remember. */
static bool is_new(struct seen *s, const struct stat *st)
{
    size_t i = (size_t)(st->st_ino * 0x9e3779b1u) % SEEN;

    if (s->n >= SEEN / 2)
        return true;
    for (; s->v[i].ino; i = (i + 1) % SEEN)
        if (s->v[i].ino == st->st_ino && s->v[i].dev == st->st_dev)
            return false;
    s->v[i].dev = st->st_dev;
    s->v[i].ino = st->st_ino;
    s->n++;
    return true;
}

/* What lies in memory is counted there. */
static bool is_on_disk(int dirfd, const char *name)
{
    CLEANUP_CLOSE int fd = openat(dirfd, name, O_PATH | O_CLOEXEC);
    struct statfs fs;

    return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC;
}

static uint64_t unlinked_of(long pid, struct seen *seen)
{
    char path[48];
    uint64_t use = 0;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
    dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        struct stat st;

        if (fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
            st.st_nlink == 0 && st.st_blocks > 0 && is_on_disk(dirfd(dir), e->d_name) &&
            is_new(seen, &st))
            use = plus(use, share_of(&st));
    }
    if (dir)
        closedir(dir);
    return use;
}

static uint64_t unlinked_use(const char *group, uint64_t enough)
{
    CLEANUP(buf_release) struct buf pids = BUF_INIT(8 << 20);
    CLEANUP_FREE struct seen *seen = calloc(1, sizeof(*seen));
    uint64_t use = 0;

    if (!seen || !cgroup_read_processes(group, &pids))
        return 0;
    for (const char *at = buf_str(&pids); *at && use <= enough;
         at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n'))
        use = plus(use, unlinked_of(strtol(at, NULL, 10), seen));
    return use;
}

uint64_t jail_disk_use(const char *dir, const struct argv *groups, uint64_t enough)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    uint64_t use = fd >= 0 ? use_below(fd, 0, enough) : 0;

    if (use <= enough && groups && groups->n > 0)
        use = plus(use, unlinked_use(groups->v[0], enough - use));
    return use;
}
