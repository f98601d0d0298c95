/* dockerfile/regex_compile — reads an expression as Go's regexp/syntax does with its Perl flags. */
#include <string.h>

#include "dockerfile/path_regex.h"
#include "dockerfile/regex_item.h"

#define RUNE_MAX 0x10ffffU

struct compiler {
    struct span rest;
    struct arena *arena;
    struct path_regex out;
    size_t cap;
    struct error *err;
};

struct set {
    struct regex_range *ranges;
    size_t n, cap;
};

/* "AZaz": pairs of first and last, in order. */
struct class
{
    const char *name;
    const char *pairs;
    size_t len; /* of pairs, which may hold a NUL */
};

static int bad(struct compiler *c)
{
    return error_set(c->err, ERR_INPUT, "syntax error in pattern");
}

static int add(struct compiler *c, struct regex_item item)
{
    struct regex_item *items;

    if (c->out.n >= PATH_REGEX_ITEMS_MAX)
        return error_set(c->err, ERR_LIMIT, "the pattern is too long");
    items = arena_grow(c->arena, c->out.items, c->out.n, &c->cap, sizeof(*items));
    if (!items)
        return error_set(c->err, ERR_SYSTEM, "read a pattern: out of memory");
    items[c->out.n++] = item;
    c->out.items = items;
    return 0;
}

static void skip(struct compiler *c, size_t n)
{
    c->rest.s += n;
    c->rest.len -= n;
}

static bool at(const struct compiler *c, const char *text)
{
    size_t n = strlen(text);

    return c->rest.len >= n && memcmp(c->rest.s, text, n) == 0;
}

static uint32_t take_rune(struct compiler *c)
{
    uint32_t rune;

    skip(c, rune_decode_any(c->rest.s, c->rest.len, &rune));
    return rune;
}

/* ---- escapes ---- */

static int digit_of(char ch, int base)
{
    static const char digits[] = "0123456789abcdef";
    const char *p =
        ch ? memchr(digits, ch >= 'A' && ch <= 'F' ? ch | 0x20 : ch, (size_t)base) : NULL;

    return p ? (int)(p - digits) : -1;
}

/* \0 to \0377, and \12 but not \1, which would be a back reference. */
static bool take_octal(struct compiler *c, uint32_t *ret)
{
    size_t n = 0;
    uint32_t value = 0;

    while (n < 3 && n < c->rest.len && digit_of(c->rest.s[n], 8) >= 0)
        value = value * 8 + (uint32_t)digit_of(c->rest.s[n++], 8);
    if (n == 0 || (n == 1 && c->rest.s[0] != '0'))
        return false;
    skip(c, n);
    *ret = value;
    return true;
}

static bool take_hex(struct compiler *c, uint32_t *ret)
{
    int high, low;

    if (c->rest.len < 3)
        return false;
    high = digit_of(c->rest.s[1], 16);
    low = digit_of(c->rest.s[2], 16);
    if (high < 0 || low < 0)
        return false;
    skip(c, 3);
    *ret = (uint32_t)(high * 16 + low);
    return true;
}

