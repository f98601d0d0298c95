/* builder/layer_reader — the members of a layer's blob, one after the other, by libarchive; and the
 * digests of what was read.
 *
 * Plain, gzip or zstd around any tar.  Names and targets are the tar's bytes, whatever the
 * process's locale. */
#ifndef BUILDER_LAYER_READER_H
#define BUILDER_LAYER_READER_H

#include <time.h>

#include "builder/layer.h"
#include "builder/layer_tar.h"

struct layer_reader;

struct layer_member { /* borrowed until the next call of next */
    enum tar_type type;
    bool is_known;    /* false: a socket or the like, and type says nothing */
    const char *name; /* as written */
    const char *target;
    mode_t mode;
    int64_t uid, gid;
    dev_t device;
    struct timespec mtime;
    const struct tar_attribute *attributes;
    size_t n_attributes;
};

/* fd is read from where it stands.  tar_max: bytes; more are ERR_LIMIT. */
MUST_CHECK int layer_reader_open(int fd, uint64_t tar_max, struct layer_reader **ret,
                                 struct error *err);
void layer_reader_free(struct layer_reader *r);
static inline void layer_reader_freep(struct layer_reader **r)
{
    layer_reader_free(*r);
}

/* *ret_end: there was no further member, and ret is untouched.  ERR_INPUT: damaged. */
MUST_CHECK int layer_reader_next(struct layer_reader *r, struct layer_member *ret, bool *ret_end,
                                 struct error *err);

/* The next piece of the current member's data, borrowed until the next call.  offset: where in the
 * file it goes; a gap is a hole.  At the end *ret_data is NULL and *ret_offset the whole size. */
MUST_CHECK int layer_reader_data(struct layer_reader *r, const void **ret_data, size_t *ret_len,
                                 uint64_t *ret_offset, struct error *err);

/* After the last member: reads what is left, and tells digest, diff_id and sizes. */
MUST_CHECK int layer_reader_end(struct layer_reader *r, struct layer *ret, struct error *err);

#endif
