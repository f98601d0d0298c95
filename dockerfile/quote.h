/* dockerfile/quote — text as Go's %q prints it, for dumps and for BuildKit's messages. */
#ifndef DOCKERFILE_QUOTE_H
#define DOCKERFILE_QUOTE_H

#include "base/buf.h"

void quote_add(struct buf *out, const char *s);

/* For a message: quoted, and cut when it is long. */
#define QUOTE_SIZE 256
const char *quote_short(const char *s, char text[QUOTE_SIZE]);

#endif
