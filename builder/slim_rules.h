/* builder/slim_rules — what slimming takes out of layers, and why nobody misses it: one table.
 *
 * What is in it was fetched or computed by a package manager for itself, and is fetched or computed
 * again by it when needed.  What programs run from, or read when they run, is not in it, however
 * much it looks like a cache: docs/slim.md names what was left out, and why. */
#ifndef BUILDER_SLIM_RULES_H
#define BUILDER_SLIM_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct slim_rule {
    const char *group;  /* what the log calls it */
    const char *path;   /* of a directory, which stays; "~" is each user's home, "*" any name */
    const char *names;  /* NULL: all that is in it goes; else the files in it with these names */
    const char *runs;   /* it stays when the image's command names one of these; NULL: none */
    bool plug_and_play; /* it stays beside a .pnp.cjs or .pnp.js, which runs packages from it */
    const char *reason; /* that nobody misses it */
};

extern const struct slim_rule slim_rules[];
extern const size_t slim_n_rules;

/* Where the rules look in one image. */
struct slim_place {
    const struct slim_rule *rule;
    char *pattern; /* the rule's path with a home put in */
};
struct slim_places {
    struct slim_place *v;
    size_t n;
};

/* home: the image's $HOME, beside /root and /home/x; "": not set. */
MUST_CHECK int slim_places_init(const char *home, struct slim_places *ret, struct error *err);
void slim_places_release(struct slim_places *p);

/* How a path lies to the places: more than one may hold, and then the last of these is told. */
enum slim_relation {
    SLIM_ELSEWHERE,
    SLIM_ABOVE, /* a place may lie below it */
    SLIM_AT,    /* it is one */
    SLIM_BELOW, /* it is of what goes from one */
};

/* path: from the root, clean, without a slash before or after; "" is the root.  AT, BELOW:
 * *ret_rule, and the place is the first *ret_len bytes of path. */
enum slim_relation slim_places_find(const struct slim_places *p, const char *path,
                                    const struct slim_rule **ret_rule, size_t *ret_len);

/* Whether the rule takes what lies at rest (relative) in its place; of files alone if it has names.
 */
bool slim_rule_takes(const struct slim_rule *rule, const char *rest);

/* Whether one of the words (divided by blanks, each as for fnmatch) names it. */
bool slim_is_among(const char *words, const char *name);

#endif
