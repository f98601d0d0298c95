/* programs/operator_log — what kiln serve and kiln worker tell their operator, on standard error.
 */
#ifndef PROGRAMS_OPERATOR_LOG_H
#define PROGRAMS_OPERATOR_LOG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/note.h"

struct operator_log {
    bool json;
    const char *worker; /* the name of this process; NULL or "": none */
};

/* The note as it is written, with a line's end; now in ns. */
void operator_log_format(const struct operator_log *log, const struct note *note, int64_t now,
                         struct buf *out);

/* For the log members of configurations: self is a struct operator_log, or NULL for text. */
void operator_log(void *self, const struct note *note);

#endif
