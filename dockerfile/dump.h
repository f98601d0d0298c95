/* dockerfile/dump — a parsed file as BuildKit's Node.Dump() prints it: for comparing. */
#ifndef DOCKERFILE_DUMP_H
#define DOCKERFILE_DUMP_H

#include "dockerfile/parse.h"

/* One S-expression a line, no LF after the last. */
void dump_text(const struct dockerfile *d, struct buf *out);

#endif
