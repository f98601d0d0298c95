/* builder/cache_keeper — see the header. */
#include "builder/cache_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/cache_measure.h"

#define PAUSE_MS    20
#define REST        (60 * NS_PER_SEC)            /* between two looks after jobs' ends */
#define BASES_REST  (7 * 24 * 3600 * NS_PER_SEC) /* after which an unused base store goes */
#define DEFAULT_MAX (UINT64_C(10) << 30)

/* ---- the lock ---- */

static int name_cache(const struct builder *b, const char *workspace, char ret[PATH_MAX],
                      struct error *err)
{
    if (snprintf(ret, PATH_MAX, "%s/cache/%s", b->config->dir, workspace) >= PATH_MAX)
        return error_set(err, ERR_SYSTEM, "the cache's path is too long");
    return 0;
}

static int open_lock(const char *cache, int *ret_fd, struct error *err)
{
    char path[PATH_MAX + 8];

    (void)snprintf(path, sizeof(path), "%s.lock", cache);
    *ret_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *ret_fd < 0 ? error_errno(err, errno, "open %s", path) : 0;
}

/* *ret false: somebody has it. */
static int try_lock(int fd, bool *ret, struct error *err)
{
    *ret = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (*ret || errno == EWOULDBLOCK || errno == EINTR)
        return 0;
    return error_errno(err, errno, "lock a cache");
}

static int lock_shared(int fd, struct error *err)
{
    while (flock(fd, LOCK_SH) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "lock a cache");
    return 0;
}

/* ---- base stores ---- */

static int64_t time_of(const struct stat *st)
{
    return st->st_mtim.tv_sec * NS_PER_SEC + st->st_mtim.tv_nsec;
}

/* A base store is buildah's: it is left as it is or goes as a whole, to be fetched anew. */
static int drop_bases(const struct builder *b, const char *workspace, struct error *err)
{
    CLEANUP(buf_release) struct buf parent = BUF_INIT(PATH_MAX);

    buf_addf(&parent, "%s/bases", b->config->dir);
    return builder_remove(b, buf_str(&parent), workspace, err);
}

static int look_at_bases(const struct builder *b, const char *workspace, int64_t before,
                         int64_t since, struct error *err)
{
    uint64_t max = b->config->bases_max ? b->config->bases_max : DEFAULT_MAX;
    char path[PATH_MAX];
    struct stat st;

    if (snprintf(path, sizeof(path), "%s/bases/%s", b->config->dir, workspace) >= PATH_MAX ||
        lstat(path, &st) < 0)
        return 0;
    if (time_of(&st) < before || time_of(&st) >= since || cache_measure(AT_FDCWD, path) > max)
        return drop_bases(b, workspace, err);
    return 0;
}

/* ---- within bounds ---- */

static int trim(const struct builder *b, const char *workspace, const char *cache,
                struct error *err)
{
    uint64_t max = b->config->cache_max ? b->config->cache_max : DEFAULT_MAX;

    if (cache_items_trim(b, cache, max, err) < 0)
        return -1;
    return look_at_bases(b, workspace, clock_now(&clock_system) - BASES_REST, INT64_MAX, err);
}

