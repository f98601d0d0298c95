/* builder/layer — a diff directory becomes a layer: a tar stream (OCI image layer specification),
 * its digest, and its compressed blob; and a blob becomes a diff directory again.
 *
 * In a diff directory what is removed is as the kernel's overlay has it: a character device 0/0 is
 * a whiteout, a directory with the attribute {user,trusted}.overlay.opaque "y" hides what is below;
 * in the tar these are .wh.<name> and .wh..wh..opq. */
#ifndef BUILDER_LAYER_H
#define BUILDER_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

#define LAYER_DIGEST 72 /* "sha256:" and 64 hex digits fit */

struct layer {
    char diff_id[LAYER_DIGEST]; /* of the tar */
    char digest[LAYER_DIGEST];  /* of the blob */
    uint64_t size;              /* of the blob */
    uint64_t tar_size;
    uint64_t entries; /* 0: the diff is empty, and there is no blob */
};

struct layer_options {
    int threads;   /* that compress */
    int64_t epoch; /* seconds: no time is later; -1: none */
};

/* Writes the blob to <blobs>/<64 hex digits of its digest> (a temporary neighbour, synced, renamed;
 * one that is there already is left).  The same diff gives the same bytes: entries are sorted,
 * times are whole seconds, users and groups are numbers.  Sockets are left out, hard links within
 * the diff stay links, attributes stay but overlay's own.  diff, blobs: directory descriptors. */
MUST_CHECK int layer_write(int diff, int blobs, const struct layer_options *options,
                           struct layer *ret, struct error *err);

/* Unpacks <blobs>/<hex of layer->digest> into an empty directory, checking digest, diff_id and
 * sizes.  userxattr: the form of overlay's attribute in a user namespace. */
MUST_CHECK int layer_unpack(int blobs, const struct layer *layer, bool userxattr, int diff,
                            struct error *err);

#endif
