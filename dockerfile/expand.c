/* dockerfile/expand — a recursive lexer over one word. */
#include "dockerfile/expand.h"

#include <string.h>

#include "dockerfile/glob.h"
#include "dockerfile/quote.h"
#include "dockerfile/runes.h"

/* Cuts what is added into words; inactive while words is NULL. */
struct splitter {
    struct argv *words;
    struct buf word;
};

struct lexer {
    struct expander *x;
    const char *p, *end;
    bool raw_escapes;
    int depth;
    struct splitter *split;
    struct error *err;
};

static int peek(const struct lexer *lx)
{
    return lx->p < lx->end ? (unsigned char)*lx->p : -1;
}

static int fail(struct lexer *lx, const char *reason)
{
    return error_set(lx->err, ERR_INPUT, "%s", reason);
}

static int spend(struct lexer *lx, size_t steps)
{
    if (steps > lx->x->work)
        return error_set(lx->err, ERR_LIMIT, "expanding the variables takes too much work");
    lx->x->work -= steps;
    return 0;
}

/* ---- words ---- */

static void split_flush(struct splitter *s)
{
    if (s->word.len > 0)
        argv_push1(s->words, buf_str(&s->word));
    buf_clear(&s->word);
}

static void split_add_raw(struct splitter *s, const char *text, size_t len)
{
    if (s->words)
        buf_add(&s->word, text, len);
}

/* White space in it ends words. */
static void split_add(struct splitter *s, const char *text, size_t len)
{
    while (s->words && len > 0) {
        uint32_t rune;
        size_t n = rune_decode(text, len, &rune);

        if (rune_is_space(rune))
            split_flush(s);
        else
            buf_add(&s->word, text, n);
        text += n;
        len -= n;
    }
}

/* ---- names and values ---- */

static bool is_special(int c)
{
    return c > 0 && strchr("@*#?-$!0", c);
}

/* Letters, digits and _; or digits alone; or one special parameter; or nothing. */
static struct span scan_name(struct lexer *lx)
{
    struct span name = {lx->p, 0};
    bool digits = false;

    if (is_special(peek(lx)) && *lx->p != '0') {
        lx->p++;
        name.len = 1;
        return name;
    }
    while (lx->p < lx->end) {
        uint32_t rune;
        size_t n = rune_decode(lx->p, (size_t)(lx->end - lx->p), &rune);
        bool digit = rune_is_digit(rune);

        if (lx->p == name.s)
            digits = digit;
        if (digits ? !digit : !digit && rune != '_' && !rune_is_letter(rune))
            break;
        lx->p += n;
    }
    name.len = (size_t)(lx->p - name.s);
    return name;
}

static const char *value_of(struct lexer *lx, struct span name)
{
    return lx->x->get(lx->x->self, name.s, name.len);
}

static int add_value(struct lexer *lx, struct buf *out, const char *value)
{
    size_t len = value ? strlen(value) : 0;

    if (spend(lx, len) < 0)
        return -1;
    if (len)
        buf_add(out, value, len);
    return 0;
}

/* ---- the parts of a word ---- */

static int lex_until(struct lexer *lx, char stop, bool raw_escapes, struct buf *out);
static int lex_dollar(struct lexer *lx, struct buf *out);

static int lex_single_quote(struct lexer *lx, struct buf *out)
{
    const char *start = lx->p++;
    const char *close = memchr(lx->p, '\'', (size_t)(lx->end - lx->p));
    bool raw = lx->x->raw_quotes;

    if (!close) {
        lx->p = lx->end;
        return fail(lx, "unexpected end of statement while looking for matching single-quote");
    }
    lx->p = close + 1;
    if (raw)
        buf_add(out, start, (size_t)(close + 1 - start));
    else
        buf_add(out, start + 1, (size_t)(close - start - 1));
    return 0;
}

/* An escape token between double quotes escapes ", $ and itself, and stays before all else. */
static void lex_quoted_escape(struct lexer *lx, struct buf *out)
{
    int next;

    lx->p++;
    if (lx->raw_escapes)
        buf_addc(out, lx->x->escape);
    next = peek(lx);
    if (next < 0)
        return;
    if (next == '"' || next == '$' || next == lx->x->escape) {
        buf_addc(out, (char)next);
        lx->p++;
    } else {
        buf_addc(out, lx->x->escape);
    }
}

