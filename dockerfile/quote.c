/* dockerfile/quote — strconv.Quote. */
#include "dockerfile/quote.h"

#include <string.h>

#include "dockerfile/runes.h"
#include "dockerfile/words.h"

/* unicode.IsPrint for what text holds in practice: spaces other than ' ', controls, format
 * characters and private use are not; unassigned characters are taken as printable. */
static bool is_printable(uint32_t r)
{
    if (r < 0x80)
        return r >= ' ' && r < 0x7f;
    if (rune_is_space(r) || r < 0xa0 || r == 0xad || r == 0x180e || r == 0xfeff)
        return false;
    if ((r >= 0x200b && r <= 0x200f) || (r >= 0x202a && r <= 0x202e) ||
        (r >= 0x2060 && r <= 0x206f))
        return false;
    return !(r >= 0xe000 && r <= 0xf8ff) && !(r >= 0xfff0 && r <= 0xfffb) && r < 0xe0000;
}

static void add_escaped(struct buf *out, uint32_t r)
{
    static const char letters[] = "abtnvfr"; /* for 7 to 13 */

    if (r == '"' || r == '\\')
        buf_addf(out, "\\%c", (char)r);
    else if (r >= 7 && r <= 13)
        buf_addf(out, "\\%c", letters[r - 7]);
    else if (r < ' ' || r == 0x7f)
        buf_addf(out, "\\x%02x", r);
    else if (r < 0x10000)
        buf_addf(out, "\\u%04x", r);
    else
        buf_addf(out, "\\U%08x", r);
}

/* Bytes of ASCII that stands for itself. */
static size_t plain_length(const char *s)
{
    size_t n = 0;

    while (s[n] >= ' ' && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
}

void quote_add(struct buf *out, const char *s)
{
    size_t len = strlen(s);

    buf_addc(out, '"');
    for (size_t i = 0; i < len;) {
        size_t plain = plain_length(s + i);
        uint32_t r;
        size_t n;

        buf_add(out, s + i, plain);
        i += plain;
        if (i == len)
            break;
        n = rune_decode_any(s + i, len - i, &r);

        if (strncmp(s + i, WORD_NUL, sizeof(WORD_NUL) - 1) == 0) {
            buf_adds(out, "\\x00");
            n = sizeof(WORD_NUL) - 1;
        } else if (n == 1 && (unsigned char)s[i] >= 0x80) /* no UTF-8 */
            buf_addf(out, "\\x%02x", (unsigned char)s[i]);
        else if (r != '"' && r != '\\' && is_printable(r))
            buf_add(out, s + i, n);
        else
            add_escaped(out, r);
        i += n;
    }
    buf_addc(out, '"');
}

void quote_json(struct buf *out, const char *s)
{
    buf_addc(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_addc(out, '\\');
        if ((unsigned char)*s < ' ')
            buf_addf(out, "\\u%04x", (unsigned char)*s);
        else
            buf_addc(out, *s);
    }
    buf_addc(out, '"');
}

void quote_json_words(struct buf *out, const struct argv *words)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < words->n; i++) {
        buf_adds(out, i ? ", " : "");
        quote_json(out, words->v[i]);
    }
    buf_addc(out, ']');
}

const char *quote_short(const char *s, char text[QUOTE_SIZE])
{
    CLEANUP(buf_release) struct buf whole = BUF_INIT(1 << 20);
    size_t keep = QUOTE_SIZE - sizeof("…\"");

    quote_add(&whole, s);
    if (whole.len < QUOTE_SIZE) {
        memcpy(text, buf_str(&whole), whole.len + 1);
        return text;
    }
    while (keep > 0 && ((unsigned char)whole.data[keep] & 0xc0) == 0x80)
        keep--;
    memcpy(text, whole.data, keep);
    memcpy(text + keep, "…\"", sizeof("…\""));
    return text;
}
