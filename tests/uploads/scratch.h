/* tests/uploads/scratch — a directory of a test's own, and what was unpacked into it as text.
 *
 *   scratch/tree      where archives are unpacked
 *   scratch/outside   a file that nothing may touch
 */
#ifndef TESTS_UPLOADS_SCRATCH_H
#define TESTS_UPLOADS_SCRATCH_H

#include "uploads/extract.h"

struct scratch {
    char path[64];
    int dirfd;  /* scratch */
    int treefd; /* scratch/tree */
};

/* For cmocka's setup and teardown; *state is a struct scratch. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* Empties scratch/tree. */
void scratch_clear(struct scratch *s);

/* True while there is nothing but tree and outside, and outside is as it was. */
bool scratch_is_contained(const struct scratch *s);

/* Unpacks the file at path, or the bytes, into an empty tree; as upload_extract otherwise. */
int scratch_extract_file(struct scratch *s, const char *path, enum tree_method method,
                         struct upload_report *ret, struct error *err);
int scratch_extract(struct scratch *s, const void *data, size_t len,
                    const struct upload_limits *limits, struct upload_report *ret,
                    struct error *err);

/* A line for each entry below dirfd, sorted: type, mode, size, time, name, and a short content or a
 * link's target. */
void scratch_list(int dirfd, struct buf *out);

/* $KILN_SOURCE/tests/uploads/<name>; out has 4096 bytes. */
void scratch_source(const char *name, char *out);

#endif
