/* builder/bases — what lies in a workspace's base store, read without starting buildah.
 *
 * The store is containers/storage's (1.43, as buildah 1.28 has it): overlay-images/images.json
 * names the images, overlay-layers/layers.json their layers, and the trees lie below overlay/.
 * Their content came from outside; that it lies where it should is buildah's doing. */
#ifndef BUILDER_BASES_H
#define BUILDER_BASES_H

#include "builder/builder.h"

struct bases_image {
    char id[65];    /* hex: of the config, which is "sha256:<id>" */
    char layer[65]; /* the top one; "" for an image without any */
    char digest[BUILDER_DIGEST];
};

/* dir: the store.  name: "docker.io/library/alpine:3.20".  *ret_found false: it is not there. */
MUST_CHECK int bases_find(const char *dir, const char *name, bool *ret_found,
                          struct bases_image *ret, struct error *err);

/* Whether the image came by the manifest of that digest, or by the index of that digest. */
MUST_CHECK int bases_came_as(const char *dir, const struct bases_image *image, const char *digest,
                             bool *ret, struct error *err);

/* The same in a job's store, by any name that the image has.  ERR_INPUT: name is none. */
MUST_CHECK int bases_find_named(const struct builder_job *j, const char *name, bool *ret_found,
                                struct bases_image *ret, struct error *err);

/* Appends the image's config, whose digest is checked. */
MUST_CHECK int bases_config(const char *dir, const struct bases_image *image, struct buf *out,
                            struct error *err);

/* A layer of an image, unpacked in <dir>/overlay/<id>/diff. */
struct bases_layer {
    char id[65];
    char diff_id[BUILDER_DIGEST]; /* of the tar */
    char digest[BUILDER_DIGEST];  /* of the blob it came as */
    uint64_t size;                /* of the blob */
};

/* The image's layers, the lowest first, in an array of the caller's to free.  ERR_SYSTEM: the store
 * does not know how they came. */
MUST_CHECK int bases_layers(const char *dir, const struct bases_image *image,
                            struct bases_layer **ret, size_t *ret_n, struct error *err);

/* One with that diff_id, of any image.  ERR_SYSTEM: there is none. */
MUST_CHECK int bases_layer_of(const char *dir, const char *diff_id, struct bases_layer *ret,
                              struct error *err);

/* Where in the store pulls keep layers' blobs as they came, each under its digest; and what is to
 * be done there after a pull: buildah keeps them unpacked, too. */
#define BASES_BLOBS "blobs"
void bases_trim_blobs(const char *dir);

/* Whether the image has an executable regular file at path (no symlink on the way is followed). */
MUST_CHECK int bases_has_program(const char *dir, const struct bases_image *image, const char *path,
                                 bool *ret, struct error *err);

#endif