static int lex_double_quote(struct lexer *lx, struct buf *out)
{
    for (bool first = true;; first = false) {
        int c = peek(lx);

        if (c < 0)
            return fail(lx, "unexpected end of statement while looking for matching double-quote");
        if (c == '"') {
            lx->p++;
            if (lx->x->raw_quotes)
                buf_addc(out, '"');
            if (!first)
                return 0;
        } else if (c == '$') {
            if (lex_dollar(lx, out) < 0)
                return -1;
        } else if (c == lx->x->escape) {
            lex_quoted_escape(lx, out);
        } else {
            buf_addc(out, (char)c);
            lx->p++;
        }
    }
}

/* "<<" and "<<-" take the blanks behind them into their word, so that "<< EOF" is one. */
static void lex_heredoc_mark(struct lexer *lx, struct buf *out)
{
    const char *start = lx->p++;

    if (peek(lx) == '<') {
        lx->p++;
        if (peek(lx) == '-')
            lx->p++;
        while (peek(lx) == ' ' || peek(lx) == '\t')
            lx->p++;
    }
    buf_add(out, start, (size_t)(lx->p - start));
}

/* ---- ${…} ---- */

struct substitution {
    struct span name;
    const char *value; /* NULL: unset */
    char modifier[3];  /* ":-" */
    struct buf word;
};

static int missing_brace(struct lexer *lx)
{
    /* Whatever went wrong inside, at the end of the text the brace is what is missing. */
    if (lx->p == lx->end && lx->err->kind == ERR_INPUT)
        return fail(lx, "syntax error: missing '}'");
    return -1;
}

static int refuse_unset(struct lexer *lx, const struct substitution *s, const char *why)
{
    return error_set(lx->err, ERR_INPUT, "%.*s: %s", (int)(s->name.len > 200 ? 200 : s->name.len),
                     s->name.s, s->word.len ? buf_str(&s->word) : why);
}

static int trim_value(struct lexer *lx, struct substitution *s, char op, struct buf *out)
{
    const char *pattern = buf_str(&s->word);
    bool longest = *pattern == op;
    struct glob_trim trim = {.pattern = longest ? pattern + 1 : pattern,
                             .value = s->value ? s->value : "",
                             .longest = longest,
                             .suffix = op == '%'};

    return glob_trim(&trim, out, &lx->x->work, lx->err);
}

static int unsupported(struct lexer *lx, const struct substitution *s)
{
    return error_set(lx->err, ERR_INPUT, "unsupported modifier (%s) in substitution", s->modifier);
}

static int apply_modifier(struct lexer *lx, struct substitution *s, struct buf *out)
{
    bool or_empty = s->modifier[0] == ':';
    char op = s->modifier[or_empty];
    bool missing = !s->value || (or_empty && !*s->value);

    switch (op) {
    case '-':
        return add_value(lx, out, missing ? buf_str(&s->word) : s->value);
    case '+':
        return add_value(lx, out, missing ? NULL : buf_str(&s->word));
    case '?':
        if (missing)
            return refuse_unset(
                lx, s, s->value ? "is not allowed to be empty" : "is not allowed to be unset");
        return add_value(lx, out, s->value);
    case '#':
    case '%':
        if (!or_empty)
            return trim_value(lx, s, op, out);
        /* fall through */
    default:
        return unsupported(lx, s);
    }
}

/* From the modifier to behind the brace. */
static int lex_modifier(struct lexer *lx, struct substitution *s, struct buf *out)
{
    char op = *lx->p++;

    s->modifier[0] = op;
    if (op == ':' && peek(lx) >= 0)
        s->modifier[1] = op = *lx->p++;
    if (lex_until(lx, '}', op == '#' || op == '%', &s->word) < 0)
        return missing_brace(lx);
    if (!op || !strchr("+-?#%", op))
        return unsupported(lx, s);
    s->value = value_of(lx, s->name);
    if (!s->value && lx->x->keep_unset) {
        buf_adds(out, "${");
        buf_add(out, s->name.s, s->name.len);
        buf_addf(out, "%s%s}", s->modifier, buf_str(&s->word));
        return 0;
    }
    return apply_modifier(lx, s, out);
}

