/* builder/slim_twins — files of one layer that are the same in all that a layer says of a file:
 * bytes, owner, mode and time.  They can be hard links of one another, and take their room once.
 *
 * Hard links share what is written to one of them where an image is not run from an overlay, so a
 * file that may be written to in place is none: what lies in a directory of data or of
 * configuration or in a volume, a database, a log, what others than its owner may write to. */
#ifndef BUILDER_SLIM_TWINS_H
#define BUILDER_SLIM_TWINS_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/argv.h"

#define SLIM_TWIN_MIN 4096 /* bytes: smaller ones save next to nothing */

struct slim_twins;

/* diff: borrowed.  epoch: as in layer_options.  volumes: paths, borrowed. */
MUST_CHECK int slim_twins_new(int diff, int64_t epoch, const struct argv *volumes,
                              struct slim_twins **ret, struct error *err);
void slim_twins_free(struct slim_twins *t);

/* A regular file of the diff. */
MUST_CHECK int slim_twins_offer(struct slim_twins *t, const char *path, const struct stat *st,
                                struct error *err);

/* After the last one: reads those that may be the same.  *ret_files, *ret_bytes: that need not be
 * stored. */
MUST_CHECK int slim_twins_find(struct slim_twins *t, uint64_t *ret_files, uint64_t *ret_bytes,
                               struct error *err);

/* True when it has twins; *ret is then the inode that stands for all of them. */
bool slim_twins_has(const struct slim_twins *t, const struct stat *st, ino_t *ret);

#endif
