/* dockerfile/glob — matching by keeping the set of all places in the pattern that the text read so
 * far can have led to: time is text × pattern at worst, whatever the stars do.  BuildKit makes
 * regular expressions of these patterns, and so * and ? stop at a line end here too. */
#include "dockerfile/glob.h"

#include <string.h>

#include "dockerfile/runes.h"

#define ANY  0x110000U /* ? */
#define STAR 0x110001U /* * */

#define NO_MATCH ((size_t)-1)

struct runes {
    uint32_t *v;
    size_t n;
};

struct matcher {
    struct runes items;
    bool *now, *then;  /* places 0…items.n reached; items.n is a match */
    size_t first_star; /* items.n: there is none */
    bool longest;
    size_t *work;
};

static void runes_release(struct runes *r)
{
    free(r->v);
}

static void matcher_release(struct matcher *m)
{
    free(m->items.v);
    free(m->now);
    free(m->then);
}

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "match a pattern: out of memory");
}

static int runes_of(const char *s, struct runes *ret, struct error *err)
{
    size_t len = strlen(s);

    ret->n = 0;
    ret->v = calloc(len + 1, sizeof(*ret->v));
    if (!ret->v)
        return out_of_memory(err);
    for (size_t i = 0; i < len;)
        i += rune_decode(s + i, len - i, &ret->v[ret->n++]);
    return 0;
}

static void reverse(struct runes *r)
{
    for (size_t i = 0, j = r->n; i + 1 < j; i++) {
        uint32_t swap = r->v[i];

        r->v[i] = r->v[--j];
        r->v[j] = swap;
    }
}

/* Turns the pattern's characters into items, in place. */
static int compile(struct runes *p, const char *pattern, struct error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        uint32_t c = p->v[i];
        uint32_t next = i + 1 < p->n ? p->v[i + 1] : 0;

        if (c == '\\') {
            if (!next || !strchr("}/*?\\", (int)next) || next > 0x7f)
                return error_set(err, ERR_INPUT,
                                 "invalid pattern (%.200s) in substitution: invalid escape",
                                 pattern);
            i++;
            c = next;
        } else if (c == '*') {
            c = STAR;
        } else if (c == '?') {
            c = ANY;
        }
        p->v[n++] = c;
    }
    p->n = n;
    return 0;
}

static int matcher_init(struct matcher *m, const char *pattern, struct error *err)
{
    if (runes_of(pattern, &m->items, err) < 0 || compile(&m->items, pattern, err) < 0)
        return -1;
    while (m->first_star < m->items.n && m->items.v[m->first_star] != STAR)
        m->first_star++;
    m->now = calloc(m->items.n + 1, sizeof(bool));
    m->then = calloc(m->items.n + 1, sizeof(bool));
    return m->now && m->then ? 0 : out_of_memory(err);
}

/* Marks a place, and those that stars which match nothing lead on to. */
static void reach(const struct matcher *m, bool *places, size_t i)
{
    places[i] = true;
    while (i < m->items.n && m->items.v[i] == STAR)
        places[++i] = true;
}

/* From the places in now, by one character, to those in then; false when there are none. */
static bool step(struct matcher *m, uint32_t c)
{
    bool alive = false;

    memset(m->then, 0, m->items.n + 1);
    for (size_t i = 0; i < m->items.n; i++) {
        uint32_t item = m->items.v[i];

        if (!m->now[i])
            continue;
        if (item == STAR && c != '\n')
            reach(m, m->then, i);
        else if (item == c || (item == ANY && c != '\n'))
            reach(m, m->then, i + 1);
        else
            continue;
        alive = true;
    }
    return alive;
}

/* Where the next try may start after one that led nowhere from character i on.  A try that got to
 * the first star has been wherever later ones could get to by way of it, so those may be left out
 * that would have got there by now. */
static size_t next_start(const struct matcher *m, size_t i)
{
    bool starred = m->first_star < m->items.n && m->now[m->first_star];

    return starred && i > m->first_star ? i - m->first_star + 1 : 1;
}

/* How many characters of the text, from its start, the pattern matches.  When it is NO_MATCH,
 * *ret_next is how many characters on a match may start at the earliest.  -1 out of work. */
static int match(struct matcher *m, const uint32_t *text, size_t n, size_t *ret, size_t *ret_next)
{
    *ret = NO_MATCH;
    memset(m->now, 0, m->items.n + 1);
    reach(m, m->now, 0);
    for (size_t i = 0;; i++) {
        bool *swap = m->now;

        if (m->now[m->items.n])
            *ret = i;
        *ret_next = next_start(m, i);
        if (i == n || (*ret != NO_MATCH && !m->longest))
            return 0;
        if (*m->work <= m->items.n)
            return -1;
        *m->work -= m->items.n + 1;
        if (!step(m, text[i]))
            return 0;
        m->now = m->then;
        m->then = swap;
    }
}

