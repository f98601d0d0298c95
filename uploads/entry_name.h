/* uploads/entry_name — what an archive may call its entries. */
#ifndef UPLOADS_ENTRY_NAME_H
#define UPLOADS_ENTRY_NAME_H

#include <limits.h>

#include "uploads/uploads.h"

/* Turns an entry's name into a path beneath the root: no empty and no "." components, no slash at
 * either end; "" is the root itself.  *ret_slash: the name ended in a slash.  Refuses what names a
 * place outside the root (ERR_INPUT), bytes that a terminal or a file system could misread
 * (ERR_INPUT), and what is longer or deeper than limits (ERR_LIMIT). */
MUST_CHECK int entry_name_to_path(const char *name, const struct upload_limits *limits,
                                  char ret_path[PATH_MAX], bool *ret_slash, struct error *err);

/* True when a symbolic link at path (as above) with this target would lead out of the root, judged
 * by the text alone. */
bool entry_name_target_escapes(const char *path, const char *target);

/* What can be a link's target at all: some text of printable UTF-8, shorter than PATH_MAX. */
bool entry_name_is_target(const char *target, size_t len);

/* "archive entry "NAME": <what is wrong>; <what to do>".  Returns -1. */
int entry_name_refuse(struct error *err, enum error_kind kind, const char *name, const char *fmt,
                      ...) PRINTF(4, 5);

#endif
