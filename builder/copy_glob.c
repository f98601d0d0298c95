/* builder/copy_glob — a pattern becomes a row of items, and a path is matched by keeping the set of
 * all the places in that row where one could stand: no going back, so no pattern is slow.
 *
 * As in Go, "?" and classes take a whole character of UTF-8, and a class may match a slash. */
#include "builder/copy_glob.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT 0xfffd   /* what Go makes of a byte that is no UTF-8 */
#define STRAY       0x110000 /* plus the byte: so that literals are told apart */

enum item_kind { ITEM_LITERAL, ITEM_ANY, ITEM_CLASS, ITEM_STAR, ITEM_STARS, ITEM_DIRECTORIES };

struct item {
    enum item_kind kind;
    uint32_t c;         /* LITERAL */
    bool negated;       /* CLASS */
    uint32_t ranges, n; /* CLASS: in the glob's ranges */
};

struct range {
    uint32_t low, high;
};

struct copy_glob {
    struct item *items;
    size_t n;
    struct range *ranges;
    size_t n_ranges;
};

/* ---- characters ---- */

static uint32_t tail(const char *s, int n, uint32_t c, uint32_t least, size_t *ret_len)
{
    for (int i = 1; i <= n; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80) {
            *ret_len = 1;
            return STRAY + (unsigned char)*s;
        }
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    }
    if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        *ret_len = 1;
        return STRAY + (unsigned char)*s;
    }
    *ret_len = (size_t)n + 1;
    return c;
}

/* The character at s, which is not the end. */
static uint32_t character(const char *s, size_t *ret_len)
{
    unsigned char c = (unsigned char)*s;

    *ret_len = 1;
    if (c < 0x80)
        return c;
    if (c >= 0xc2 && c < 0xe0)
        return tail(s, 1, c & 0x1f, 0x80, ret_len);
    if (c >= 0xe0 && c < 0xf0)
        return tail(s, 2, c & 0x0f, 0x800, ret_len);
    if (c >= 0xf0 && c < 0xf5)
        return tail(s, 3, c & 0x07, 0x10000, ret_len);
    return STRAY + c;
}

/* ---- reading a pattern ---- */

struct reading {
    struct copy_glob *g;
    const char *s;
    bool any_depth;
};

static struct item *add_item(struct reading *r, enum item_kind kind)
{
    struct item *item = &r->g->items[r->g->n++];

    item->kind = kind;
    return item;
}

/* A character inside brackets. */
static bool read_bound(struct reading *r, uint32_t *ret)
{
    size_t len;

    if (*r->s == '\0' || *r->s == '-' || *r->s == ']')
        return false;
    if (*r->s == '\\' && *++r->s == '\0')
        return false;
    *ret = character(r->s, &len);
    r->s += len;
    return *ret < STRAY && *r->s != '\0';
}

static bool read_class(struct reading *r)
{
    struct item *item = add_item(r, ITEM_CLASS);

    item->ranges = (uint32_t)r->g->n_ranges;
    r->s++;
    item->negated = *r->s == '^';
    r->s += item->negated;
    while (item->n == 0 || *r->s != ']') {
        struct range *range = &r->g->ranges[r->g->n_ranges];

        if (!read_bound(r, &range->low))
            return false;
        range->high = range->low;
        if (*r->s == '-') {
            r->s++;
            if (!read_bound(r, &range->high))
                return false;
        }
        r->g->n_ranges++;
        item->n++;
    }
    r->s++;
    return true;
}

/* Go takes stars in a row for one; a "**" that parts no names lets any characters through. */
static void read_stars(struct reading *r)
{
    size_t n = strspn(r->s, "*");

    r->s += n;
    if (n == 1 || !r->any_depth) {
        add_item(r, ITEM_STAR);
    } else if (*r->s == '/') {
        r->s++;
        add_item(r, ITEM_DIRECTORIES);
    } else {
        add_item(r, ITEM_STARS);
    }
}

static bool read_item(struct reading *r)
{
    size_t len;

    switch (*r->s) {
    case '*':
        read_stars(r);
        return true;
    case '?':
        r->s++;
        add_item(r, ITEM_ANY);
        return true;
    case '[':
        return read_class(r);
    case '\\':
        if (*++r->s == '\0')
            return false;
        break;
    default:
        break;
    }
    add_item(r, ITEM_LITERAL)->c = character(r->s, &len);
    r->s += len;
    return true;
}

