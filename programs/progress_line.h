/* programs/progress_line — how far something long has come, for who waits for it. */
#ifndef PROGRAMS_PROGRESS_LINE_H
#define PROGRAMS_PROGRESS_LINE_H

#include "templates/templates.h"

/* Part done, rate and remaining time, on stderr: in a terminal one line that changes, elsewhere (a
 * log) a line every ten seconds. */
struct progress_line {
    struct template_progress progress; /* for requests; report is NULL where nothing is shown */
    const char *what;
    int64_t started, shown; /* monotonic */
    bool terminal, visible;
};
void progress_line_init(struct progress_line *p, const char *what, bool quiet);
/* What to put into a request. */
const struct template_progress *progress_line_of(const struct progress_line *p);
/* Clears the line of a terminal. */
void progress_line_end(struct progress_line *p);

#endif