/* The character that an escape stands for; the \ is read. */
static int take_escape(struct compiler *c, uint32_t *ret)
{
    static const char names[] = "afnrtv", meant[] = "\a\f\n\r\t\v";
    const char *name;
    unsigned char ch;

    if (c->rest.len == 0)
        return bad(c);
    ch = (unsigned char)*c->rest.s;
    if (ch >= '0' && ch <= '7')
        return take_octal(c, ret) ? 0 : bad(c);
    if (ch == 'x')
        return take_hex(c, ret) ? 0 : bad(c);
    name = memchr(names, ch, sizeof(names) - 1);
    if (!name &&
        (ch >= 0x80 || (ch >= '8' && ch <= '9') || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z')))
        return bad(c);
    *ret = name ? (uint32_t)meant[name - names] : ch;
    skip(c, 1);
    return 0;
}

/* ---- classes ---- */

static int add_range(struct compiler *c, struct set *set, uint32_t first, uint32_t last)
{
    struct regex_range *ranges =
        arena_grow(c->arena, set->ranges, set->n, &set->cap, sizeof(*ranges));

    if (!ranges)
        return error_set(c->err, ERR_SYSTEM, "read a pattern: out of memory");
    ranges[set->n++] = (struct regex_range){first, last};
    set->ranges = ranges;
    return 0;
}

static int add_class(struct compiler *c, struct set *set, const struct class *class, bool negated)
{
    uint32_t next = 0;

    for (size_t i = 0; i < class->len; i += 2) {
        uint32_t first = (unsigned char)class->pairs[i];
        uint32_t last = (unsigned char)class->pairs[i + 1];

        if (!negated && add_range(c, set, first, last) < 0)
            return -1;
        if (negated && first > next && add_range(c, set, next, first - 1) < 0)
            return -1;
        next = last + 1;
    }
    return negated ? add_range(c, set, next, RUNE_MAX) : 0;
}

#define CLASS(name, pairs)                                                                         \
    {                                                                                              \
        name, pairs, sizeof(pairs) - 1                                                             \
    }

/* \d, \D …; the \ is not read yet. */
static const struct class *perl_class(const struct compiler *c, bool *ret_negated)
{
    static const struct class classes[] = {
        CLASS("d", "09"),
        CLASS("s", "\t\n\f\r  "),
        CLASS("w", "09AZ__az"),
    };

    if (c->rest.len < 2 || c->rest.s[0] != '\\')
        return NULL;
    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
        if ((c->rest.s[1] | 0x20) == classes[i].name[0]) {
            *ret_negated = !(c->rest.s[1] & 0x20);
            return &classes[i];
        }
    }
    return NULL;
}

/* The name between "[:" and ":]", if there is an end at all. */
static bool posix_name(const struct compiler *c, struct span *ret)
{
    const char *end;

    if (!at(c, "[:"))
        return false;
    end = memmem(c->rest.s + 2, c->rest.len - 2, ":]", 2);
    if (end)
        *ret = (struct span){c->rest.s + 2, (size_t)(end - c->rest.s) - 2};
    return end;
}

static int add_posix(struct compiler *c, struct set *set, struct span name)
{
    static const struct class classes[] = {
        CLASS("alnum", "09AZaz"),
        CLASS("alpha", "AZaz"),
        CLASS("ascii", "\0\x7f"),
        CLASS("blank", "\t\t  "),
        CLASS("cntrl", "\0\x1f\x7f\x7f"),
        CLASS("digit", "09"),
        CLASS("graph", "!~"),
        CLASS("lower", "az"),
        CLASS("print", " ~"),
        CLASS("punct", "!/:@[`{~"),
        CLASS("space", "\t\r  "),
        CLASS("upper", "AZ"),
        CLASS("word", "09AZ__az"),
        CLASS("xdigit", "09AFaf"),
    };
    bool negated = name.len > 0 && *name.s == '^';
    size_t whole = name.len + 4;

    name.s += negated;
    name.len -= negated;
    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
        if (strlen(classes[i].name) != name.len || memcmp(classes[i].name, name.s, name.len) != 0)
            continue;
        skip(c, whole);
        return add_class(c, set, &classes[i], negated);
    }
    return bad(c);
}

static int take_class_rune(struct compiler *c, uint32_t *ret)
{
    if (c->rest.len == 0)
        return bad(c);
    *ret = take_rune(c);
    return *ret == '\\' ? take_escape(c, ret) : 0;
}

/* One character, or first-last. */
static int add_plain(struct compiler *c, struct set *set)
{
    uint32_t first, last;

    if (take_class_rune(c, &first) < 0)
        return -1;
    last = first;
    if (c->rest.len >= 2 && c->rest.s[0] == '-' && c->rest.s[1] != ']') {
        skip(c, 1);
        if (take_class_rune(c, &last) < 0)
            return -1;
        if (last < first)
            return bad(c);
    }
    return add_range(c, set, first, last);
}

