/* dockerfile/excerpt — the lines around a place, as BuildKit's errdefs.Source prints them. */
#include <string.h>

#include "dockerfile/parse.h"
#include "dockerfile/runes.h"

#define PREFIX "dockerfile parse error on line "

int dockerfile_error_line(const struct error *err)
{
    const char *at = strstr(err->msg, PREFIX);
    int line = 0;

    for (at = at ? at + strlen(PREFIX) : ""; *at >= '0' && *at <= '9' && line < 10000000; at++)
        line = line * 10 + (*at - '0');
    return line;
}

/* What follows the last LF is a line too, even when it is empty. */
static int count_lines(const char *text, size_t len)
{
    int n = 1;

    for (const char *p = text; (p = memchr(p, '\n', len - (size_t)(p - text))); p++)
        n++;
    return n;
}

/* Grows the range by about four lines in all around one line, two around several. */
static void add_context(int *start, int *end, int n_lines)
{
    int wanted = *start == *end ? 4 : 2;

    for (int added = 0; added < wanted; added++) {
        if (*start > 1) {
            (*start)--;
            added++;
        }
        if (*end < n_lines) {
            (*end)++;
            added++;
        }
    }
}

static struct span next_line(const char **p, const char *end)
{
    const char *lf = memchr(*p, '\n', (size_t)(end - *p));
    struct span line = {*p, (size_t)((lf ? lf : end) - *p)};

    *p = lf ? lf + 1 : end;
    if (line.len > 0 && line.s[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Characters that would move a terminal's cursor, or end a string, are "?". */
static void add_line(struct span line, struct buf *out)
{
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.s[i];

        buf_addc(out, (c < ' ' && c != '\t') || c == 0x7f ? '?' : line.s[i]);
    }
    buf_addc(out, '\n');
}

void dockerfile_excerpt_text(const char *text, size_t len, int first_line, int last_line,
                             struct buf *out)
{
    int n_lines = count_lines(text, len);
    int start = first_line, end = last_line < first_line ? first_line : last_line;
    const char *p = text;

    if (start < 1 || start > n_lines)
        return;
    if (end > n_lines)
        end = n_lines;
    last_line = end;
    add_context(&start, &end, n_lines);
    buf_addf(out, "Dockerfile:%d\n--------------------\n", first_line);
    for (int i = 1; i <= end; i++) {
        struct span line = next_line(&p, text + len);

        if (i < start)
            continue;
        buf_addf(out, " %3d | %s ", i, i >= first_line && i <= last_line ? ">>>" : "   ");
        add_line(line, out);
    }
    buf_adds(out, "--------------------\n");
}

void dockerfile_excerpt(const struct dockerfile *d, int first_line, int last_line, struct buf *out)
{
    dockerfile_excerpt_text(d->text, d->len, first_line, last_line, out);
}
