/* templates/disk_cache — what was read of a revision, verified and decompressed, in a file without
 * a name: as fast to read again as any file, and the kernel decides what of it is in memory. */
#ifndef TEMPLATES_DISK_CACHE_H
#define TEMPLATES_DISK_CACHE_H

#include <pthread.h>

#include "templates/bits.h"
#include "templates/templates.h"

#define WINDOW (128u << 10) /* what is fetched at once; about half of a frame */

struct disk_cache {
    struct template_revision *revision; /* borrowed */
    uint64_t size;                      /* bytes of the image */
    int fd;                             /* -1: nothing is kept */
    struct bits have;                   /* a bit for each window */
    pthread_rwlock_t lock;              /* exclusively by who empties it */
    uint64_t max;                       /* bytes that are kept before it is emptied */
    _Atomic uint64_t used;
};

/* dir: where the file is made; where that is not possible there is none.  max 0: none. */
MUST_CHECK int disk_cache_init(struct disk_cache *c, struct template_revision *r, const char *dir,
                               uint64_t max, struct error *err);
void disk_cache_release(struct disk_cache *c);

/* Within the image.  A window with damage in it is not kept; what of it is whole can be read. */
MUST_CHECK int disk_cache_read(struct disk_cache *c, uint64_t offset, void *data, size_t len,
                               struct error *err);

#endif