static int add_part(struct compiler *c, struct set *set)
{
    const struct class *class;
    struct span name;
    bool negated;

    if (posix_name(c, &name))
        return add_posix(c, set, name);
    class = perl_class(c, &negated);
    if (!class)
        return add_plain(c, set);
    skip(c, 2);
    return add_class(c, set, class, negated);
}

static int add_set(struct compiler *c, const struct set *set, bool negated)
{
    bool repeats = at(c, "*");

    skip(c, repeats);
    return add(c, (struct regex_item){.kind = REGEX_SET,
                                      .repeats = repeats,
                                      .negated = negated,
                                      .ranges = set->ranges,
                                      .n_ranges = set->n});
}

static int compile_class(struct compiler *c)
{
    struct set set = {.n = 0};
    bool negated;

    skip(c, 1);
    negated = at(c, "^");
    skip(c, negated);
    do {
        if (add_part(c, &set) < 0)
            return -1;
    } while (!at(c, "]"));
    skip(c, 1);
    return add_set(c, &set, negated);
}

/* ---- items ---- */

static int compile_rune(struct compiler *c, uint32_t rune)
{
    return add(c, (struct regex_item){.kind = REGEX_RUNE, .rune = rune});
}

static int compile_quoted(struct compiler *c)
{
    while (c->rest.len > 0 && !at(c, "\\E"))
        if (compile_rune(c, take_rune(c)) < 0)
            return -1;
    if (c->rest.len > 0)
        skip(c, 2);
    return 0;
}

static int compile_escape(struct compiler *c)
{
    static const char names[] = "AzbB";
    static const enum regex_item_kind kinds[] = {REGEX_BEGIN, REGEX_END, REGEX_EDGE, REGEX_NO_EDGE};
    bool negated;
    const struct class *class = perl_class(c, &negated);
    struct set set = {.n = 0};
    const char *name;
    uint32_t rune;

    if (class) {
        skip(c, 2);
        return add_class(c, &set, class, negated) < 0 ? -1 : add_set(c, &set, false);
    }
    skip(c, 1);
    name = c->rest.len > 0 ? memchr(names, *c->rest.s, sizeof(names) - 1) : NULL;
    if (name || at(c, "Q")) {
        skip(c, 1);
        return name ? add(c, (struct regex_item){.kind = kinds[name - names]}) : compile_quoted(c);
    }
    return take_escape(c, &rune) < 0 ? -1 : compile_rune(c, rune);
}

static int compile_dirs(struct compiler *c)
{
    skip(c, strlen(REGEX_DIRS_TEXT));
    if (add(c, (struct regex_item){.kind = REGEX_DIRS}) < 0)
        return -1;
    return add(c, (struct regex_item){.kind = REGEX_INSIDE});
}

static int compile_any(struct compiler *c)
{
    struct set line_end = {.n = 0};

    skip(c, 1);
    return add_range(c, &line_end, '\n', '\n') < 0 ? -1 : add_set(c, &line_end, true);
}

static int compile_item(struct compiler *c)
{
    if (at(c, REGEX_DIRS_TEXT))
        return compile_dirs(c);
    if (at(c, "."))
        return compile_any(c);
    if (at(c, "["))
        return compile_class(c);
    if (at(c, "\\"))
        return compile_escape(c);
    if (at(c, "^") || at(c, "$")) {
        enum regex_item_kind kind = at(c, "^") ? REGEX_BEGIN : REGEX_END;

        skip(c, 1);
        return add(c, (struct regex_item){.kind = kind});
    }
    return compile_rune(c, take_rune(c));
}

int path_regex_compile(struct span text, struct arena *arena, struct path_regex *ret,
                       struct error *err)
{
    struct compiler c = {.rest = text, .arena = arena, .err = err};

    while (c.rest.len > 0)
        if (compile_item(&c) < 0)
            return -1;
    *ret = c.out;
    return 0;
}
