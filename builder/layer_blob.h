/* builder/layer_blob — a tar stream becomes a blob: gzip, and the digests of both.
 *
 * The tar is cut into pieces of LAYER_PIECE bytes, and each becomes a gzip member of its own
 * (RFC 1952, 2.2: a file is a series of members), so that several threads can compress and the
 * bytes do not depend on how many they are.  One more thread hashes the tar, and one writes and
 * hashes the blob. */
#ifndef BUILDER_LAYER_BLOB_H
#define BUILDER_LAYER_BLOB_H

#include "builder/layer.h"

#define LAYER_PIECE (1u << 20) /* larger ones compress no better: deflate looks back 32 KiB */

struct layer_blob;

/* Writes to fd, which stays the caller's.  threads: as in layer_options. */
MUST_CHECK int layer_blob_new(int fd, int threads, struct layer_blob **ret, struct error *err);

/* Room for the next bytes of the tar, at least one and at most *ret_len; then how many were put
 * there. */
MUST_CHECK int layer_blob_room(struct layer_blob *b, unsigned char **ret, size_t *ret_len,
                               struct error *err);
void layer_blob_filled(struct layer_blob *b, size_t len);

MUST_CHECK int layer_blob_add(struct layer_blob *b, const void *data, size_t len,
                              struct error *err);

/* The end of the tar: all but entries is filled in. */
MUST_CHECK int layer_blob_end(struct layer_blob *b, struct layer *ret, struct error *err);

/* Stops the threads, wherever they are.  NULL is fine. */
void layer_blob_free(struct layer_blob *b);

#endif
