/* dockerfile/suggest — "did you mean" for a word that is not among those allowed. */
#ifndef DOCKERFILE_SUGGEST_H
#define DOCKERFILE_SUGGEST_H

#include <stdbool.h>

/* " (did you mean NAME?)" in text for the name nearest to word, at most two edits away, the first
 * of them in the list; "" when there is none.  names ends with NULL.  With fold, case does not
 * count and the suggestion follows the word's.  Returns text. */
#define SUGGEST_SIZE 64
const char *suggest(const char *word, const char *const *names, bool fold, char text[SUGGEST_SIZE]);

#endif
