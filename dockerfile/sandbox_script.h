/* dockerfile/sandbox_script — the text of a file that the project puts into the final image. */
#ifndef DOCKERFILE_SANDBOX_SCRIPT_H
#define DOCKERFILE_SANDBOX_SCRIPT_H

#include "dockerfile/graph.h"
#include "dockerfile/source.h"

struct sandbox_copy; /* of the context or a heredoc, into the final stage */

struct sandbox_scripts {
    const struct dockerfile *d;
    struct graph *g;
    const struct dockerfile_source *context; /* NULL: heredocs alone */
    size_t tries; /* of sources so far; after some thousand, nothing more is found */
    /* Filled by the first reading. */
    struct sandbox_copy *copies; /* in order */
    size_t n_copies, cap_copies;
    const char *workdir; /* the final one; NULL: depends on a variable */
    bool filled;
};

/* Finds word, a path or the name of a program, among what COPY and ADD take from the context or
 * from a heredoc into the final stage or those it descends from; the last of them counts.  Appends
 * its text.  *ret_name: "entrypoint.sh" as the context has it, or the path in the image of a
 * heredoc; NULL, and out untouched, when it comes from elsewhere, is too large, or cannot be told.
 */
MUST_CHECK int sandbox_script_read(struct sandbox_scripts *s, const char *word, struct buf *out,
                                   const char **ret_name, struct error *err);

#endif
