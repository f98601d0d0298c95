/* dockerfile/stages — instructions are checked and grouped; stages are looked up. */
#ifndef DOCKERFILE_STAGES_H
#define DOCKERFILE_STAGES_H

#include "dockerfile/parse.h"

/* ^[a-z][a-z0-9-_.]*$ once in lower case */
bool stages_name_is_valid(const char *name);

#define NO_STAGE ((size_t)-1)

/* The last of the first n stages with that name: as FROM compares it, to the letter, or as COPY
 * --from does, in any case. */
size_t stages_find(const struct dockerfile *d, const char *name, size_t n, bool any_case);

#endif
