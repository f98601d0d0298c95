/* dockerfile/ignore_pattern — see the header. */
#include "dockerfile/ignore_pattern.h"

#include <string.h>

#include "dockerfile/regex_item.h"

/* ---- what is a pattern at all ---- */

static void skip(struct span *p, size_t n)
{
    p->s += n;
    p->len -= n;
}

/* One character of a class; no class ends right behind it. */
static bool skip_class_rune(struct span *p)
{
    uint32_t rune;
    size_t n;

    if (p->len == 0 || *p->s == '-' || *p->s == ']')
        return false;
    if (*p->s == '\\')
        skip(p, 1);
    if (p->len == 0)
        return false;
    n = rune_decode_any(p->s, p->len, &rune);
    if (rune == 0xfffd && n == 1)
        return false;
    skip(p, n);
    return p->len > 0;
}

static bool skip_class(struct span *p)
{
    skip(p, 1);
    if (p->len > 0 && *p->s == '^')
        skip(p, 1);
    do {
        if (!skip_class_rune(p))
            return false;
        if (*p->s != '-')
            continue;
        skip(p, 1);
        if (!skip_class_rune(p))
            return false;
    } while (*p->s != ']');
    skip(p, 1);
    return true;
}

static bool is_pattern(struct span p)
{
    while (p.len > 0) {
        if (*p.s == '[') {
            if (!skip_class(&p))
                return false;
            continue;
        }
        if (*p.s == '\\')
            skip(&p, 1);
        if (p.len == 0)
            return false;
        skip(&p, 1);
    }
    return true;
}

/* ---- translation ---- */

static bool take(struct span *p, char c)
{
    if (p->len == 0 || *p->s != c)
        return false;
    skip(p, 1);
    return true;
}

/* Behind one star; *kind is of what came before it. */
static void translate_star(struct span *p, bool first, enum ignore_pattern_kind *kind,
                           struct buf *out)
{
    if (!take(p, '*')) {
        buf_adds(out, "[^/]*");
        *kind = IGNORE_REGEX;
        return;
    }
    (void)take(p, '/');
    if (p->len > 0) {
        buf_adds(out, REGEX_DIRS_TEXT);
        *kind = IGNORE_REGEX;
    } else if (*kind == IGNORE_EXACT) {
        *kind = IGNORE_PREFIX;
    } else {
        buf_adds(out, ".*");
        *kind = IGNORE_REGEX;
    }
    if (first)
        *kind = IGNORE_SUFFIX;
}

static void add_rune(struct span *p, struct buf *out)
{
    uint32_t rune;

    skip(p, rune_decode_any(p->s, p->len, &rune));
    rune_add(out, rune);
}

static void translate_one(struct span *p, enum ignore_pattern_kind *kind, struct buf *out)
{
    char c = *p->s;

    if (take(p, '?')) {
        buf_adds(out, "[^/]");
        *kind = IGNORE_REGEX;
    } else if (strchr(".+()|{}$", c) && c) {
        buf_addc(out, '\\');
        add_rune(p, out);
    } else if (take(p, '\\')) {
        buf_addc(out, '\\');
        if (p->len > 0)
            add_rune(p, out);
        *kind = IGNORE_REGEX;
    } else {
        if (c == '[' || c == ']')
            *kind = IGNORE_REGEX;
        add_rune(p, out);
    }
}

void ignore_pattern_translate(struct span text, enum ignore_pattern_kind *ret_kind,
                              struct buf *ret_regex)
{
    const char *start = text.s;

    *ret_kind = IGNORE_EXACT;
    buf_addc(ret_regex, '^');
    while (text.len > 0) {
        bool first = text.s == start;

        if (take(&text, '*'))
            translate_star(&text, first, ret_kind, ret_regex);
        else
            translate_one(&text, ret_kind, ret_regex);
    }
    buf_addc(ret_regex, '$');
}

/* ---- one pattern ---- */

static struct span without(struct span text, size_t start, size_t end)
{
    return (struct span){text.s + start, text.len - start - end};
}

/* What stands before the first wildcard.  All of an exact pattern, with a slash behind it. */
static struct span fixed_part(struct span text, enum ignore_pattern_kind kind, struct arena *arena)
{
    size_t n = 0;
    char *s;

    while (n < text.len && !memchr("*?[\\", text.s[n], 4))
        n++;
    if (kind != IGNORE_EXACT)
        return (struct span){text.s, n};
    s = arena_string(arena, text.s, text.len + 1);
    if (!s)
        return (struct span){"", 0};
    s[text.len] = '/';
    return (struct span){s, text.len + 1};
}

int ignore_pattern_compile(struct span text, struct arena *arena, struct ignore_pattern *ret,
                           struct error *err)
{
    /* Two stars become six characters, and a byte that is no character three. */
    CLEANUP(buf_release) struct buf regex = BUF_INIT(8 * text.len + 8);

    if (!is_pattern(text))
        return error_set(err, ERR_INPUT, "syntax error in pattern");
    ignore_pattern_translate(text, &ret->kind, &regex);
    if (buf_check(&regex, "the pattern", err) < 0)
        return -1;
    ret->fixed = fixed_part(text, ret->kind, arena);
    ret->text = text;
    if (ret->kind == IGNORE_PREFIX)
        ret->text = without(text, 0, 2);
    else if (ret->kind == IGNORE_SUFFIX)
        ret->text = without(text, 2, 0);
    if (ret->kind != IGNORE_REGEX)
        return 0;
    return path_regex_compile((struct span){buf_str(&regex), regex.len}, arena, &ret->regex, err);
}

static bool starts(struct span path, struct span with)
{
    return path.len >= with.len && memcmp(path.s, with.s, with.len) == 0;
}

/* What begins with any directories and a slash may have none of them. */
static bool ends(struct span path, struct span with)
{
    if (path.len + 1 == with.len && *with.s == '/')
        skip(&with, 1);
    return path.len >= with.len && memcmp(path.s + (path.len - with.len), with.s, with.len) == 0;
}

static bool one_ends(struct span path, struct span with)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.s[i] == '/' && ends((struct span){path.s, i}, with))
            return true;
    return ends(path, with);
}

bool ignore_pattern_matches(const struct ignore_pattern *p, struct span path)
{
    switch (p->kind) {
    case IGNORE_EXACT:
        return starts(path, p->text) && (path.len == p->text.len || path.s[p->text.len] == '/');
    case IGNORE_PREFIX:
        return starts(path, p->text);
    case IGNORE_SUFFIX:
        return one_ends(path, p->text);
    case IGNORE_REGEX:
        return path_regex_matches(&p->regex, path);
    }
    return false;
}
