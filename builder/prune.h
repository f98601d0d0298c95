/* builder/prune — a diff without the directories in which nothing was changed. */
#ifndef BUILDER_PRUNE_H
#define BUILDER_PRUNE_H

#include "base/error.h"

/* The overlay copies a directory up as soon as something in it is touched, and it stays when that
 * is gone again: a file that was made and removed, a mount point.  Takes out of diff every
 * directory that is empty and in all but its times like the one that it lies on in view (-1: there
 * is nothing).  Both are descriptors that can be read; nobody else changes the diff meanwhile.
 * Source: BuildKit, util/overlay, which leaves such directories out of the layer. */
MUST_CHECK int prune_unchanged(int view, int diff, struct error *err);

#endif
