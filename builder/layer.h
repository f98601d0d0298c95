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
#include <sys/stat.h>

#include "base/digest.h"
#include "base/error.h"

#define LAYER_DIGEST 72 /* "sha256:" and 64 hex digits fit */

#define LAYER_MEDIA_TYPE "application/vnd.oci.image.layer.v1.tar+gzip" /* of the blob */

/* The most a layer may be, where its maker sets no lower bound. */
#define LAYER_ENTRIES_MAX  UINT64_C(4000000)
#define LAYER_TAR_SIZE_MAX (UINT64_C(256) << 30)

struct layer {
    char diff_id[LAYER_DIGEST]; /* of the tar */
    char digest[LAYER_DIGEST];  /* of the blob */
    uint64_t size;              /* of the blob */
    uint64_t tar_size;
    uint64_t entries; /* 0: the diff is empty, and there is no blob, and no digests */
};

/* What a layer leaves out of its diff, and what it holds once. */
struct layer_filter {
    const void *self;
    /* False: the entry is left out, and with a directory what is in it. */
    bool (*keeps)(const void *self, const char *path, const struct stat *st);
    /* True: the file has the content and all else of others, and becomes a hard link of the first
     * of them.  *ret: the number of an inode of this diff that stands for them all. */
    bool (*shares)(const void *self, const struct stat *st, ino_t *ret);
};

struct layer_options {
    int threads;                       /* that compress; 1 to 8 */
    int64_t epoch;                     /* seconds: no time is later; -1: none */
    uint64_t size_max;                 /* bytes of the tar; 0: LAYER_TAR_SIZE_MAX */
    const struct layer_filter *filter; /* NULL: the layer is all of the diff */
};

/* Writes the blob to <blobs>/<64 hex digits of its digest> (a temporary neighbour, synced, renamed;
 * one that is there already is left).  The same diff gives the same bytes, however many threads
 * there are and in whatever order the files were made: entries are sorted, times are whole seconds
 * (rounded down), users and groups are numbers.  The diff's own root has no entry.
 *
 * Sockets are left out; hard links within the diff stay links.  The attributes user.*,
 * security.capability and POSIX ACLs stay; overlay's own, and labels that only this machine
 * understands, do not.
 *
 * diff, blobs: directory descriptors; nobody else changes the diff meanwhile.  At most 32 MiB are
 * used, and what the names of the diff's hard links and of one directory in each level take.
 * ERR_INPUT: a name that begins with ".wh.", which would be a whiteout in the tar.  ERR_LIMIT: too
 * many entries, too large, a path of more than 4095 bytes. */
MUST_CHECK int layer_write(int diff, int blobs, const struct layer_options *options,
                           struct layer *ret, struct error *err);

/* Unpacks <blobs>/<hex of layer->digest> into an empty directory, checking digest, diff_id and
 * sizes; tar_size and entries may be 0, not known.  The blob may be any tar that an image has:
 * plain, gzip or zstd.  userxattr: the form of overlay's attribute in a user namespace.
 *
 * Nothing outside of diff is touched, whatever the blob says.  After a failure the directory holds
 * a part of the layer, or a layer that is not the one asked for, and has to be removed.  A device
 * that this user namespace may not make is left out; so are sockets.  ERR_INPUT: the blob is
 * damaged, or not the one it should be; ERR_LIMIT: larger than it may be. */
MUST_CHECK int layer_unpack(int blobs, const struct layer *layer, bool userxattr, int diff,
                            struct error *err);

#endif
