/* templates/entry_path — what an entry of an archive may be called. */
#ifndef TEMPLATES_ENTRY_PATH_H
#define TEMPLATES_ENTRY_PATH_H

#include <limits.h>

#include "templates/templates.h"

#define ENTRY_COMPONENT_MAX 255 /* bytes of one name: ext4's limit */

/* "entry "NAME": <what is wrong>; <what to do>".  Returns -1. */
int entry_refuse(struct error *err, enum error_kind kind, const char *name, const char *fmt, ...)
    PRINTF(4, 5);

/* An entry's name as a path beneath the root: no empty and no "." components, "" is the root.
 * Refuses ".." and absolute paths (ERR_INPUT), and what is longer or deeper than allowed. */
MUST_CHECK int entry_path(const char *name, const struct template_limits *limits,
                          char ret[PATH_MAX], struct error *err);

#endif
