/* dockerfile/lines — physical lines, and the logical lines that continuations make of them. */
#ifndef DOCKERFILE_LINES_H
#define DOCKERFILE_LINES_H

#include "dockerfile/parse.h"
#include "dockerfile/runes.h"

struct lines {
    const char *text;
    size_t len, pos;
    int count;       /* lines read */
    size_t line_max; /* bytes, without the LF */
    bool too_long;   /* the line after the last one read is longer */
};

/* The next line with its end; false at the end of the text or before a line that is too long. */
bool lines_next(struct lines *l, struct span *ret_line);

/* Without the CRs and LF at its end. */
struct span line_content(struct span line);

bool line_is_comment(struct span line);

struct logical_line {
    struct buf text; /* continuations joined; empty for a comment, a directive or an empty line */
    int first_line, last_line;
    size_t open_at;          /* as in struct dockerfile */
    bool empty_continuation; /* as in struct dockerfile_instruction */
    struct argv comments;    /* likewise, in the arena; of this line and those above */
};

/* Reads one logical line; *ret_end: there was none left.  On failure *fault says where. */
MUST_CHECK int lines_next_logical(struct lines *l, struct directives *directives,
                                  struct logical_line *line, bool *ret_end, struct arena *arena,
                                  struct fault *fault, struct error *err);

#endif
