/* dockerfile/context — see the header.
 *
 * Each entry adds to the hash: its kind, its permission bits, its path with the NUL, and the length
 * and bytes of its content or target; so no two different trees add the same bytes. */
#include "dockerfile/context.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/argv.h"
#include "base/fs.h"

#define DEPTH_MAX  256 /* of directories: more than an archive is unpacked with */
#define BLOCK_SIZE (256 << 10)

struct walker {
    const struct dockerfile_ignore *ignore;
    struct sha256 *hash;
    char *block;
    char path[PATH_MAX];
};

static void add_head(struct walker *w, char kind, mode_t mode, uint64_t size)
{
    const uint32_t bits = mode & 07777;

    sha256_add(w->hash, &kind, 1);
    sha256_add(w->hash, &bits, sizeof(bits));
    sha256_add(w->hash, w->path, strlen(w->path) + 1);
    sha256_add(w->hash, &size, sizeof(size));
}

static int add_file(struct walker *w, int dirfd, const char *name, const struct stat *st,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    uint64_t left = (uint64_t)st->st_size;

    if (fd < 0)
        return error_errno(err, errno, "read %s", w->path);
    add_head(w, 'f', st->st_mode, left);
    while (left > 0) {
        ssize_t n = read(fd, w->block, left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE);

        if (n <= 0)
            return error_errno(err, n < 0 ? errno : EIO, "read %s", w->path);
        sha256_add(w->hash, w->block, (size_t)n);
        left -= (uint64_t)n;
    }
    return 0;
}

static int add_link(struct walker *w, int dirfd, const char *name, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

    if (n < 0)
        return error_errno(err, errno, "read the link %s", w->path);
    add_head(w, 'l', 0777, (uint64_t)n);
    sha256_add(w->hash, target, (size_t)n);
    return 0;
}

/* Calls visit for each entry of a directory, in the order of names, with its path in w->path. */
static int walk(struct walker *w, int fd, int depth,
                int (*visit)(struct walker *w, int dirfd, const char *name, int depth,
                             struct error *err),
                struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    size_t len = strlen(w->path);
    int r = 0;

    if (depth > DEPTH_MAX)
        return error_set(err, ERR_LIMIT, "%.200s…: more than %d directories deep", w->path,
                         DEPTH_MAX);
    if (fs_list(fd, ".", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n && r == 0; i++) {
        if (snprintf(w->path + len, sizeof(w->path) - len, "%s%s", len ? "/" : "", names.v[i]) >=
            (int)(sizeof(w->path) - len))
            r = error_set(err, ERR_LIMIT, "%.200s…: the path is too long", w->path);
        else
            r = visit(w, fd, names.v[i], depth, err);
    }
    w->path[len] = '\0';
    return r;
}

static int add_directory(struct walker *w, int fd, int depth, struct error *err);

/* Of an ignored directory only what a "!" brings back is seen, and the directories above that. */
static int add_entry(struct walker *w, int dirfd, const char *name, int depth, struct error *err)
{
    bool ignored = w->ignore && dockerfile_ignore_matches(w->ignore, w->path);
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (ignored && !dockerfile_ignore_may_reinclude(w->ignore, w->path))
        return 0;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno, "look at %s", w->path);
    if (S_ISREG(st.st_mode))
        return ignored ? 0 : add_file(w, dirfd, name, &st, err);
    if (S_ISLNK(st.st_mode))
        return ignored ? 0 : add_link(w, dirfd, name, err);
    if (!S_ISDIR(st.st_mode))
        return 0;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s", w->path);
    if (!ignored)
        add_head(w, 'd', st.st_mode, 0);
    return add_directory(w, fd, depth + 1, err);
}

static int add_directory(struct walker *w, int fd, int depth, struct error *err)
{
    return walk(w, fd, depth, add_entry, err);
}

int dockerfile_context_digest(int dirfd, const struct dockerfile_ignore *ignore,
                              char ret[SHA256_HEX], struct error *err)
{
    CLEANUP(sha256_freep) struct sha256 *hash = NULL;
    CLEANUP_FREE char *block = malloc(BLOCK_SIZE);
    CLEANUP_FREE struct walker *w = calloc(1, sizeof(*w));
    unsigned char digest[SHA256_SIZE];

    if (!block || !w)
        return error_set(err, ERR_SYSTEM, "hash the context: out of memory");
    if (sha256_new(&hash, err) < 0)
        return -1;
    *w = (struct walker){.ignore = ignore, .hash = hash, .block = block};
    if (add_directory(w, dirfd, 0, err) < 0)
        return error_wrap(err, "hash the context");
    sha256_end(hash, digest);
    digest_hex(digest, sizeof(digest), ret);
    return 0;
}

/* ---- pruning ---- */

static int prune_directory(struct walker *w, int fd, int depth, struct error *err);

/* A directory whose ignored content may be brought back is kept with that. */
static int prune_entry(struct walker *w, int dirfd, const char *name, int depth, struct error *err)
{
    bool ignored = dockerfile_ignore_matches(w->ignore, w->path);
    CLEANUP_CLOSE int fd = -1;

    if (ignored && !dockerfile_ignore_may_reinclude(w->ignore, w->path))
        return fs_remove_tree(dirfd, name, err);
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && ignored)
        return fs_remove_tree(dirfd, name, err);
    if (fd < 0)
        return 0;
    if (prune_directory(w, fd, depth + 1, err) < 0)
        return -1;
    if (ignored)
        (void)unlinkat(dirfd, name, AT_REMOVEDIR); /* unless something in it came back */
    return 0;
}

static int prune_directory(struct walker *w, int fd, int depth, struct error *err)
{
    return walk(w, fd, depth, prune_entry, err);
}

int dockerfile_context_prune(int dirfd, const struct dockerfile_ignore *ignore, struct error *err)
{
    CLEANUP_FREE struct walker *w = calloc(1, sizeof(*w));

    if (!w)
        return error_set(err, ERR_SYSTEM, "prune the context: out of memory");
    w->ignore = ignore;
    return prune_directory(w, dirfd, 0, err) < 0 ? error_wrap(err, "prune the context") : 0;
}
