/* programs/beside — other programs: in PATH, and those that are installed beside this one. */
#ifndef PROGRAMS_BESIDE_H
#define PROGRAMS_BESIDE_H

#include <limits.h>
#include <stdbool.h>

/* In PATH, or by its path. */
bool program_is_there(const char *program);

/* The first of these paths that is a file, each below the directory of this program ("/../lib/x");
 * ended by NULL.  False where there is none. */
bool program_beside(const char *const places[], char ret[PATH_MAX]);

/* nbdkit's plugin for volumes. */
bool program_find_plugin(char ret[PATH_MAX]);

/* Becomes the whole program, with these words.  Returns only where that fails: 2, having said why.
 */
int program_become_whole(char **words);

#endif
