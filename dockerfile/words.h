/* dockerfile/words — the three ways in which an instruction's text is cut into words. */
#ifndef DOCKERFILE_WORDS_H
#define DOCKERFILE_WORDS_H

#include "dockerfile/arena.h"

/* At blanks, whatever they stand in: FROM, COPY, EXPOSE, VOLUME… */
void words_split(struct arena *a, const char *text, struct argv *ret_words);

/* At white space outside quotes; quotes and escapes stay in the words: ENV, LABEL, ARG. */
void words_split_quoted(struct arena *a, const char *text, char escape, struct argv *ret_words);

enum json_form {
    JSON_NO_ARRAY, /* not JSON, or something else than an array */
    JSON_STRINGS,
    JSON_MIXED, /* an array that holds other things than strings */
};

/* Stands for U+0000 in a word, which a string can not hold: an overlong form, and so never in text.
 * BuildKit's parser lets it pass and so does ours, but no instruction is good with it. */
#define WORD_NUL "\xc0\x80"

/* text as a JSON array (RFC 8259, read as Go's encoding/json does); ret_words is filled for
 * JSON_STRINGS alone. */
enum json_form words_json(struct arena *a, const char *text, struct argv *ret_words);

#endif
