/* tests/templates/fixture — tars made in memory, and templates of them. */
#ifndef TESTS_TEMPLATES_FIXTURE_H
#define TESTS_TEMPLATES_FIXTURE_H

#include "templates/store.h"

/* Appends a regular file of len bytes, or the end of a tar. */
void tar_add(struct buf *tar, const char *name, const void *data, size_t len);
void tar_end(struct buf *tar);

/* n files of up to size bytes each, in three folders; the same seed gives the same bytes, and
 * changed of them differ from those of another turn. */
void tar_make(struct buf *tar, unsigned seed, unsigned n, size_t size, unsigned turn,
              unsigned changed);

int pack_tar(struct template_store *s, const char *name, const struct buf *tar,
             struct template_pack_report *ret, struct error *err);

/* Whether the image that is read back has the digest of its revision. */
bool image_is_right(struct template_store *s, const char *name, struct error *err);

#endif
