/* builder/bases_store — see the header. */
#include "builder/bases_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/bases.h"
#include "builder/cache_measure.h"
#include "builder/state.h"

#define NUMBER_MAX 1000000000
#define GONE       ".gone" /* behind the name of a store that is being removed */

static int name_parent(const struct builder *b, char ret[PATH_MAX], struct error *err)
{
    if (snprintf(ret, PATH_MAX, "%s/bases", b->config->dir) >= PATH_MAX)
        return error_set(err, ERR_SYSTEM, "look at base stores: path too long");
    return 0;
}

static int name_store(const struct builder *b, const char *workspace, uint64_t number,
                      char ret[PATH_MAX], struct error *err)
{
    char suffix[24] = "";

    if (number)
        (void)snprintf(suffix, sizeof(suffix), ".%llu", (unsigned long long)number);
    if (snprintf(ret, PATH_MAX, "%s/bases/%s%s", b->config->dir, workspace, suffix) >= PATH_MAX)
        return error_set(err, ERR_SYSTEM, "look at base stores: path too long");
    return 0;
}

/* Which of the workspace's stores has the name; false: it is none of them. */
static bool read_number(const char *name, const char *workspace, uint64_t *ret)
{
    const char *rest = name + strlen(workspace);

    if (!text_starts(name, workspace))
        return false;
    *ret = 0;
    return !*rest || (*rest == '.' && text_to_u64(rest + 1, NUMBER_MAX, ret) && *ret > 0);
}

/* The workspace's stores; *ret_highest: 0 also when there is none. */
static int list_stores(const struct builder *b, const char *workspace, struct argv *ret,
                       uint64_t *ret_highest, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char parent[PATH_MAX];
    uint64_t number;

    if (name_parent(b, parent, err) < 0 || fs_list(AT_FDCWD, parent, &names, err) < 0)
        return -1;
    *ret_highest = 0;
    for (size_t i = 0; i < names.n; i++) {
        if (!read_number(names.v[i], workspace, &number))
            continue;
        argv_push1(ret, names.v[i]);
        if (number > *ret_highest)
            *ret_highest = number;
    }
    return ret->failed ? error_set(err, ERR_SYSTEM, "look at base stores: out of memory") : 0;
}

/* ---- using ---- */

/* -1 in *ret_fd: it has gone. */
static int lock_shared(const char *path, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT)
        return error_errno(err, errno, "open directory %s", path);
    while (fd >= 0 && flock(fd, LOCK_SH) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "lock %s", path);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Whether path is still the name of what was opened. */
static bool is_named(const char *path, int fd)
{
    struct stat now, ours;

    return lstat(path, &now) == 0 && fstat(fd, &ours) == 0 && now.st_dev == ours.st_dev &&
           now.st_ino == ours.st_ino;
}

/* What was locked may have been removed, or followed by another, before it was. */
static int is_still_it(const struct builder *b, const char *workspace, uint64_t number,
                       const char *path, int fd, bool *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    uint64_t highest;

    if (list_stores(b, workspace, &names, &highest, err) < 0)
        return -1;
    *ret = highest == number && is_named(path, fd);
    return 0;
}

