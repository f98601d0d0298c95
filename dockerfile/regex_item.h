/* dockerfile/regex_item — what regex_compile.c makes of an expression and path_regex.c follows. */
#ifndef DOCKERFILE_REGEX_ITEM_H
#define DOCKERFILE_REGEX_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGEX_DIRS_TEXT "(.*/)?" /* any number of directories */

enum regex_item_kind {
    REGEX_RUNE,
    REGEX_SET,
    REGEX_DIRS,   /* REGEX_DIRS_TEXT; behind it always comes … */
    REGEX_INSIDE, /* … this one, which stands for having read a part of it */
    REGEX_BEGIN,  /* ^, \A */
    REGEX_END,    /* $, \z */
    REGEX_EDGE,   /* \b */
    REGEX_NO_EDGE /* \B */
};

struct regex_range {
    uint32_t first, last;
};

struct regex_item {
    enum regex_item_kind kind;
    uint32_t rune; /* of a REGEX_RUNE */
    /* Of a REGEX_SET: */
    bool repeats; /* any number of them, also none */
    bool negated;
    struct regex_range *ranges;
    size_t n_ranges;
};

#endif
