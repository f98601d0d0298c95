/* uploads/extract — what the files of the extractor share. */
#ifndef UPLOADS_EXTRACT_H
#define UPLOADS_EXTRACT_H

#include "uploads/member_reader.h"
#include "uploads/tree.h"
#include "uploads/uploads.h"

struct extraction {
    struct member_reader *reader;
    struct tree tree;
    const struct upload_limits *limits;
    struct upload_report *report;
    uint64_t archive_size;
    bool has_no_secrets;  /* no file is kept from the disk */
    size_t links_outside; /* symbolic links that lead out of the tree */
    /* An entry ".docker/" waits until it is known whether anything but the credentials is in it. */
    bool docker_dir_waits;
    struct tree_attributes docker_dir;
};

/* upload_extract with the way of opening parents as a parameter, so that tests see both. */
MUST_CHECK int extract_with(int archive_fd, int dirfd, const struct upload_limits *limits,
                            enum tree_method method, struct upload_report *ret, struct error *err);

/* ---- content.c: the bytes of a member ---- */

/* Takes the member's data to fd.  prefix: what was taken out of the reader already. */
MUST_CHECK int content_to_file(struct extraction *x, const struct member *m, int fd,
                               const struct buf *prefix, struct error *err);
/* Into out, up to its ceiling: ERR_LIMIT beyond it. */
MUST_CHECK int content_to_buf(struct extraction *x, const struct member *m, struct buf *out,
                              struct error *err);
/* The beginning: at least enough to fill out, or all there is. */
MUST_CHECK int content_begin(struct extraction *x, const struct member *m, struct buf *out,
                             bool *ret_whole, struct error *err);
/* Reads it and forgets it, but counts it. */
MUST_CHECK int content_drop(struct extraction *x, const struct member *m, struct error *err);
/* Adds bytes to what was unpacked so far; ERR_LIMIT when that is too much. */
MUST_CHECK int content_count(struct extraction *x, const struct member *m, uint64_t bytes,
                             struct error *err);

#endif
