/* dockerfile/ignore_pattern — one pattern of an ignore file, as moby/patternmatcher understands it:
 *
 *   *, ?          never match a slash
 *   **            any number of directories, none included; at the end, everything
 *   [a-z] [^a]    as in Go's filepath.Match, which decides what is a pattern
 *   \x            the x itself, unless an escape of Go's regular expressions is spelt so
 *
 * Patterns with nothing of these, with only a ** at the end or only one at the start are compared
 * as text, which makes "**file" match "a/profile" though an expression would not. */
#ifndef DOCKERFILE_IGNORE_PATTERN_H
#define DOCKERFILE_IGNORE_PATTERN_H

#include "dockerfile/path_regex.h"

enum ignore_pattern_kind { IGNORE_EXACT, IGNORE_PREFIX, IGNORE_SUFFIX, IGNORE_REGEX };

struct ignore_pattern {
    enum ignore_pattern_kind kind;
    bool exception;          /* "!": what matches is not ignored after all */
    struct span text;        /* what to compare with, of all kinds but IGNORE_REGEX */
    struct span fixed;       /* what precedes its first wildcard: paths it matches begin so */
    struct path_regex regex; /* of IGNORE_REGEX */
};

/* text: cleaned, without "!"; stays borrowed.  ERR_INPUT "syntax error in pattern". */
MUST_CHECK int ignore_pattern_compile(struct span text, struct arena *arena,
                                      struct ignore_pattern *ret, struct error *err);

/* The kind of a pattern and its regular expression, which is only of use for IGNORE_REGEX. */
void ignore_pattern_translate(struct span text, enum ignore_pattern_kind *ret_kind,
                              struct buf *ret_regex);

/* Whether it matches the path or a directory above it. */
bool ignore_pattern_matches(const struct ignore_pattern *p, struct span path);

#endif
