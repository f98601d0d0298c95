/* templates/disk_cache — see the header. */
#include "templates/disk_cache.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static int open_nameless(const char *dir)
{
    char path[PATH_MAX];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || snprintf(path, sizeof(path), "%s/.kiln-XXXXXX", dir) >= (int)sizeof(path))
        return fd;
    fd = mkostemp(path, O_CLOEXEC); /* not every file system has files without a name */
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

int disk_cache_init(struct disk_cache *c, struct template_revision *r, const char *dir,
                    uint64_t max, struct error *err)
{
    *c = (struct disk_cache){.revision = r, .fd = -1, .max = max};
    c->size = template_revision_info(r)->image_size;
    (void)pthread_rwlock_init(&c->lock, NULL);
    if (!bits_init(&c->have, (c->size + WINDOW - 1) / WINDOW))
        return error_set(err, ERR_SYSTEM, "open a volume: out of memory");
    c->fd = max > 0 ? open_nameless(dir) : -1;
    return 0;
}

void disk_cache_release(struct disk_cache *c)
{
    if (!c->revision)
        return;
    if (c->fd >= 0)
        close(c->fd);
    bits_release(&c->have);
    (void)pthread_rwlock_destroy(&c->lock);
    c->revision = NULL;
}

static bool read_kept(struct disk_cache *c, uint64_t offset, void *data, size_t len)
{
    bool kept;

    if (c->fd < 0)
        return false;
    (void)pthread_rwlock_rdlock(&c->lock);
    kept = bits_get(&c->have, offset / WINDOW) &&
           pread(c->fd, data, len, (off_t)offset) == (ssize_t)len;
    (void)pthread_rwlock_unlock(&c->lock);
    return kept;
}

static void make_room(struct disk_cache *c)
{
    (void)pthread_rwlock_wrlock(&c->lock);
    if (atomic_load(&c->used) + WINDOW > c->max && ftruncate(c->fd, 0) == 0) {
        for (uint64_t i = 0; i < bits_words(c->have.n); i++)
            atomic_store(&c->have.words[i], 0);
        atomic_store(&c->used, 0);
    }
    (void)pthread_rwlock_unlock(&c->lock);
}

static void keep(struct disk_cache *c, uint64_t start, const void *data, size_t len)
{
    if (c->fd < 0)
        return;
    if (atomic_load(&c->used) + WINDOW > c->max)
        make_room(c);
    (void)pthread_rwlock_rdlock(&c->lock);
    if (pwrite(c->fd, data, len, (off_t)start) == (ssize_t)len) {
        bits_set(&c->have, start / WINDOW, 1);
        atomic_fetch_add(&c->used, len);
    }
    (void)pthread_rwlock_unlock(&c->lock);
}

/* What is asked for lies in one window. */
static int fetch(struct disk_cache *c, uint64_t offset, void *data, size_t len, struct error *err)
{
    const uint64_t start = offset / WINDOW * WINDOW;
    const size_t all = c->size - start < WINDOW ? (size_t)(c->size - start) : WINDOW;
    CLEANUP_FREE unsigned char *window = malloc(WINDOW);
    struct error why = ERROR_INIT;
    uint64_t zeros = 0;
    bool zero = false;

    if (template_revision_extent(c->revision, offset, &zeros, &zero, err) < 0)
        return -1;
    if (zero && zeros >= len) {
        memset(data, 0, len);
        return 0;
    }
    if (!window || template_revision_read(c->revision, start, window, all, &why) < 0)
        return template_revision_read(c->revision, offset, data, len, err);
    memcpy(data, window + (offset - start), len);
    keep(c, start, window, all);
    return 0;
}

int disk_cache_read(struct disk_cache *c, uint64_t offset, void *data, size_t len,
                    struct error *err)
{
    while (len > 0) {
        size_t left = WINDOW - (size_t)(offset % WINDOW);
        size_t n = left < len ? left : len;

        if (!read_kept(c, offset, data, n) && fetch(c, offset, data, n, err) < 0)
            return -1;
        data = (char *)data + n;
        offset += n;
        len -= n;
    }
    return 0;
}
