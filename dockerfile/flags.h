/* dockerfile/flags — the --name=value words between a keyword and its arguments. */
#ifndef DOCKERFILE_FLAGS_H
#define DOCKERFILE_FLAGS_H

#include "dockerfile/arena.h"

enum flag_kind {
    FLAG_STRING, /* needs a value, at most once */
    FLAG_BOOL,   /* --x, --x=true, --x=false */
    FLAG_LIST,   /* needs a value, any number of times */
};

struct flag_rule {
    const char *name; /* without the dashes */
    enum flag_kind kind;
};
#define FLAG_RULES_MAX 16

/* Takes the flags off the front of text, quotes and backslashes resolved; *ret_rest points at what
 * follows them.  A lone -- ends them. */
void flags_split(struct arena *a, const char *text, struct argv *ret_flags, const char **ret_rest);

/* ERR_INPUT in BuildKit's words for a flag that rules (ended by a NULL name, in alphabetical order)
 * does not allow.  NULL allows none. */
MUST_CHECK int flags_check(const struct argv *flags, const struct flag_rule *rules,
                           struct error *err);

/* What stands after --name=, NULL without such a flag; *index is where to look from, and on to look
 * for the next one of a list. */
const char *flags_next(const struct argv *flags, const char *name, size_t *index);
const char *flags_value(const struct argv *flags, const char *name);

/* Whether a flag of the kind FLAG_BOOL is given and not as "false". */
bool flags_is_set(const struct argv *flags, const char *name);

#endif
