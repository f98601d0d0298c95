/* base/retry — whether an HTTP exchange is worth another try, and the wait before it. */
#ifndef BASE_RETRY_H
#define BASE_RETRY_H

#include "base/http.h"

struct http_tries {
    int max;                     /* in all; 0: 6 */
    int64_t wait_ms;             /* before the second, then doubled up to 30 s; 0: 500 */
    const struct cancel *cancel; /* ends the wait; NULL: none */
    int made;                    /* without progress; whoever sees some sets it to 0 */
};

/* Whether the exchange that came out so may go better next time: resp->status is 0 when there was
 * no answer, and err then says why. */
bool http_may_recover(const struct http_response *resp, const struct error *err);

/* Counts a failed try, and waits for the next, at least as long as a Retry-After of up to a minute
 * asks: false when there is to be none. */
bool http_try_again(struct http_tries *t, const struct http_response *resp);

#endif
