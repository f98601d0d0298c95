/* dockerfile/quote — text as Go's %q prints it, for dumps and for BuildKit's messages. */
#ifndef DOCKERFILE_QUOTE_H
#define DOCKERFILE_QUOTE_H

#include "base/argv.h"
#include "base/buf.h"

void quote_add(struct buf *out, const char *s);

/* As JSON (RFC 8259), for what buildah and shells read: a string, and ["a", "b"]. */
void quote_json(struct buf *out, const char *s);
void quote_json_words(struct buf *out, const struct argv *words);

/* For a message: quoted, and cut when it is long. */
#define QUOTE_SIZE 256
const char *quote_short(const char *s, char text[QUOTE_SIZE]);

#endif