static bool has(const char *store, const char *name)
{
    char path[2 * PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", store, name);
    return access(path, F_OK) == 0;
}

/* Its blobs' directory is there before buildah's is, so a store that has but the latter has lost
 * the former; the order of the questions matters beside whoever makes them. */
static bool has_lost_blobs(const char *store)
{
    return has(store, "overlay") && !has(store, BASES_BLOBS);
}

static int make_blobs(const struct builder *b, const char *store, struct error *err)
{
    char path[2 * PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/" BASES_BLOBS, store);
    return builder_make_dir(b, path, err);
}

int bases_store_enter(const struct builder *b, const char *workspace, char path[PATH_MAX],
                      int *ret_lock, struct error *err)
{
    for (;;) {
        CLEANUP(argv_release) struct argv names = ARGV_INIT;
        CLEANUP_CLOSE int fd = -1;
        uint64_t highest;
        bool is_it;

        if (list_stores(b, workspace, &names, &highest, err) < 0 ||
            name_store(b, workspace, highest, path, err) < 0 ||
            builder_make_dir(b, path, err) < 0 || lock_shared(path, &fd, err) < 0 ||
            is_still_it(b, workspace, highest, path, fd, &is_it, err) < 0)
            return -1;
        if (!is_it)
            continue;
        if (has_lost_blobs(path)) {
            if (bases_store_renew(b, workspace, err) < 0)
                return -1;
            continue;
        }
        if (make_blobs(b, path, err) < 0)
            return -1;
        *ret_lock = TAKE_FD(fd);
        return 0;
    }
}

/* ---- bounds ---- */

int bases_store_measure(const struct builder *b, const char *workspace, struct bases_store_use *ret,
                        struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP_CLOSE int dir = -1;
    char parent[PATH_MAX];
    uint64_t highest, number;

    *ret = (struct bases_store_use){.bytes = 0};
    if (list_stores(b, workspace, &names, &highest, err) < 0 || name_parent(b, parent, err) < 0 ||
        fs_open_dir(AT_FDCWD, parent, &dir, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        const uint64_t bytes = cache_measure(dir, names.v[i]);
        struct stat st = {.st_mode = 0};
        int64_t time;

        (void)fstatat(dir, names.v[i], &st, AT_SYMLINK_NOFOLLOW);
        time = st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
        ret->bytes += bytes;
        ret->time = time > ret->time ? time : ret->time;
        if (read_number(names.v[i], workspace, &number) && number == highest)
            ret->newest = bytes;
    }
    return 0;
}

/* Its content is buildah's: it goes as a whole, so its name goes before that, as whoever removes it
 * may be killed.  First goes the lock of those who pull into it: the name's next store has another.
 */
static int remove_store(const struct builder *b, const char *parent, const char *name,
                        struct error *err)
{
    char path[PATH_MAX], lock[PATH_MAX + 8], gone[PATH_MAX + 8];
    const char *gone_name = gone + strlen(parent) + 1;

    if (snprintf(path, sizeof(path), "%s/%s", parent, name) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "remove a base store: path too long");
    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
    (void)unlink(lock);
    (void)snprintf(gone, sizeof(gone), "%s" GONE, path);
    /* What an earlier one has left is in the way. */
    if (builder_remove(b, parent, gone_name, err) < 0)
        return -1;
    if (rename(path, gone) < 0)
        return error_errno(err, errno, "remove %s", path);
    return builder_remove(b, parent, gone_name, err);
}

/* Under the store's own lock, so that two who remove it do not meet, and none removes what has got
 * the name since.  wait: for others to let go of it; else it stays while somebody uses it. */
static int remove_unused(const struct builder *b, const char *name, bool wait, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char parent[PATH_MAX], path[PATH_MAX];

    if (name_parent(b, parent, err) < 0)
        return -1;
    if (snprintf(path, sizeof(path), "%s/%s", parent, name) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "remove a base store: path too long");
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (fd >= 0 && flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0)
        if (errno != EINTR)
            return errno == EWOULDBLOCK ? 0 : error_errno(err, errno, "lock %s", path);
    return fd >= 0 && is_named(path, fd) ? remove_store(b, parent, name, err) : 0;
}

/* What was left by those who were killed while they removed a store. */
static int remove_remains(const struct builder *b, const char *workspace, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    const size_t len = strlen(workspace);
    char parent[PATH_MAX];

    if (name_parent(b, parent, err) < 0 || fs_list(AT_FDCWD, parent, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (text_starts(names.v[i], workspace) && names.v[i][len] == '.' &&
            text_ends(names.v[i], GONE) && builder_remove(b, parent, names.v[i], err) < 0)
            return -1;
    return 0;
}

int bases_store_tidy(const struct builder *b, const char *workspace, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    uint64_t highest, number;

    if (remove_remains(b, workspace, err) < 0 ||
        list_stores(b, workspace, &names, &highest, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (read_number(names.v[i], workspace, &number) && number < highest &&
            remove_unused(b, names.v[i], false, err) < 0)
            return -1;
    return 0;
}

int bases_store_renew(const struct builder *b, const char *workspace, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char path[PATH_MAX];
    uint64_t highest;

    if (list_stores(b, workspace, &names, &highest, err) < 0 ||
        name_store(b, workspace, highest + 1, path, err) < 0)
        return -1;
    return builder_make_dir(b, path, err);
}

int bases_store_drop(const struct builder *b, const char *workspace, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    uint64_t highest;

    if (remove_remains(b, workspace, err) < 0 ||
        list_stores(b, workspace, &names, &highest, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (remove_unused(b, names.v[i], true, err) < 0)
            return -1;
    return 0;
}
