/* base/retry — see the header. */
#include "base/retry.h"

#include <poll.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

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

/* Milliseconds (RFC 9110, 10.2.3: seconds, or a date); 0 when it asks for none. */
static int64_t retry_after(const struct http_response *resp)
{
    const char *said = http_header(resp, "retry-after");
    struct tm date = {.tm_sec = 0};
    uint64_t seconds = 0;
    int64_t wait = 0;

    if (!said)
        return 0;
    if (text_to_u64(said, UINT32_MAX, &seconds))
        wait = (int64_t)seconds * 1000;
    else if (strptime(said, "%a, %d %b %Y %H:%M:%S GMT", &date))
        wait = (timegm(&date) - time(NULL)) * 1000;
    return wait < 0 ? 0 : wait > RETRY_MS_MAX ? RETRY_MS_MAX : wait;
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
    int64_t asked = retry_after(resp);

    if (++t->made >= (t->max ? t->max : TRIES))
        return false;
    for (int i = 1; i < t->made && wait < WAIT_MS_MAX; i++)
        wait *= 2;
    wait = wait < WAIT_MS_MAX ? wait : WAIT_MS_MAX;
    return wait_for(t->cancel, wait > asked ? wait : asked);
}
