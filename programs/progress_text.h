/* programs/progress_text — how far something long has come, in words. */
#ifndef PROGRAMS_PROGRESS_TEXT_H
#define PROGRAMS_PROGRESS_TEXT_H

#include "templates/templates.h"

/* "45 % of 1.2 GB, 210 MB/s, 3 s left", "1234 entries found" while scanning, or "3 of 10 revisions
 * read, 2 s left" while looking; seconds: since the beginning. */
#define PROGRESS_TEXT 128
void progress_text(enum template_phase phase, double seconds, uint64_t done, uint64_t total,
                   char text[PROGRESS_TEXT]);

#endif