static int lex_replace(struct lexer *lx, struct substitution *s, struct buf *out)
{
    CLEANUP(buf_release) struct buf by = BUF_INIT(out->max);
    struct glob_replace replace = {.all = false};

    lx->p++;
    if (peek(lx) == '/') {
        replace.all = true;
        lx->p++;
    }
    if (lex_until(lx, '/', true, &s->word) < 0)
        return lx->p == lx->end && lx->err->kind == ERR_INPUT
                   ? fail(lx, "syntax error: missing '/' in ${}")
                   : -1;
    if (lex_until(lx, '}', true, &by) < 0)
        return missing_brace(lx);
    s->value = value_of(lx, s->name);
    if (!s->value && lx->x->keep_unset) {
        buf_adds(out, "${");
        buf_add(out, s->name.s, s->name.len);
        buf_addf(out, "/%s/%s}", buf_str(&s->word), buf_str(&by));
        return 0;
    }
    replace.value = s->value ? s->value : "";
    replace.pattern = buf_str(&s->word);
    replace.by = buf_str(&by);
    return glob_replace(&replace, out, &lx->x->work, lx->err);
}

static int lex_plain_brace(struct lexer *lx, struct substitution *s, struct buf *out)
{
    lx->p++;
    s->value = value_of(lx, s->name);
    if (s->value || !lx->x->keep_unset)
        return add_value(lx, out, s->value);
    buf_adds(out, "${");
    buf_add(out, s->name.s, s->name.len);
    buf_addc(out, '}');
    return 0;
}

static int lex_brace(struct lexer *lx, struct buf *out)
{
    struct substitution s = {.word = BUF_INIT(out->max)};
    int c, r;

    lx->p++;
    c = peek(lx);
    if (c < 0)
        return fail(lx, "syntax error: missing '}'");
    if (c == '{' || c == '}' || c == ':')
        return fail(lx, "syntax error: bad substitution");
    s.name = scan_name(lx);
    c = peek(lx);
    if (c == '}')
        r = lex_plain_brace(lx, &s, out);
    else if (c == '/')
        r = lex_replace(lx, &s, out);
    else if (c > 0 && strchr(":+-?#%", c))
        r = lex_modifier(lx, &s, out);
    else if (c < 0)
        r = fail(lx, "syntax error: missing '}'");
    else
        r = error_set(lx->err, ERR_INPUT, "unsupported modifier (%c) in substitution", c);
    buf_release(&s.word);
    return r;
}

static int lex_dollar(struct lexer *lx, struct buf *out)
{
    struct span name;
    const char *value;
    int r;

    lx->p++;
    if (peek(lx) == '{') {
        if (lx->depth == EXPAND_DEPTH_MAX)
            return error_set(lx->err, ERR_LIMIT, "variables are nested more than %d deep",
                             EXPAND_DEPTH_MAX);
        lx->depth++;
        r = lex_brace(lx, out);
        lx->depth--;
        return r;
    }
    name = scan_name(lx);
    value = name.len ? value_of(lx, name) : NULL;
    if (value)
        return add_value(lx, out, value);
    if (name.len == 0 || lx->x->keep_unset) {
        buf_addc(out, '$');
        buf_add(out, name.s, name.len);
    }
    return 0;
}

/* ---- a run of parts ---- */

/* A character that means itself, or an escape token and what it escapes. */
static void lex_character(struct lexer *lx, struct buf *out)
{
    bool escaped = *lx->p == lx->x->escape;
    const char *start;
    uint32_t rune;
    size_t n;

    if (escaped) {
        if (lx->raw_escapes) {
            buf_addc(out, lx->x->escape);
            split_add_raw(lx->split, &lx->x->escape, 1);
        }
        if (++lx->p == lx->end)
            return;
    }
    start = lx->p;
    n = rune_decode(start, (size_t)(lx->end - start), &rune);
    lx->p += n;
    buf_add(out, start, n);
    if (escaped)
        split_add_raw(lx->split, start, n);
    else
        split_add(lx->split, start, n);
}

