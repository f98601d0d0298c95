/* base/retry — see the header. */
#include "base/retry.h"

#include <poll.h>

#include "base/clock.h"

#define TRIES        6
#define WAIT_MS      500
#define WAIT_MS_MAX  30000
#define RETRY_MS_MAX 60000 /* of what a Retry-After asks for */

bool http_may_recover(const struct http_response *resp, const struct error *err)
{
    if (resp->status == 0)
        return err->kind == ERR_REMOTE;
    return resp->status == 408 || resp->status == 425 || resp->status == 429 || resp->status >= 500;
}

/* False when it was cancelled meanwhile. */
static bool wait_for(const struct cancel *cancel, int64_t ms)
{
    struct pollfd p = {.fd = cancel ? cancel->fd : -1, .events = POLLIN};
    int64_t end = clock_monotonic() + ms * NS_PER_MS;

    while (ms > 0) {
        int n = poll(&p, 1, (int)ms);

        if (n > 0)
            return false;
        ms = (end - clock_monotonic() + NS_PER_MS - 1) / NS_PER_MS;
    }
    return !cancel || !cancel_is_thrown(cancel);
}

bool http_try_again(struct http_tries *t, const struct http_response *resp)
{
    int64_t wait = t->wait_ms ? t->wait_ms : WAIT_MS;
    int64_t asked = http_retry_after(resp);

    if (++t->made >= (t->max ? t->max : TRIES))
        return false;
    for (int i = 1; i < t->made && wait < WAIT_MS_MAX; i++)
        wait *= 2;
    wait = wait < WAIT_MS_MAX ? wait : WAIT_MS_MAX;
    asked = asked < RETRY_MS_MAX ? asked : RETRY_MS_MAX;
    return wait_for(t->cancel, wait > asked ? wait : asked);
}
