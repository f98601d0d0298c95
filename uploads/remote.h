/* uploads/remote — archives in an object store, where clients put them themselves:
 *
 *   incoming/<object>   where a presigned URL leads; may be overwritten until that expires
 *   archives/<key>      a whole archive that nobody else can touch: a copy of the former */
#ifndef UPLOADS_REMOTE_H
#define UPLOADS_REMOTE_H

#include "uploads/uploads.h"

struct remote { /* borrowed */
    struct objects *objects;
    struct object_cache *cache;
};

/* A file that was received here becomes the archive. */
MUST_CHECK int remote_put(const struct remote *r, const char *key, int fd, struct error *err);
MUST_CHECK int remote_get(const struct remote *r, const char *key, int *ret_fd, struct error *err);
MUST_CHECK int remote_remove(const struct remote *r, const char *key, struct error *err);

/* As upload_store_sweep; what arrived and is not wanted goes when it is older than so many seconds
 * by the store's clock. */
MUST_CHECK int remote_sweep(const struct remote *r, bool (*keep)(void *self, const char *key),
                            void *self, int64_t stale_seconds, struct error *err);

/* As upload_store_collect; the archive gets that key. */
MUST_CHECK int remote_collect(const struct remote *r, const char *object, const char *key,
                              uint64_t max_bytes, struct upload_arrival *ret, struct error *err);

#endif