int copy_glob_compile(const char *pattern, bool any_depth, struct copy_glob **ret,
                      struct error *err)
{
    CLEANUP(copy_glob_freep) struct copy_glob *g = calloc(1, sizeof(*g));
    struct reading r = {.g = g, .s = pattern, .any_depth = any_depth};
    size_t len = strlen(pattern);

    if (len > COPY_GLOB_MAX)
        return error_set(err, ERR_LIMIT, "a source's pattern is longer than %d bytes",
                         COPY_GLOB_MAX);
    if (!g || !(g->items = calloc(len + 1, sizeof(*g->items))) ||
        !(g->ranges = calloc(len + 1, sizeof(*g->ranges))))
        return error_set(err, ERR_SYSTEM, "read a source's pattern: out of memory");
    while (*r.s)
        if (!read_item(&r))
            return error_set(err, ERR_INPUT, "\"%.200s\": syntax error in pattern", pattern);
    *ret = TAKE(g);
    return 0;
}

void copy_glob_free(struct copy_glob *g)
{
    if (!g)
        return;
    free(g->items);
    free(g->ranges);
    free(g);
}

bool copy_glob_is_wild(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\')
            i++;
        else if (strchr("*?[", text[i]))
            return true;
    }
    return false;
}

/* ---- matching ---- */

/* A byte for each place one can stand at: [i] before item i, with all that came before matched; [n]
 * behind the last. */
typedef unsigned char places[COPY_GLOB_MAX + 1];

#define HERE   1
#define INSIDE 2 /* an item of directories: it can be left behind a slash only */

/* Stars may match nothing, and so may directories. */
static void skip_stars(const struct copy_glob *g, places at, bool name_begins)
{
    for (size_t i = 0; i < g->n; i++) {
        enum item_kind kind = g->items[i].kind;

        if (((at[i] & HERE) && kind >= ITEM_STAR) || ((at[i] & INSIDE) && name_begins))
            at[i + 1] |= HERE;
    }
}

static bool is_in_class(const struct copy_glob *g, const struct item *item, uint32_t c)
{
    bool in = false;

    c = c >= STRAY ? REPLACEMENT : c;
    for (uint32_t i = 0; i < item->n && !in; i++) {
        const struct range *range = &g->ranges[item->ranges + i];

        in = c >= range->low && c <= range->high;
    }
    return in != item->negated;
}

/* Where one stands after c, who stood before item i. */
static void step(const struct copy_glob *g, size_t i, uint32_t c, places next)
{
    const struct item *item = &g->items[i];

    switch (item->kind) {
    case ITEM_LITERAL:
        next[i + 1] |= item->c == c ? HERE : 0;
        break;
    case ITEM_ANY:
        next[i + 1] |= c != '/' ? HERE : 0;
        break;
    case ITEM_CLASS:
        next[i + 1] |= is_in_class(g, item, c) ? HERE : 0;
        break;
    case ITEM_STAR:
        next[i] |= c != '/' ? HERE : 0;
        break;
    case ITEM_STARS:
        next[i] |= HERE;
        break;
    case ITEM_DIRECTORIES:
        next[i] |= INSIDE;
        break;
    }
}

/* Goes on from at by one character; false when there is nowhere to stand before an item any more.
 */
static bool advance(const struct copy_glob *g, places at, uint32_t c)
{
    places next;
    bool any = false;

    memset(next, 0, g->n + 1);
    for (size_t i = 0; i < g->n; i++)
        if (at[i])
            step(g, i, c, next);
    skip_stars(g, next, c == '/');
    memcpy(at, next, g->n + 1);
    for (size_t i = 0; i < g->n && !any; i++)
        any = at[i];
    return any;
}

/* The places after that text; false when there is none before an item. */
static bool run(const struct copy_glob *g, const char *text, places at)
{
    bool any = g->n > 0;

    memset(at, 0, g->n + 1);
    at[0] = HERE;
    skip_stars(g, at, true);
    while (*text) {
        size_t len;

        if (!any) {
            at[g->n] = 0;
            return false;
        }
        any = advance(g, at, character(text, &len));
        text += len;
    }
    return any;
}

bool copy_glob_matches(const struct copy_glob *g, const char *path)
{
    places at;

    (void)run(g, path, at);
    return at[g->n];
}

bool copy_glob_leads_below(const struct copy_glob *g, const char *directory)
{
    places at;

    return run(g, directory, at) && advance(g, at, '/');
}
