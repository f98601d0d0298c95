/* templates/volume_fill — the bytes of a revision's image into an empty file. */
#ifndef TEMPLATES_VOLUME_FILL_H
#define TEMPLATES_VOLUME_FILL_H

#include "base/process.h"
#include "templates/revision_file.h"
#include "templates/store.h"

struct volume_filling {
    const struct view *view; /* with condemned packs */
    const struct revision_root *root;
    int fd; /* of zeros, at least as long as the image */
    unsigned threads;
    const struct template_progress *progress; /* NULL: none; called by one thread at a time */
    const struct cancel *cancel;              /* NULL: none */
};

/* Writes all that is not zero, every chunk verified.  ERR_INPUT when it was cancelled. */
MUST_CHECK int volume_fill(const struct volume_filling *what, struct error *err);

#endif
