/* api/limiter — how much each may ask for: token buckets in a table of a fixed size.
 *
 * A bucket is one number, the moment at which it is full again (the generic cell rate algorithm,
 * ITU-T I.371, as a "virtual scheduling" clock): a request is good when that lies no further ahead
 * than a burst takes to refill.  A bucket that is full is the same as none, so only those in use
 * need a place; where there are more than places, the one that would be full soonest is forgotten,
 * and whoever it was has a burst more. */
#ifndef API_LIMITER_H
#define API_LIMITER_H

#include "api/api.h"

enum limit { LIMIT_KEY, LIMIT_WORKSPACE, LIMIT_ADDRESS, LIMIT_LOGIN, LIMIT_AUDIT, LIMITS };

/* Seconds of its rate that may come at once. */
#define LIMIT_BURST 10

struct limiter;

/* NULL: out of memory. */
struct limiter *limiter_new(const struct api_rates *rates);
void limiter_free(struct limiter *l);

/* Takes one from the bucket of whoever id is, at that time (clock_monotonic).  False: it is empty,
 * and there is one in *ret_wait ns.  l may be NULL, and a rate 0: then it is always true. */
bool limiter_take(struct limiter *l, enum limit limit, const void *id, size_t len, int64_t now,
                  int64_t *ret_wait);
/* The same without taking it. */
bool limiter_has(struct limiter *l, enum limit limit, const void *id, size_t len, int64_t now,
                 int64_t *ret_wait);

/* That this was seen, for a time in ns; whether it was.  It may be forgotten earlier. */
void limiter_remember(struct limiter *l, const void *id, size_t len, int64_t now, int64_t ns);
bool limiter_remembers(struct limiter *l, const void *id, size_t len, int64_t now);

#endif
