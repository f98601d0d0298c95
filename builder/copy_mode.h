/* builder/copy_mode — the argument of --chmod, octal or symbolic. */
#ifndef BUILDER_COPY_MODE_H
#define BUILDER_COPY_MODE_H

#include <sys/stat.h>

#include "base/error.h"

/* Whether text is a mode: up to 07777 in octal, or chmod(1)'s clauses; "" is none, and fine.
 * ERR_INPUT: "invalid mode: …". */
MUST_CHECK int copy_mode_check(const char *text, struct error *err);

/* The permission bits (07777) that a file of that mode, with its kind, comes to have.  text has
 * been checked. */
mode_t copy_mode_apply(const char *text, mode_t mode);

#endif
