/* worker/counts — see the header. */
#include "worker/counts.h"

#include <stdatomic.h>

static struct {
    atomic_uint_fast64_t ended;
    atomic_int_fast64_t ns;
} counts[TRY_ENDS];

const char *const try_end_names[TRY_ENDS] = {
    [TRY_SUCCEEDED] = "succeeded", [TRY_FAILED] = "failed", [TRY_CANCELLED] = "cancelled",
    [TRY_QUEUED] = "queued again", [TRY_LOST] = "lost",
};

void counts_add(enum try_end end, int64_t ns)
{
    atomic_fetch_add_explicit(&counts[end].ended, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counts[end].ns, ns, memory_order_relaxed);
}

void counts_read(struct worker_counts *ret)
{
    for (int i = 0; i < TRY_ENDS; i++) {
        ret->ended[i] = atomic_load_explicit(&counts[i].ended, memory_order_relaxed);
        ret->ns[i] = atomic_load_explicit(&counts[i].ns, memory_order_relaxed);
    }
}
