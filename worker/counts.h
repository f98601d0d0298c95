/* worker/counts — how the tries of this process ended, since it started. */
#ifndef WORKER_COUNTS_H
#define WORKER_COUNTS_H

#include <stdint.h>

enum try_end {
    TRY_SUCCEEDED,
    TRY_FAILED,
    TRY_CANCELLED,
    TRY_QUEUED, /* given back, or to be tried again */
    TRY_LOST,   /* its lease: what it made does not count */
    TRY_ENDS,
};
/* "succeeded" … */
extern const char *const try_end_names[TRY_ENDS];

struct worker_counts {
    uint64_t ended[TRY_ENDS];
    int64_t ns[TRY_ENDS]; /* that these tries took, in all */
};

/* From any thread. */
void counts_add(enum try_end end, int64_t ns);
void counts_read(struct worker_counts *ret);

#endif
