/* base/clock — time as a parameter, so that tests can set it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS  INT64_C(1000000)

struct clock {
    int64_t (*now)(void *self); /* nanoseconds since 1970-01-01T00:00:00Z */
    void *self;
};

/* The machine's CLOCK_REALTIME. */
extern const struct clock clock_system;

static inline int64_t clock_now(const struct clock *c)
{
    return c->now(c->self);
}

/* CLOCK_MONOTONIC in nanoseconds: for timeouts and durations, never stored. */
int64_t clock_monotonic(void);

/* "2026-01-31T08:09:10.123456789Z" (RFC 3339, UTC).  The buffer form takes CLOCK_TEXT bytes. */
#define CLOCK_TEXT 40
void clock_format(int64_t ns, char text[CLOCK_TEXT]);
/* The same in whole seconds: "2026-01-31T08:09:10Z".  Returns text. */
const char *clock_format_seconds(int64_t ns, char text[CLOCK_TEXT]);

/* The reverse: "2026-01-31T08:09:10", with a fraction and a zone ("Z", "+01:00") where there are
 * any; without a zone it is UTC.  1970 to 2261.  False and *ret untouched: it is something else. */
bool clock_parse(const char *text, int64_t *ret);

#endif
