/* builder/cache_keeper — see the header. */
#include "builder/cache_keeper.h"
#include "builder/cache_measure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/bases_store.h"

#define PAUSE_MS    20
#define REST        (60 * NS_PER_SEC)            /* between two looks after jobs' ends */
#define BASES_REST  (7 * 24 * 3600 * NS_PER_SEC) /* after which an unused base store goes */
#define DEFAULT_MAX (UINT64_C(10) << 30)
#define RENEW_MIN   (1 << 20)        /* a smaller base store is as good as none */
#define SLACK       (2 * NS_PER_SEC) /* file times are those of the kernel's last tick */
/* In a job's directory: its time is when the job began, and in it stands the monotonic clock's. */
#define BEGUN "begun"

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

/* A store that is too large, or was not used between `before` and `since`, goes.  While builds use
 * it the next ones get another, and only size counts. */
static int look_at_bases(const struct builder *b, const char *workspace, bool alone, int64_t before,
                         int64_t since, uint64_t max, uint64_t *ret_left, struct error *err)
{
    struct bases_store_use use;

    if (bases_store_tidy(b, workspace, err) < 0 || bases_store_measure(b, workspace, &use, err) < 0)
        return -1;
    *ret_left = use.bytes;
    if (!alone)
        return use.newest > max && use.newest > RENEW_MIN ? bases_store_renew(b, workspace, err)
                                                          : 0;
    if (use.time >= before && use.time < since && use.bytes <= max)
        return 0;
    *ret_left = 0;
    return bases_store_drop(b, workspace, err);
}

/* ---- when the jobs of a workspace began ---- */

int cache_keeper_note_begin(const char *job_dir, struct error *err)
{
    char path[PATH_MAX + 16];
    char text[32];
    int len = snprintf(text, sizeof(text), "%lld", (long long)clock_monotonic());

    (void)snprintf(path, sizeof(path), "%s/" BEGUN, job_dir);
    return fs_write_file(AT_FDCWD, path, text, (size_t)len, 0600, err);
}

/* The machine's clock may have been set since then.  Set forward, what the job used before has
 * times of the old one, as its own file has; set back, what it used after has times that are
 * earlier than that, but not than what the clock says now less the time that passed.  0: nobody
 * knows. */
static int64_t read_begin(const char *path)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(32);
    const int64_t now = clock_now(&clock_system);
    struct error ignored = ERROR_INIT;
    struct stat st;
    int64_t passed, noted;

    if (lstat(path, &st) < 0 || fs_read_file(AT_FDCWD, path, &text, &ignored) < 0 || !text.len)
        return 0;
    noted = time_of(&st);
    passed = clock_monotonic() - strtoll(buf_str(&text), NULL, 10);
    if (passed < 0)
        return 0;
    return noted < now - passed ? noted : now - passed;
}

/* INT64_MAX: there is no such job; 0: nobody knows. */
static int64_t begin_of(const struct builder *b, const char *job)
{
    char path[PATH_MAX];
    struct stat st;

    if (snprintf(path, sizeof(path), "%s/jobs/%s", b->config->dir, job) >= PATH_MAX ||
        lstat(path, &st) < 0)
        return INT64_MAX;
    if (snprintf(path, sizeof(path), "%s/jobs/%s/" BEGUN, b->config->dir, job) >= PATH_MAX)
        return 0;
    return read_begin(path);
}

/* Since when somebody may have used what is in the cache: each job has its directory in tmp before
 * it uses anything, and one that comes later begins later. */
static int find_oldest_use(const struct builder *b, const char *cache, int64_t *ret,
                           struct error *err)
{
    CLEANUP(argv_release) struct argv jobs = ARGV_INIT;
    int64_t oldest = clock_now(&clock_system);
    char path[PATH_MAX + 8];

    (void)snprintf(path, sizeof(path), "%s/tmp", cache);
    if (access(path, F_OK) == 0 && fs_list(AT_FDCWD, path, &jobs, err) < 0)
        return -1;
    for (size_t i = 0; i < jobs.n; i++) {
        const int64_t begin = begin_of(b, jobs.v[i]);

        oldest = begin < oldest ? begin : oldest;
    }
    *ret = oldest - SLACK;
    return 0;
}

/* ---- within bounds ---- */

