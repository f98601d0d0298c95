/* dockerfile/path_regex — as much of Go's regular expressions as moby/patternmatcher makes ignore
 * patterns into: literals, escapes, classes with or without a star, any directories, and ^.
 *
 * It does not quote a pattern as carefully as it should on its way into an expression, and so
 * "[*]", "a^b*" and "foo\d" mean what the expression means.  That is why there is one here too. */
#ifndef DOCKERFILE_PATH_REGEX_H
#define DOCKERFILE_PATH_REGEX_H

#include "dockerfile/arena.h"
#include "dockerfile/runes.h"

#define PATH_REGEX_ITEMS_MAX 8192

struct regex_item;

struct path_regex {
    struct regex_item *items; /* in the arena */
    size_t n;
};

/* ERR_INPUT: it is no expression ("[b-a]", "\R"), or one with a Unicode class ("\pL"), which are
 * not known here.  ERR_LIMIT: more than PATH_REGEX_ITEMS_MAX items. */
MUST_CHECK int path_regex_compile(struct span text, struct arena *arena, struct path_regex *ret,
                                  struct error *err);

/* Whether the expression matches the whole path or what is before one of its slashes, which is a
 * directory above it.  Takes length × items steps at worst. */
bool path_regex_matches(const struct path_regex *r, struct span path);

#endif
