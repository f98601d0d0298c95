/* base/clock — see the header. */
#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int64_t system_now(void *self)
{
    (void)self;
    return read_clock(CLOCK_REALTIME);
}

const struct clock clock_system = {.now = system_now};

int64_t clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Returns the nanoseconds behind it. */
static long format_seconds(int64_t ns, char date[24])
{
    time_t secs = (time_t)(ns / NS_PER_SEC);
    long frac = (long)(ns % NS_PER_SEC);
    struct tm tm;

    if (frac < 0) {
        secs -= 1;
        frac += (long)NS_PER_SEC;
    }
    gmtime_r(&secs, &tm);
    if (strftime(date, 24, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        date[0] = '\0';
    return frac;
}

void clock_format(int64_t ns, char text[CLOCK_TEXT])
{
    char date[24];
    const long frac = format_seconds(ns, date);

    (void)snprintf(text, CLOCK_TEXT, "%s.%09ldZ", date, frac);
}

const char *clock_format_seconds(int64_t ns, char text[CLOCK_TEXT])
{
    char date[24];

    (void)format_seconds(ns, date);
    (void)snprintf(text, CLOCK_TEXT, "%sZ", date);
    return text;
}

/* ---- reading ---- */

/* n digits, and what has to follow them ('\0': anything). */
static bool take(const char **at, int n, char then, int min, int max, int *ret)
{
    int value = 0;

    while (n-- > 0) {
        if (!isdigit((unsigned char)**at))
            return false;
        value = value * 10 + (*(*at)++ - '0');
    }
    if (value < min || value > max || (then && *(*at)++ != then))
        return false;
    *ret = value;
    return true;
}

/* Digits beyond a nanosecond count for nothing. */
static bool take_fraction(const char **at, int64_t *ns)
{
    int64_t unit = NS_PER_SEC;

    if (**at != '.')
        return true;
    for (++*at; isdigit((unsigned char)**at); ++*at) {
        unit /= 10;
        *ns += unit * (**at - '0');
    }
    return (*at)[-1] != '.';
}

/* Seconds east of UTC. */
static bool take_zone(const char **at, int64_t *ret)
{
    const char sign = **at;
    int hours, minutes;

    *ret = 0;
    if (sign == 'Z')
        ++*at;
    if (sign != '+' && sign != '-')
        return true;
    ++*at;
    if (!take(at, 2, ':', 0, 23, &hours) || !take(at, 2, '\0', 0, 59, &minutes))
        return false;
    *ret = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

bool clock_parse(const char *text, int64_t *ret)
{
    struct tm tm = {.tm_isdst = 0}, check;
    int64_t ns = 0, zone;
    time_t secs;

    if (!take(&text, 4, '-', 1970, 2261, &tm.tm_year) || !take(&text, 2, '-', 1, 12, &tm.tm_mon) ||
        !take(&text, 2, 'T', 1, 31, &tm.tm_mday) || !take(&text, 2, ':', 0, 23, &tm.tm_hour) ||
        !take(&text, 2, ':', 0, 59, &tm.tm_min) || !take(&text, 2, '\0', 0, 59, &tm.tm_sec) ||
        !take_fraction(&text, &ns) || !take_zone(&text, &zone) || *text)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    check = tm;
    secs = timegm(&check);
    if (check.tm_mday != tm.tm_mday) /* the 31st of a month of 30 days */
        return false;
    *ret = (secs - zone) * NS_PER_SEC + ns;
    return true;
}
