/* base/text — see the header. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at s, 0 if malformed (RFC 3629, section 4). */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
    size_t n;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

/* Bytes of ASCII at s, rounded down to whole words: most text is nothing else. */
static size_t ascii_words(const unsigned char *s, size_t len)
{
    const uint64_t high_bits = UINT64_C(0x8080808080808080);
    uint64_t word;
    size_t n = 0;

    for (; len - n >= sizeof(word); n += sizeof(word)) {
        memcpy(&word, s + n, sizeof(word));
        if (word & high_bits)
            break;
    }
    return n;
}

bool text_is_utf8(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;

    while (len > 0) {
        size_t n = ascii_words(p, len);

        if (n == 0)
            n = utf8_sequence(p, len);

        if (n == 0)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

size_t text_utf8_length(const char *s, size_t len)
{
    return len ? utf8_sequence((const unsigned char *)s, len) : 0;
}

bool text_has_control(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return true;
    return false;
}

bool text_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool text_is_among(const char *s, const char *const *words)
{
    while (*words && (**words != *s || strcmp(s, *words) != 0))
        words++;
    return *words != NULL;
}

bool text_to_u64(const char *s, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value) || value > max)
            return false;
    }
    *ret = value;
    return true;
}

void text_size(uint64_t bytes, char text[TEXT_SIZE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(text, TEXT_SIZE, value < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", value,
                   units[unit]);
}

void text_exact_size(uint64_t bytes, char text[TEXT_SIZE])
{
    static const struct {
        uint64_t factor;
        const char *name;
    } units[] = {
        {UINT64_C(1) << 40, "TiB"},
        {UINT64_C(1000000000000), "TB"},
        {UINT64_C(1) << 30, "GiB"},
        {1000000000, "GB"},
        {UINT64_C(1) << 20, "MiB"},
        {1000000, "MB"},
        {UINT64_C(1) << 10, "KiB"},
        {1000, "kB"},
        {1, "B"},
    };
    size_t i = 0;

    while (units[i].factor > 1 && (bytes == 0 || bytes % units[i].factor != 0))
        i++;
    (void)snprintf(text, TEXT_SIZE, "%llu %s", (unsigned long long)(bytes / units[i].factor),
                   units[i].name);
}

/* ---- names in messages ---- */

/* Bytes of the printable UTF-8 character at s, 0 when there is none. */
static size_t printable(const char *s, size_t len)
{
    if (text_has_control(s, 1) || *s == '"' || *s == '\\')
        return 0;
    return text_utf8_length(s, len);
}

struct text_shown text_show(const char *name)
{
    struct text_shown shown;
    char *const room = shown.text + sizeof(shown.text) - sizeof("\\xNN...\"");
    size_t len = strlen(name);
    char *p = shown.text;

    *p++ = '"';
    while (len > 0 && p < room - 4) {
        size_t n = printable(name, len);

        if (n > 0)
            p = mempcpy(p, name, n);
        else
            p += snprintf(p, sizeof("\\xNN"), "\\x%02x", (unsigned char)*name);
        n = n > 0 ? n : 1;
        name += n;
        len -= n;
    }
    (void)stpncpy(p, len > 0 ? "...\"" : "\"", sizeof("...\""));
    return shown;
}
