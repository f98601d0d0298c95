/* dockerfile/heredoc — <<NAME on an instruction's line, and the body below it. */
#ifndef DOCKERFILE_HEREDOC_H
#define DOCKERFILE_HEREDOC_H

#include "dockerfile/lines.h"

/* Is this word a heredoc?  *ret_is says so; ret is filled but for its content.  ERR_INPUT: quotes
 * that do not match. */
MUST_CHECK int heredoc_parse_word(struct arena *arena, const char *word, bool *ret_is,
                                  struct dockerfile_heredoc *ret, struct error *err);

/* Finds the heredocs on the instruction's line and takes their bodies from l. */
MUST_CHECK int heredoc_read(struct arena *arena, struct lines *l,
                            struct dockerfile_instruction *instruction, struct error *err);

#endif
