/* dockerfile/expand — variables and quotes in a word: BuildKit's shell.Lex.
 *
 * $x ${x} ${x:-w} ${x-w} ${x:+w} ${x+w} ${x:?w} ${x?w} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r}
 * ${x//p/r}; what stands for w, p and r is expanded itself. */
#ifndef DOCKERFILE_EXPAND_H
#define DOCKERFILE_EXPAND_H

#include "base/argv.h"
#include "base/buf.h"

/* Steps for all words that share an expander: characters that values bring in, and pattern items
 * tried.  One Dockerfile needs thousands; a hostile one is stopped after some 20 ms. */
#define EXPAND_WORK ((size_t)16 << 20)

#define EXPAND_DEPTH_MAX 64 /* of ${x:-${y:-…}} */

struct expander {
    char escape;      /* the escape token */
    bool raw_quotes;  /* quotes stay in the result */
    bool raw_escapes; /* escape tokens stay too */
    bool keep_quotes; /* ' and " are ordinary characters */
    bool keep_unset;  /* what names an unset variable stays as it is */
    /* The variable's value, NULL when it is unset. */
    const char *(*get)(void *self, const char *name, size_t len);
    void *self;
    size_t work; /* steps left */
};

/* Appends the expanded word to out.  ERR_INPUT: `failed to process "…": reason` in BuildKit's
 * words; ERR_LIMIT: nested too deep, too much work, or out is full. */
MUST_CHECK int expand_word(struct expander *x, const char *word, struct buf *out,
                           struct error *err);

/* The same, cut at white space outside quotes once the values are in. */
MUST_CHECK int expand_words(struct expander *x, const char *text, struct argv *ret_words,
                            struct error *err);

#endif
