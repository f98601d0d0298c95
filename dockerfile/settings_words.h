/* dockerfile/settings_words — what blaxel.toml should hold and what it holds, for its messages. */
#ifndef DOCKERFILE_SETTINGS_WORDS_H
#define DOCKERFILE_SETTINGS_WORDS_H

#include "base/buf.h"
#include "base/toml.h"
#include "dockerfile/settings_keys.h"

/* How many bytes of a path a message shows, for "%.*s". */
#define SETTINGS_SHOWN_MAX 120
int settings_shown(const char *path);

/* "a whole number from 1 to 65535", "a table ([build])". */
void settings_add_wanted(struct buf *out, const char *path, const struct settings_place *place);

/* `the string "no"`; of a secret, its type. */
void settings_add_found(struct buf *out, const struct toml_leaf *leaf, bool secret);

#endif
