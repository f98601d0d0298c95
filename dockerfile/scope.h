/* dockerfile/scope — the variables that a word sees, and which of them it asked for.
 *
 * Three kinds of scope hold variables in a Dockerfile: the global one (platform arguments and the
 * ARGs before the first FROM), which only FROM lines see; a stage's, which starts with the base's
 * environment and grows with ARG and ENV; and none, for what must not be expanded. */
#ifndef DOCKERFILE_SCOPE_H
#define DOCKERFILE_SCOPE_H

#include "dockerfile/expand.h"
#include "dockerfile/parse.h"
#include "dockerfile/suggest.h"
#include "dockerfile/vars.h"

/* The names an expansion looked up, each once, at most NAMES_MAX. */
#define NAMES_MAX 256
struct names {
    struct argv found, missing; /* in the scope's arena */
};

struct scope {
    struct vars vars;
    struct expander expander;
    struct arena *arena; /* for results and names; borrowed */
    struct names names;  /* of the last expansion, or of all since they were last emptied */
    struct buf out;      /* for one expansion after the other */
};

void scope_init(struct scope *s, char escape, struct arena *arena);
void scope_release(struct scope *s);

/* One word; names are those of this expansion, also when it fails. */
MUST_CHECK int scope_expand(struct scope *s, const char *word, char **ret, struct error *err);

/* Cut into words where values bring white space in; names are not kept. */
MUST_CHECK int scope_expand_words(struct scope *s, const char *word, struct argv *ret_words,
                                  struct error *err);

/* " (did you mean X?)" for the variable that the scope has and whose name is nearest. */
const char *scope_hint(const struct scope *s, const char *name, const char *prefix,
                       char text[SUGGEST_SIZE]);

/* The value of "name=value" in build_args, the last one counting; NULL without one. */
const char *build_arg(const struct argv *build_args, const char *name, size_t len);

/* Fills the global scope.  target is the TARGETSTAGE.  ERR_INPUT with the line: a default that does
 * not expand; lenient goes on after it. */
MUST_CHECK int scope_fill_global(struct scope *s, const struct dockerfile *d,
                                 const struct argv *build_args, const char *target, bool lenient,
                                 struct error *err);

/* Puts "dockerfile parse error on line N: " before the message; -1. */
int fail_at_line(int line, struct error *err);

#endif
