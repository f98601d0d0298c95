/* dockerfile/duration — a sign, then numbers with units, fractions allowed; "0" needs no unit. */
#include "dockerfile/duration.h"

#include <stdbool.h>
#include <string.h>

#include "dockerfile/quote.h"

struct unit {
    const char *name;
    int64_t ns;
};

static const struct unit units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* micro sign */
    {"\xce\xbcs", 1000}, /* Greek mu */
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60 * INT64_C(1000000000)},
    {"h", 3600 * INT64_C(1000000000)},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t unit_of(const char *s, size_t len)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strlen(units[i].name) == len && memcmp(units[i].name, s, len) == 0)
            return units[i].ns;
    return 0;
}

/* Adds digits to *value and returns what follows; NULL when it grows too large. */
static const char *whole_number(const char *s, int64_t *value)
{
    for (; is_digit(*s); s++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, *s - '0', value))
            return NULL;
    return s;
}

/* One number with its unit is added to *total.  False: not of the form, or too large. */
static bool add_term(const char **text, int64_t *total)
{
    int64_t value = 0, unit, fraction = 0, scale = 1;
    const char *s = whole_number(*text, &value);
    bool digits = s && s > *text;
    size_t len;

    if (s && *s == '.') {
        for (s++; is_digit(*s); s++) {
            digits = true;
            if (scale < INT64_C(1000000000)) { /* finer than 1 ns in 1 s is lost */
                fraction = fraction * 10 + (*s - '0');
                scale *= 10;
            }
        }
    }
    if (!s || !digits)
        return false;
    for (len = 0; s[len] && s[len] != '.' && !is_digit(s[len]);)
        len++;
    unit = unit_of(s, len);
    *text = s + len;
    if (unit == 0 || __builtin_mul_overflow(value, unit, &value))
        return false;
    fraction = (int64_t)((double)fraction * ((double)unit / (double)scale));
    return !__builtin_add_overflow(value, fraction, &value) &&
           !__builtin_add_overflow(*total, value, total);
}

int duration_parse(const char *text, int64_t *ret_ns, struct error *err)
{
    const char *s = text + (*text == '-' || *text == '+');
    char quoted[QUOTE_SIZE];
    int64_t total = 0;

    if (strcmp(s, "0") == 0) {
        *ret_ns = 0;
        return 0;
    }
    if (*s && s[strspn(s, "0123456789.")] == '\0' && *s != '.')
        return error_set(err, ERR_INPUT, "time: missing unit in duration %s",
                         quote_short(text, quoted));
    do {
        if (!add_term(&s, &total))
            return error_set(err, ERR_INPUT, "time: invalid duration %s",
                             quote_short(text, quoted));
    } while (*s);
    *ret_ns = *text == '-' ? -total : total;
    return 0;
}

/* n / unit as a decimal number without zeros at its end. */
static void add_decimal(struct buf *out, uint64_t n, uint64_t unit)
{
    uint64_t rest = n % unit;

    buf_addf(out, "%llu", (unsigned long long)(n / unit));
    if (rest)
        buf_addc(out, '.');
    while (rest) {
        unit /= 10;
        buf_addc(out, (char)('0' + rest / unit));
        rest %= unit;
    }
}

void duration_add(struct buf *out, int64_t ns)
{
    const uint64_t second = 1000000000;
    uint64_t n = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    uint64_t minutes = n / second / 60;

    if (ns < 0)
        buf_addc(out, '-');
    if (n > 0 && n < second) {
        bool micro = n >= 1000, milli = n >= 1000000;

        add_decimal(out, n, milli ? 1000000 : micro ? 1000 : 1);
        buf_adds(out, milli ? "ms" : micro ? "\xc2\xb5s" : "ns");
        return;
    }
    if (minutes >= 60)
        buf_addf(out, "%lluh", (unsigned long long)(minutes / 60));
    if (minutes > 0)
        buf_addf(out, "%llum", (unsigned long long)(minutes % 60));
    add_decimal(out, n - minutes * 60 * second, second);
    buf_addc(out, 's');
}
