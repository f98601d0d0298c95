/* dockerfile/generate/semver — after the grammar of node-semver: each comparator becomes an
 * interval, those beside each other are intersected. */
#include "dockerfile/generate/semver.h"

#include <string.h>

#define DIGITS     "0123456789"
#define IDENTIFIER DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-"
#define BLANKS     " \t\r\n"

static const struct semver lowest = {{0, 0, 0}};
static const struct semver beyond = {{SEMVER_NEWEST + 1, 0, 0}};

/* A version whose last parts may be left out, or x. */
struct partial {
    struct semver version;
    int n;           /* parts before the first that is open */
    bool prerelease; /* it comes before the version it names */
};

int semver_compare(const struct semver *a, const struct semver *b)
{
    for (size_t i = 0; i < 3; i++)
        if (a->v[i] != b->v[i])
            return a->v[i] < b->v[i] ? -1 : 1;
    return 0;
}

static bool read_number(const char **p, unsigned *ret)
{
    size_t n = strspn(*p, DIGITS);
    unsigned value = 0;

    if (n == 0 || n > 6)
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (unsigned)((*p)[i] - '0');
    *p += n;
    *ret = value;
    return true;
}

/* "-rc.1" and "+build". */
static bool read_suffix(const char **p, struct partial *ret)
{
    for (const char *mark = "-+"; *mark; mark++) {
        size_t n;

        if (**p != *mark)
            continue;
        n = strspn(*p + 1, IDENTIFIER);
        if (n == 0)
            return false;
        ret->prerelease = ret->prerelease || *mark == '-';
        *p += 1 + n;
    }
    return true;
}

static bool read_partial(const char **p, struct partial *ret)
{
    bool open = false;

    *ret = (struct partial){.n = 0};
    *p += **p == 'v' || **p == 'V';
    for (int i = 0; i < 3; i++) {
        if (**p && strchr("xX*", **p)) {
            open = true;
            (*p)++;
        } else if (!read_number(p, &ret->version.v[i])) {
            return false;
        } else if (open) {
            ret->version.v[i] = 0; /* "1.x.3" is "1.x" */
        } else {
            ret->n++;
        }
        if (**p != '.')
            break;
        if (i == 2)
            return false;
        (*p)++;
    }
    return read_suffix(p, ret);
}

bool semver_parse(const char *text, struct semver *ret, int *ret_parts)
{
    struct partial partial;

    if (strlen(text) > SEMVER_TEXT_MAX || !read_partial(&text, &partial) || *text ||
        partial.n == 0 || (partial.prerelease && partial.n < 3))
        return false;
    *ret = partial.version;
    *ret_parts = partial.n;
    return true;
}

/* ---- ranges ---- */

/* The first version after all that begin with the first n parts of it. */
static struct semver after(const struct partial *p, int n)
{
    struct semver next = lowest;

    if (n == 0)
        return beyond;
    for (int i = 0; i < n; i++)
        next.v[i] = p->version.v[i];
    next.v[n - 1]++;
    return next;
}

/* What ^ keeps: all up to the first part that is not 0. */
static int caret_parts(const struct partial *p)
{
    int n = 1;

    while (n < p->n && p->version.v[n - 1] == 0)
        n++;
    return p->n == 0 ? 0 : n;
}

static void intersect(struct semver_interval *a, struct semver low, struct semver high)
{
    if (semver_compare(&low, &a->low) > 0)
        a->low = low;
    if (semver_compare(&high, &a->high) < 0)
        a->high = high;
}

static const char *const operators[] = {"<=", ">=", "~>", "<", ">", "=", "^", "~", ""};

static void apply(const char *operator, const struct partial * p, struct semver_interval *ret)
{
    /* Of a prerelease the version itself comes after it. */
    struct semver next = p->prerelease ? p->version : after(p, p->n);

    if (strcmp(operator, "<") == 0)
        intersect(ret, lowest, p->n ? p->version : lowest);
    else if (strcmp(operator, "<=") == 0)
        intersect(ret, lowest, next);
    else if (strcmp(operator, ">=") == 0)
        intersect(ret, p->version, beyond);
    else if (strcmp(operator, ">") == 0)
        intersect(ret, next, beyond);
    else if (strcmp(operator, "^") == 0)
        intersect(ret, p->version, after(p, caret_parts(p)));
    else if (*operator== '~')
        intersect(ret, p->version, after(p, p->n < 2 ? p->n : 2));
    else
        intersect(ret, p->version, after(p, p->n));
}

/* One comparator, or "a - b". */
static bool read_comparator(const char **p, struct semver_interval *ret)
{
    struct partial first, last;
    size_t i = 0, blanks;

    while (strncmp(*p, operators[i], strlen(operators[i])) != 0)
        i++;
    *p += strlen(operators[i]);
    *p += strspn(*p, BLANKS);
    if (!read_partial(p, &first))
        return false;
    blanks = strspn(*p, BLANKS);
    if (*operators[i] || blanks == 0 || (*p)[blanks] != '-') {
        apply(operators[i], &first, ret);
        return **p == '\0' || **p == '|' || blanks > 0;
    }
    *p += blanks + 1;
    if (!strspn(*p, BLANKS))
        return false;
    *p += strspn(*p, BLANKS);
    if (!read_partial(p, &last))
        return false;
    apply(">=", &first, ret);
    apply("<=", &last, ret);
    return true;
}

/* The comparators up to "||" or the end: all of them hold.  None: any version. */
static bool read_alternative(const char **p, struct semver_interval *ret)
{
    *ret = (struct semver_interval){lowest, beyond};
    for (*p += strspn(*p, BLANKS); **p && **p != '|'; *p += strspn(*p, BLANKS))
        if (!read_comparator(p, ret))
            return false;
    return true;
}

bool semver_range_parse(const char *text, struct semver_range *ret)
{
    struct semver_range range = {.n = 0};

    if (strlen(text) > SEMVER_TEXT_MAX)
        return false;
    for (size_t i = 0; i < SEMVER_ALTERNATIVES_MAX; i++) {
        struct semver_interval *next = &range.v[range.n];

        if (!read_alternative(&text, next))
            return false;
        range.n += semver_compare(&next->low, &next->high) < 0;
        if (*text == '\0') {
            *ret = range;
            return true;
        }
        if (strncmp(text, "||", 2) != 0)
            return false;
        text += 2;
    }
    return false;
}

bool semver_range_allows(const struct semver_range *r, const struct semver *version)
{
    for (size_t i = 0; i < r->n; i++)
        if (semver_compare(&r->v[i].low, version) <= 0 &&
            semver_compare(version, &r->v[i].high) < 0)
            return true;
    return false;
}
