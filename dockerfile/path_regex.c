/* dockerfile/path_regex — matching keeps the set of all items that the text read so far can have
 * led to, one bit each: whatever the stars do, a character costs at most one step for each item. */
#include "dockerfile/path_regex.h"

#include <string.h>

#include "dockerfile/regex_item.h"

#define WORD_BITS 64
#define WORDS     (PATH_REGEX_ITEMS_MAX / WORD_BITS)

#define NO_RUNE 0x110000U /* before the first and after the last */

struct run {
    const struct path_regex *r;
    struct span rest;       /* not read yet */
    uint32_t before, after; /* the runes around the place reached */
    bool found;
    size_t words; /* of a set that are in use */
    uint64_t *reached;
    uint64_t sets[2][WORDS];
};

static bool is_word(uint32_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* What a zero-width item asks for. */
static bool holds(const struct run *s, enum regex_item_kind kind)
{
    switch (kind) {
    case REGEX_BEGIN:
        return s->before == NO_RUNE;
    case REGEX_END:
        return s->after == NO_RUNE || s->after == '/';
    case REGEX_EDGE:
        return is_word(s->before) != is_word(s->after);
    case REGEX_NO_EDGE:
        return is_word(s->before) == is_word(s->after);
    default:
        return false;
    }
}

static void mark(struct run *s, size_t i)
{
    s->reached[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
}

static bool is_marked(const struct run *s, size_t i)
{
    return s->reached[i / WORD_BITS] >> i % WORD_BITS & 1;
}

/* Marks item i and all that can be reached from it without reading.  What is marked already has
 * been followed.  Behind an end nothing is read any more, so what would read is not marked. */
static void reach(struct run *s, size_t i)
{
    bool ended = false;

    while (i < s->r->n && !is_marked(s, i)) {
        const struct regex_item *item = &s->r->items[i];

        if (!ended || item->kind == REGEX_END)
            mark(s, i);
        if (item->kind == REGEX_DIRS) {
            if (!ended)
                mark(s, i + 1);
            i += 2;
            continue;
        }
        if (!item->repeats && !holds(s, item->kind))
            return;
        ended |= item->kind == REGEX_END;
        i++;
    }
    s->found |= i >= s->r->n;
}

static bool set_has(const struct regex_item *item, uint32_t c)
{
    for (size_t i = 0; i < item->n_ranges; i++)
        if (c >= item->ranges[i].first && c <= item->ranges[i].last)
            return !item->negated;
    return item->negated;
}

/* From item i by one character. */
static void follow(struct run *s, size_t i, uint32_t c)
{
    const struct regex_item *item = &s->r->items[i];

    if (item->kind == REGEX_RUNE && item->rune == c)
        reach(s, i + 1);
    else if (item->kind == REGEX_SET && set_has(item, c))
        reach(s, item->repeats ? i : i + 1);
    else if (item->kind == REGEX_INSIDE && c != '\n') {
        mark(s, i);
        if (c == '/')
            reach(s, i + 1);
    }
}

static void peek(struct run *s)
{
    s->after = NO_RUNE;
    if (s->rest.len > 0)
        (void)rune_decode_any(s->rest.s, s->rest.len, &s->after);
}

static uint32_t read_rune(struct run *s)
{
    size_t n = rune_decode_any(s->rest.s, s->rest.len, &s->before);

    s->rest.s += n;
    s->rest.len -= n;
    peek(s);
    return s->before;
}

/* One character on; false when no item is left. */
static bool step(struct run *s)
{
    const uint64_t *from = s->reached;
    uint32_t c = read_rune(s);
    bool any = false;

    s->reached = from == s->sets[0] ? s->sets[1] : s->sets[0];
    memset(s->reached, 0, s->words * sizeof(*s->reached));
    for (size_t w = 0; w < s->words; w++) {
        for (uint64_t bits = from[w]; bits; bits &= bits - 1) {
            follow(s, w * WORD_BITS + (size_t)__builtin_ctzll(bits), c);
            any = true;
        }
    }
    return any;
}

bool path_regex_matches(const struct path_regex *r, struct span path)
{
    struct run s; /* not initialised as a whole: the sets are large */

    s.r = r;
    s.rest = path;
    s.before = NO_RUNE;
    s.found = false;
    s.words = (r->n + WORD_BITS - 1) / WORD_BITS;
    s.reached = s.sets[0];
    memset(s.reached, 0, s.words * sizeof(*s.reached));
    peek(&s);
    reach(&s, 0);
    while (!s.found && s.rest.len > 0)
        if (!step(&s))
            return false;
    return s.found;
}
