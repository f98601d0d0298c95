/* builder/cache_budget — what the caches and base stores of all workspaces take together.
 *
 * Nobody walks over all of them for that: each visit leaves what it found in the file of the
 * workspace's lock.  What was built there since is missing in the sum, as it is in each bound,
 * until the next visit. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/cache_keeper.h"

#define LOCK ".lock"

int cache_budget_write(int lock, const struct cache_use *use, struct error *err)
{
    char text[64];

    /* Of one length, so that nothing of an earlier one is left. */
    (void)snprintf(text, sizeof(text), "%020" PRIu64 " %020" PRIu64 "\n", use->cache, use->bases);
    if (pwrite(lock, text, strlen(text), 0) < 0)
        return error_errno(err, errno, "write to a cache's lock");
    return 0;
}

void cache_budget_read(int lock, struct cache_use *ret)
{
    char text[64] = "";
    ssize_t n = pread(lock, text, sizeof(text) - 1, 0);

    if (n < 0 || sscanf(text, "%" SCNu64 " %" SCNu64, &ret->cache, &ret->bases) != 2)
        *ret = (struct cache_use){.cache = 0};
}

/* ---- all of them ---- */

struct tenant {
    char name[BUILDER_NAME_MAX + 1];
    struct cache_use use;
    int64_t used; /* nanoseconds since 1970 */
};

static bool read_tenant(int caches, const char *lock_name, struct tenant *ret)
{
    CLEANUP_CLOSE int fd = openat(caches, lock_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st = {.st_mode = 0};

    if (fd < 0 ||
        snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(strlen(lock_name) - strlen(LOCK)),
                 lock_name) >= (int)sizeof(ret->name))
        return false;
    cache_budget_read(fd, &ret->use);
    (void)fstatat(caches, ret->name, &st, AT_SYMLINK_NOFOLLOW);
    ret->used = st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct tenant *x = a, *y = b;

    return (x->used > y->used) - (x->used < y->used);
}

static int read_tenants(const struct builder *b, struct tenant **ret, size_t *ret_n,
                        struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP_FREE struct tenant *list = NULL;
    CLEANUP_CLOSE int caches = -1;
    char path[PATH_MAX];
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/cache", b->config->dir);
    if (fs_open_dir(AT_FDCWD, path, &caches, err) < 0 || fs_list(caches, ".", &names, err) < 0)
        return -1;
    list = calloc(names.n + 1, sizeof(*list));
    if (!list)
        return error_set(err, ERR_SYSTEM, "look at the caches: out of memory");
    for (size_t i = 0; i < names.n; i++)
        n += text_ends(names.v[i], LOCK) && read_tenant(caches, names.v[i], &list[n]);
    qsort(list, n, sizeof(*list), compare);
    *ret = TAKE(list);
    *ret_n = n;
    return 0;
}

/* What a workspace may keep when so much has to go: its base store goes last, and as a whole. */
static struct cache_use less(const struct cache_use *use, uint64_t excess)
{
    struct cache_use max = *use;

    if (excess < use->cache) {
        max.cache -= excess;
        return max;
    }
    max.cache = 0;
    if (excess > use->cache)
        max.bases = 0;
    return max;
}

/* Takes what a visit has removed off the sum. */
static void subtract(const struct builder *b, const struct tenant *t, uint64_t *sum)
{
    CLEANUP_CLOSE int caches = -1;
    struct error ignored = ERROR_INIT;
    struct tenant now;
    char path[PATH_MAX], lock[BUILDER_NAME_MAX + sizeof(LOCK)];

    (void)snprintf(path, sizeof(path), "%s/cache", b->config->dir);
    (void)snprintf(lock, sizeof(lock), "%s" LOCK, t->name);
    if (fs_open_dir(AT_FDCWD, path, &caches, &ignored) == 0 && read_tenant(caches, lock, &now))
        *sum = *sum - t->use.cache - t->use.bases + now.use.cache + now.use.bases;
}

int cache_budget_keep(const struct builder *b, cache_budget_trim trim, struct error *err)
{
    CLEANUP_FREE struct tenant *list = NULL;
    const uint64_t max = b->config->caches_max;
    uint64_t sum = 0;
    uint64_t enough = max;
    size_t n = 0;

    if (max == 0)
        return 0;
    if (read_tenants(b, &list, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        sum += list[i].use.cache + list[i].use.bases;
    if (sum > max) /* some more, so that it need not be done after each build */
        enough = max - max / 10;
    for (size_t i = 0; sum > enough && i < n; i++) {
        const struct cache_use bound = less(&list[i].use, sum - enough);

        if (trim(b, list[i].name, &bound, err) < 0)
            return -1;
        subtract(b, &list[i], &sum);
    }
    return 0;
}