static int out_of_work(struct error *err)
{
    return error_set(err, ERR_LIMIT, "expanding the variables takes too much work");
}

static void add_runes(struct buf *out, const uint32_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rune_add(out, v[i]);
}

static int trim(const struct glob_trim *t, struct matcher *m, struct runes *value, struct buf *out,
                struct error *err)
{
    size_t n, next;

    if (matcher_init(m, t->pattern, err) < 0 || runes_of(t->value, value, err) < 0)
        return -1;
    if (t->suffix) {
        reverse(&m->items);
        reverse(value);
    }
    if (match(m, value->v, value->n, &n, &next) < 0)
        return out_of_work(err);
    if (n == NO_MATCH)
        n = 0;
    value->n -= n;
    memmove(value->v, value->v + n, value->n * sizeof(*value->v));
    if (t->suffix)
        reverse(value);
    add_runes(out, value->v, value->n);
    return 0;
}

int glob_trim(const struct glob_trim *t, struct buf *out, size_t *work, struct error *err)
{
    struct matcher m = {.longest = t->longest, .work = work};
    struct runes value = {.v = NULL};
    int r = trim(t, &m, &value, out, err);

    matcher_release(&m);
    runes_release(&value);
    return r;
}

/* The name or {name} of a $ reference in a replacement; its length, 0 if there is none. */
static size_t reference_length(const char *s)
{
    bool braces = *s == '{';
    size_t n = braces, len = strlen(s);

    while (n < len) {
        uint32_t rune;
        size_t bytes = rune_decode(s + n, len - n, &rune);

        if (rune != '_' && !rune_is_letter(rune) && !rune_is_digit(rune))
            break;
        n += bytes;
    }
    if (!braces)
        return n;
    return n > 1 && s[n] == '}' ? n + 1 : 0;
}

/* Go's ReplaceAllString reads $0 as the match, other names as groups, which there are none of, and
 * $$ as $; BuildKit lets that show. */
static void add_template(struct buf *out, const char *by, const uint32_t *matched, size_t n)
{
    while (*by) {
        size_t len;

        if (*by != '$') {
            buf_addc(out, *by++);
            continue;
        }
        by++;
        if (*by == '$') {
            buf_addc(out, *by++);
            continue;
        }
        len = reference_length(by);
        if (len == 0)
            buf_addc(out, '$');
        else if (strncmp(by, "0", len) == 0 || strncmp(by, "{0}", len) == 0)
            add_runes(out, matched, n);
        by += len;
    }
}

static int replace_all(struct matcher *m, const struct runes *value, const char *by,
                       struct buf *out, struct error *err)
{
    size_t copied = 0, last_end = NO_MATCH, by_len = strlen(by);

    for (size_t i = 0, next; i <= value->n; i += next) {
        size_t n;

        if (match(m, value->v + i, value->n - i, &n, &next) < 0)
            return out_of_work(err);
        if (n == NO_MATCH)
            continue;
        next = n > 0 ? n : 1;
        /* An empty match right behind another does not count. */
        if (n == 0 && i == last_end)
            continue;
        if (*m->work < by_len)
            return out_of_work(err);
        *m->work -= by_len;
        add_runes(out, value->v + copied, i - copied);
        add_template(out, by, value->v + i, n);
        copied = last_end = i + n;
    }
    add_runes(out, value->v + copied, value->n - copied);
    return 0;
}

static int replace_first(struct matcher *m, const struct runes *value, const char *by,
                         struct buf *out, struct error *err)
{
    for (size_t i = 0, next; i <= value->n; i += next) {
        size_t n;

        if (match(m, value->v + i, value->n - i, &n, &next) < 0)
            return out_of_work(err);
        if (n == NO_MATCH)
            continue;
        add_runes(out, value->v, i);
        buf_adds(out, by);
        add_runes(out, value->v + i + n, value->n - i - n);
        return 0;
    }
    add_runes(out, value->v, value->n);
    return 0;
}

int glob_replace(const struct glob_replace *r, struct buf *out, size_t *work, struct error *err)
{
    struct matcher m = {.longest = true, .work = work};
    struct runes value = {.v = NULL};
    int result = -1;

    if (matcher_init(&m, r->pattern, err) == 0 && runes_of(r->value, &value, err) == 0)
        result = r->all ? replace_all(&m, &value, r->by, out, err)
                        : replace_first(&m, &value, r->by, out, err);
    matcher_release(&m);
    runes_release(&value);
    return result;
}
