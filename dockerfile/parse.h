/* dockerfile/parse — the inside of a parsed file, for this folder and its tests.
 *
 * Reading goes in two steps, as in BuildKit, whose first error is the one a user sees:
 *   1. parse_text     lines.c joins continuations, directives.c reads the first comments,
 *                     grammar.c cuts a line into keyword, flags and words, heredoc.c takes the
 *                     bodies that follow it;
 *   2. stages_build   stages.c asks each instruction's row of the table whether it is a good one,
 *                     and groups them into stages.
 * An error's message carries no position until dockerfile_parse puts it there from fault. */
#ifndef DOCKERFILE_PARSE_H
#define DOCKERFILE_PARSE_H

#include <string.h>

#include "dockerfile/arena.h"
#include "dockerfile/dockerfile.h"

/* Where the error is.  BuildKit counts some errors one line early (it has not counted the line
 * yet), which a person should not see but a comparison with it must. */
struct fault {
    int line;          /* from 1; 0: the file as a whole */
    int buildkit_line; /* what BuildKit says */
};

struct directives {
    const char *syntax; /* NULL: not given */
    const char *check;
    char escape; /* '\\' or '`' */
    bool escape_given;
    bool done; /* the first line that is none has been seen */
};

#define NOT_OPEN ((size_t)-1)

struct dockerfile {
    struct arena arena;
    struct dockerfile_limits limits;
    const char *text; /* as given, NUL-terminated */
    size_t len;
    struct directives directives;
    int trigger_depth;                           /* of ONBUILDs being read */
    struct dockerfile_instruction *instructions; /* all, in order */
    size_t n_instructions, cap_instructions;
    size_t n_checked; /* of them seen by step 2; the last may be what it failed at */
    size_t n_global;  /* of them before the first FROM: ARGs */
    struct dockerfile_stage *stages;
    size_t n_stages;
    size_t *named; /* the stages that have names, by name, of one name in order */
    size_t n_named, cap_named;
    /* When the text ends in the middle of a continuation: the offset of the escape token that
     * would swallow a line put after it, or of the first of several.  NOT_OPEN otherwise. */
    size_t open_at;
};

/* keyword in upper case.  Asked so often that most times one letter has to tell. */
static inline bool instruction_is(const struct dockerfile_instruction *i, const char *keyword)
{
    return *i->keyword == *keyword && strcmp(i->keyword, keyword) == 0;
}

/* Step 1 on an empty d, which the caller frees in any case. */
MUST_CHECK int parse_text(struct dockerfile *d, const char *text, size_t len,
                          const struct dockerfile_limits *limits, struct fault *fault,
                          struct error *err);

/* Step 2. */
MUST_CHECK int stages_build(struct dockerfile *d, struct fault *fault, struct error *err);

#endif
