/* programs/batch_line — one JSON object a line in, one out, always. */
#ifndef PROGRAMS_BATCH_LINE_H
#define PROGRAMS_BATCH_LINE_H

#include <jansson.h>

/* Calls answer for each line until the input ends: request is NULL for what is not JSON, and the
 * result, which the loop releases, NULL when there is none.  Returns the exit code.
 *
 * "\udc80"…"\udcff" with nothing before them stand for bytes that are not UTF-8, as Python writes
 * them.  The library refuses such a line, so they come as a byte that no UTF-8 text holds. */
int batch_lines(json_t *(*answer)(json_t *request));

#endif