static int lex_part(struct lexer *lx, struct buf *out)
{
    size_t before = out->len;
    int c = peek(lx), r = 0;

    if (c == '$') {
        if (lex_dollar(lx, out) < 0)
            return -1;
        split_add(lx->split, buf_str(out) + before, out->len - before);
        return 0;
    }
    if (c == '\'' && !lx->x->keep_quotes)
        r = lex_single_quote(lx, out);
    else if (c == '"' && !lx->x->keep_quotes)
        r = lex_double_quote(lx, out);
    else if (c == '<')
        lex_heredoc_mark(lx, out);
    else {
        lex_character(lx, out);
        return 0;
    }
    if (r == 0)
        split_add_raw(lx->split, buf_str(out) + before, out->len - before);
    return r;
}

/* What stands for itself and is no white space, which ends words. */
static void lex_plain(struct lexer *lx, char stop, struct buf *out)
{
    const char *start = lx->p;
    size_t n;

    for (; lx->p < lx->end; lx->p++) {
        char c = *lx->p;

        if (c <= ' ' || c >= 0x7f || c == '$' || c == '\'' || c == '"' || c == '<' || c == stop ||
            c == lx->x->escape)
            break;
    }
    n = (size_t)(lx->p - start);
    buf_add(out, start, n);
    split_add_raw(lx->split, start, n);
}

/* Up to and with the stop character; up to the end of the text when it is 0. */
static int lex_until(struct lexer *lx, char stop, bool raw_escapes, struct buf *out)
{
    struct splitter none = {.words = NULL}, *outer_split = lx->split;
    bool outer_raw = lx->raw_escapes;
    int r = 0;

    /* BuildKit forgets the word begun so far when it reads the inside of ${…}, though only where
     * it cuts words: "80${UNSET:-81} 82" is 81 and 82.  Where its users see that, ours do. */
    if (stop) {
        buf_clear(&lx->split->word);
        lx->split = &none;
    }
    lx->raw_escapes = raw_escapes;
    lex_plain(lx, stop, out);
    while (r == 0 && lx->p < lx->end && !(stop && *lx->p == stop)) {
        r = lex_part(lx, out);
        lex_plain(lx, stop, out);
    }
    lx->raw_escapes = outer_raw;
    lx->split = outer_split;
    if (r < 0 || !stop)
        return r;
    if (lx->p == lx->end)
        return error_set(lx->err, ERR_INPUT,
                         "unexpected end of statement while looking for matching %c", stop);
    lx->p++;
    return 0;
}

static int run(struct expander *x, const char *text, struct buf *out, struct splitter *split,
               struct error *err)
{
    struct lexer lx = {.x = x,
                       .p = text,
                       .end = text + strlen(text),
                       .raw_escapes = x->raw_escapes,
                       .split = split,
                       .err = err};

    if (lex_until(&lx, 0, x->raw_escapes, out) < 0) {
        char quoted[QUOTE_SIZE];

        return error_wrap(err, "failed to process %s", quote_short(text, quoted));
    }
    return buf_check(out, "expanded text", err);
}

int expand_word(struct expander *x, const char *word, struct buf *out, struct error *err)
{
    struct splitter none = {.words = NULL};

    /* Most words are nothing but themselves. */
    if (!word[strcspn(word, "$'\"<\\`")]) {
        buf_adds(out, word);
        return buf_check(out, "expanded text", err);
    }
    return run(x, word, out, &none, err);
}

int expand_words(struct expander *x, const char *text, struct argv *ret_words, struct error *err)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct splitter split = {.words = ret_words, .word = BUF_INIT(1 << 20)};
    int r = run(x, text, &out, &split, err);

    if (r == 0) {
        split_flush(&split);
        r = buf_check(&split.word, "expanded text", err);
    }
    if (r == 0 && ret_words->failed)
        r = error_set(err, ERR_SYSTEM, "expand variables: out of memory");
    buf_release(&split.word);
    return r;
}
