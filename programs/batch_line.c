/* programs/batch_line — see the header.
 *
 * A NUL is put in the place of each lone surrogate, which the library lets pass, and the strings of
 * the request are gone through once it is read. */
#include "programs/batch_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The four digits behind "\u", -1 when they are none. */
static long unit_at(const char *s, const char *end)
{
    long unit = 0;

    if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(s[i]);

        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high(long unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(long unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* True when there was one. */
static bool blank_lone_surrogates(char *line, size_t len)
{
    char *end = line + len;
    bool found = false;

    for (char *p = line; p < end; p++) {
        long unit = unit_at(p, end);

        if (*p != '\\')
            continue;
        if (is_high(unit) && is_low(unit_at(p + 6, end))) {
            p += 11;
        } else if (is_high(unit) || is_low(unit)) {
            memcpy(p + 2, "0000", 4);
            p += 5;
            found = true;
        } else {
            p++; /* whatever is escaped */
        }
    }
    return found;
}

/* A string of the library's may hold no such byte, so it is written where the string lies. */
static void spoil_nuls(json_t *request)
{
    const char *key;
    json_t *value;

    json_object_foreach (request, key, value) {
        char *s = (char *)json_string_value(value);
        size_t len = json_string_length(value);

        for (size_t i = 0; s && i < len; i++)
            if (!s[i])
                s[i] = (char)0xff;
    }
}

static void print(json_t *result)
{
    if (!result || json_dumpf(result, stdout, JSON_COMPACT) < 0)
        fputs("{\"error\":\"no answer\"}", stdout);
    putchar('\n');
}

int batch_lines(json_t *(*answer)(json_t *request))
{
    CLEANUP_FREE char *line = NULL;
    size_t cap = 0;
    ssize_t len;

    while ((len = getline(&line, &cap, stdin)) > 0) {
        bool spoilt = blank_lone_surrogates(line, (size_t)len);
        json_t *request = json_loadb(line, (size_t)len, JSON_ALLOW_NUL, NULL);
        json_t *result;

        if (spoilt)
            spoil_nuls(request);
        result = answer(request);
        print(result);
        json_decref(result);
        json_decref(request);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