static int trim_locked(const struct builder *b, const char *workspace, const char *cache,
                       bool alone, const struct cache_use *max, struct cache_use *ret_left,
                       struct error *err)
{
    int64_t before = INT64_MAX;
    int64_t unused = clock_now(&clock_system) - BASES_REST;

    if (!alone && find_oldest_use(b, cache, &before, err) < 0)
        return -1;
    if (cache_items_trim(b, cache, max->cache, before, &ret_left->cache, err) < 0)
        return -1;
    return look_at_bases(b, workspace, alone, unused, INT64_MAX, max->bases, &ret_left->bases, err);
}

static int trim(const struct builder *b, const char *workspace, const struct cache_use *max,
                struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char cache[PATH_MAX];
    struct cache_use left = {.cache = 0};
    bool alone;

    if (name_cache(b, workspace, cache, err) < 0 || open_lock(cache, &fd, err) < 0 ||
        try_lock(fd, &alone, err) < 0 ||
        trim_locked(b, workspace, cache, alone, max, &left, err) < 0)
        return -1;
    return cache_budget_write(fd, &left, err);
}

/* *ret false: the last visit was not that long ago. */
static int is_due(const struct builder *b, const char *workspace, int64_t rest, bool *ret,
                  struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char cache[PATH_MAX];
    struct stat st;

    if (name_cache(b, workspace, cache, err) < 0 || open_lock(cache, &fd, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "look at a cache's lock");
    *ret = st.st_size == 0 || clock_now(&clock_system) - time_of(&st) >= rest;
    return 0;
}

static int visit(const struct builder *b, const char *workspace, int64_t rest, struct error *err)
{
    const struct cache_use max = {
        .cache = b->config->cache_max ? b->config->cache_max : DEFAULT_MAX,
        .bases = b->config->bases_max ? b->config->bases_max : DEFAULT_MAX};
    bool due;

    if (is_due(b, workspace, rest, &due, err) < 0)
        return -1;
    return due ? trim(b, workspace, &max, err) : 0;
}

/* ---- after a boot ---- */

static int drop_damaged(const struct builder *b, const char *workspace, const char *cache,
                        int64_t synced, struct error *err)
{
    uint64_t left;

    if (cache_items_drop_since(b, cache, synced, err) < 0 ||
        look_at_bases(b, workspace, true, INT64_MIN, synced, UINT64_MAX, &left, err) < 0)
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

    if (visit(b, workspace, REST, &ignored) == 0)
        (void)!cache_budget_keep(b, trim, &ignored);
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

static int list_all(const struct builder *b, struct argv *ret, struct error *err)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/cache", b->config->dir);
    return fs_list(AT_FDCWD, path, ret, err);
}

int cache_keeper_sweep(const struct builder *b, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct error why = ERROR_INIT;

    if (list_all(b, &names, err) < 0)
        return -1;
    if (for_all(b, &names, visit, 0, &why) < 0 || cache_budget_keep(b, trim, &why) < 0) {
        (void)!sync_all(b, &names, err);
        *err = why;
        return -1;
    }
    return sync_all(b, &names, err);
}

int cache_keeper_sync(const struct builder *b, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    return list_all(b, &names, err) < 0 ? -1 : sync_all(b, &names, err);
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

/* The bytes of a workspace's cache and base stores. */
static int measure_all(const struct builder *b, const char *workspace, const char *cache,
                       uint64_t *ret, struct error *err)
{
    struct bases_store_use use;

    if (bases_store_measure(b, workspace, &use, err) < 0)
        return -1;
    *ret = cache_measure(AT_FDCWD, cache) + use.bytes;
    return 0;
}

int builder_prune(const struct builder *b, const char *workspace, uint64_t keep, bool bases,
                  bool *ret_busy, uint64_t *ret_freed, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    uint64_t before, after, left;
    char cache[PATH_MAX];
    bool locked;

    if (name_cache(b, workspace, cache, err) < 0 || open_lock(cache, &fd, err) < 0 ||
        try_lock(fd, &locked, err) < 0)
        return -1;
    *ret_busy = !locked;
    *ret_freed = 0;
    if (!locked)
        return 0;
    if (measure_all(b, workspace, cache, &before, err) < 0 ||
        cache_items_trim(b, cache, keep, INT64_MAX, &left, err) < 0 ||
        (bases && bases_store_drop(b, workspace, err) < 0) ||
        measure_all(b, workspace, cache, &after, err) < 0)
        return -1;
    *ret_freed = before > after ? before - after : 0;
    return 0;
}
