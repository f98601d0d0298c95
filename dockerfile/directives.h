/* dockerfile/directives — "# name=value" comments at the top of the file that are none. */
#ifndef DOCKERFILE_DIRECTIVES_H
#define DOCKERFILE_DIRECTIVES_H

#include "dockerfile/parse.h"
#include "dockerfile/runes.h"

#define DIRECTIVES_INIT                                                                            \
    {                                                                                              \
        .escape = '\\'                                                                             \
    }

/* Shows it a line, leading blanks and line end gone.  The first one that is not a known directive
 * ends the zone, and with it the interest in lines.  ERR_INPUT: a directive given twice, an escape
 * token that is neither \ nor `. */
MUST_CHECK int directives_read_line(struct directives *d, struct span line, struct arena *arena,
                                    struct error *err);

#endif