/* Keeps away from a workspace that somebody works in: what it has too much goes afterwards. */
static int visit(const struct builder *b, const char *workspace, int64_t rest, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char cache[PATH_MAX];
    struct stat st;
    bool locked;

    if (name_cache(b, workspace, cache, err) < 0 || open_lock(cache, &fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at a cache's lock");
    if (st.st_size && clock_now(&clock_system) - time_of(&st) < rest)
        return 0;
    if (try_lock(fd, &locked, err) < 0)
        return -1;
    if (!locked)
        return 0;
    if (pwrite(fd, "v\n", 2, 0) < 0) /* its time is that of the last visit */
        return error_errno(err, errno, "write to a cache's lock");
    return trim(b, workspace, cache, err);
}

/* ---- after a boot ---- */

static int drop_damaged(const struct builder *b, const char *workspace, const char *cache,
                        int64_t synced, struct error *err)
{
    if (cache_items_drop_since(b, cache, synced, err) < 0 ||
        look_at_bases(b, workspace, INT64_MIN, synced, err) < 0)
        return error_wrap(err, "remove what a power cut may have damaged");
    return cache_power_write(cache, synced, err);
}

int cache_keeper_begin(const struct builder *b, const char *workspace, int *ret_fd,
                       struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char cache[PATH_MAX];
    int64_t synced;
    bool booted, locked;

    if (name_cache(b, workspace, cache, err) < 0 || open_lock(cache, &fd, err) < 0)
        return -1;
    for (;;) {
        if (lock_shared(fd, err) < 0 || cache_power_read(cache, &booted, &synced, err) < 0)
            return -1;
        if (!booted)
            break;
        (void)flock(fd, LOCK_UN);
        if (try_lock(fd, &locked, err) < 0)
            return -1;
        if (!locked)
            (void)poll(NULL, 0, PAUSE_MS);
        else if (cache_power_read(cache, &booted, &synced, err) < 0 ||
                 (booted && drop_damaged(b, workspace, cache, synced, err) < 0))
            return -1;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

void cache_keeper_end(const struct builder *b, const char *workspace)
{
    struct error ignored = ERROR_INIT;

    (void)!visit(b, workspace, REST, &ignored);
}

/* ---- all of them ---- */

/* One that resists does not keep the others from being looked at. */
static int for_all(const struct builder *b, const struct argv *names,
                   int (*f)(const struct builder *b, const char *workspace, int64_t number,
                            struct error *err),
                   int64_t number, struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < names->n; i++) {
        struct error why = ERROR_INIT;

        if (strchr(names->v[i], '.') || f(b, names->v[i], number, &why) == 0 || result < 0)
            continue;
        *err = why;
        result = -1;
    }
    return result;
}

/* A stamp of another boot is left: what came after it is still to be removed. */
static int stamp(const struct builder *b, const char *workspace, int64_t synced, struct error *err)
{
    char cache[PATH_MAX];
    int64_t before;
    bool booted;

    if (name_cache(b, workspace, cache, err) < 0 ||
        cache_power_read(cache, &booted, &before, err) < 0)
        return -1;
    return booted ? 0 : cache_power_write(cache, synced, err);
}

/* Whether a build began or ended there since the stamp was set. */
static bool is_newer(const struct builder *b, const char *workspace)
{
    struct error ignored = ERROR_INIT;
    char cache[PATH_MAX];
    struct stat st;
    int64_t synced;
    bool booted;

    if (strchr(workspace, '.') || name_cache(b, workspace, cache, &ignored) < 0 ||
        lstat(cache, &st) < 0)
        return false;
    return cache_power_read(cache, &booted, &synced, &ignored) < 0 ||
           (!booted && time_of(&st) >= synced);
}

/* Not without need: it may take long, and slows down whoever writes. */
static int sync_all(const struct builder *b, const struct argv *names, struct error *err)
{
    int64_t now = clock_now(&clock_system);
    CLEANUP_CLOSE int dir = -1;
    size_t i = 0;

    while (i < names->n && !is_newer(b, names->v[i]))
        i++;
    if (i == names->n)
        return 0;
    if (fs_open_dir(AT_FDCWD, b->config->dir, &dir, err) < 0)
        return -1;
    if (syncfs(dir) < 0)
        return error_errno(err, errno, "sync %s", b->config->dir);
    return for_all(b, names, stamp, now, err);
}

int cache_keeper_sweep(const struct builder *b, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char path[PATH_MAX];
    struct error why = ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/cache", b->config->dir);
    if (fs_list(AT_FDCWD, path, &names, err) < 0)
        return -1;
    if (for_all(b, &names, visit, 0, &why) < 0) {
        (void)!sync_all(b, &names, err);
        *err = why;
        return -1;
    }
    return sync_all(b, &names, err);
}

/* ---- by hand ---- */

int builder_list_caches(const struct builder *b, struct argv *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/cache", b->config->dir);
    if (access(path, F_OK) < 0)
        return 0;
    if (fs_list(AT_FDCWD, path, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (!strchr(names.v[i], '.')) /* not a lock */
            argv_push1(ret, names.v[i]);
    return ret->failed ? error_set(err, ERR_SYSTEM, "list the caches: out of memory") : 0;
}

static uint64_t measure_all(const struct builder *b, const char *workspace)
{
    static const char *const parts[] = {"cache", "bases"};
    char path[PATH_MAX];
    uint64_t bytes = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (snprintf(path, sizeof(path), "%s/%s/%s", b->config->dir, parts[i], workspace) <
            PATH_MAX)
            bytes += cache_measure(AT_FDCWD, path);
    return bytes;
}

int builder_prune(const struct builder *b, const char *workspace, uint64_t keep, bool bases,
                  bool *ret_busy, uint64_t *ret_freed, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    uint64_t before, after;
    char cache[PATH_MAX];
    bool locked;

    if (name_cache(b, workspace, cache, err) < 0 || open_lock(cache, &fd, err) < 0 ||
        try_lock(fd, &locked, err) < 0)
        return -1;
    *ret_busy = !locked;
    *ret_freed = 0;
    if (!locked)
        return 0;
    before = measure_all(b, workspace);
    if (cache_items_trim(b, cache, keep, err) < 0 || (bases && drop_bases(b, workspace, err) < 0))
        return -1;
    after = measure_all(b, workspace);
    *ret_freed = before > after ? before - after : 0;
    return 0;
}
