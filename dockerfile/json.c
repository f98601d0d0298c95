/* dockerfile/json — is this argument a JSON array of strings?
 *
 * Two passes: one checks the whole text against the grammar and notes what the array's elements
 * are, the other, run only for strings, decodes them.  A strict reader is needed because whatever
 * is not JSON is shell text: RUN [ -f x ] && make. */
#include <string.h>

#include "dockerfile/runes.h"
#include "dockerfile/words.h"

#define DEPTH_MAX 1000 /* of nested arrays and objects; Go stops at 10000, a person at 2 */

struct json {
    const char *p, *end;
    int depth;
};

static void skip_space(struct json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\r' || *j->p == '\n'))
        j->p++;
}

static bool eat(struct json *j, char c)
{
    if (j->p == j->end || *j->p != c)
        return false;
    j->p++;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four hex digits at p, -1 if they are not. */
static int hex4(const char *p, const char *end)
{
    int value = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(p[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static bool check_string(struct json *j)
{
    if (!eat(j, '"'))
        return false;
    while (j->p < j->end && *j->p != '"') {
        unsigned char c = (unsigned char)*j->p++;

        if (c < ' ')
            return false;
        if (c != '\\')
            continue;
        if (j->p == j->end)
            return false;
        if (*j->p == 'u') {
            if (hex4(j->p + 1, j->end) < 0)
                return false;
            j->p += 4;
        } else if (!strchr("\"\\/bfnrt", *j->p)) {
            return false;
        }
        j->p++;
    }
    return eat(j, '"');
}

static bool check_digits(struct json *j)
{
    const char *start = j->p;

    while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
        j->p++;
    return j->p > start;
}

static bool check_number(struct json *j)
{
    (void)eat(j, '-');
    if (!eat(j, '0') && !check_digits(j))
        return false;
    if (eat(j, '.') && !check_digits(j))
        return false;
    if (eat(j, 'e') || eat(j, 'E')) {
        if (!eat(j, '+'))
            (void)eat(j, '-');
        return check_digits(j);
    }
    return true;
}

static bool check_word(struct json *j, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
        return false;
    j->p += n;
    return true;
}

static bool check_value(struct json *j);

static bool check_object(struct json *j)
{
    j->p++;
    skip_space(j);
    if (eat(j, '}'))
        return true;
    do {
        skip_space(j);
        if (!check_string(j))
            return false;
        skip_space(j);
        if (!eat(j, ':') || !check_value(j))
            return false;
    } while (eat(j, ','));
    return eat(j, '}');
}

/* ret_mixed may be NULL: set when an element is no string. */
static bool check_array(struct json *j, bool *ret_mixed)
{
    j->p++;
    skip_space(j);
    if (eat(j, ']'))
        return true;
    do {
        skip_space(j);
        if (ret_mixed && (j->p == j->end || *j->p != '"'))
            *ret_mixed = true;
        if (!check_value(j))
            return false;
    } while (eat(j, ','));
    return eat(j, ']');
}

/* A value with the space around it. */
static bool check_value(struct json *j)
{
    bool ok;

    skip_space(j);
    if (j->p == j->end || ++j->depth > DEPTH_MAX)
        return false;
    switch (*j->p) {
    case '[':
        ok = check_array(j, NULL);
        break;
    case '{':
        ok = check_object(j);
        break;
    case '"':
        ok = check_string(j);
        break;
    case 't':
        ok = check_word(j, "true");
        break;
    case 'f':
        ok = check_word(j, "false");
        break;
    case 'n':
        ok = check_word(j, "null");
        break;
    default:
        ok = check_number(j);
        break;
    }
    j->depth--;
    skip_space(j);
    return ok;
}

/* The character of a \u escape whose digits start at *p; half a surrogate pair is U+FFFD. */
static uint32_t unicode_escape(const char **p, const char *end)
{
    uint32_t high = (uint32_t)hex4(*p, end);

    *p += 4;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        int low = hex4(*p + 2, end);

        if (low >= 0xdc00 && low <= 0xdfff) {
            *p += 6;
            return 0x10000 + ((high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
        }
    }
    return 0xfffd;
}

static uint32_t decode_escape(const char **p, const char *end)
{
    char c = *(*p)++;

    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        return unicode_escape(p, end);
    default:
        return (uint32_t)c;
    }
}

/* Decodes the checked string that starts at its opening quote. */
static void decode_string(const char **p, const char *end, struct buf *out)
{
    buf_clear(out);
    for ((*p)++; **p != '"';) {
        const char *start = *p;
        uint32_t rune;

        while (**p != '"' && **p != '\\')
            (*p)++;
        buf_add(out, start, (size_t)(*p - start));
        if (**p == '"')
            break;
        (*p)++;
        rune = decode_escape(p, end);
        if (rune == 0)
            buf_adds(out, WORD_NUL);
        else
            rune_add(out, rune);
    }
    (*p)++;
}

enum json_form words_json(struct arena *a, const char *text, struct argv *ret_words)
{
    struct span trimmed = span_trim_left((struct span){text, strlen(text)});
    struct json j = {.p = trimmed.s, .end = trimmed.s + trimmed.len};
    CLEANUP(buf_release) struct buf value = BUF_INIT(trimmed.len);
    struct argv words = ARGV_INIT;
    bool mixed = false;

    if (trimmed.len == 0 || *trimmed.s != '[' || !check_array(&j, &mixed))
        return JSON_NO_ARRAY;
    skip_space(&j);
    if (j.p != j.end)
        return JSON_NO_ARRAY;
    if (mixed)
        return JSON_MIXED;
    for (const char *p = trimmed.s + 1; p < j.end; p++) {
        if (*p != '"')
            continue;
        decode_string(&p, j.end, &value);
        arena_push(a, &words, arena_string(a, buf_str(&value), value.len));
        p--; /* at the closing quote: the loop steps over it */
    }
    *ret_words = words;
    return JSON_STRINGS;
}
