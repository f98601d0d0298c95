/* dockerfile/lines — BuildKit's rules for line ends, comments and continuations.
 *
 * An escape token that ends a line (blanks may follow it) joins the next one to it, unless another
 * escape token stands before it.  Inside a continuation comments vanish and empty lines are
 * skipped; only the first line loses its leading blanks. */
#include "dockerfile/lines.h"

#include <string.h>

#include "dockerfile/directives.h"

bool lines_next(struct lines *l, struct span *ret_line)
{
    size_t left = l->len - l->pos;
    const char *start = l->text + l->pos;
    const char *lf = left ? memchr(start, '\n', left) : NULL;
    size_t len = lf ? (size_t)(lf - start) : left;

    if (left == 0)
        return false;
    if (len > l->line_max) {
        l->too_long = true;
        return false;
    }
    *ret_line = (struct span){start, lf ? len + 1 : len};
    l->pos += ret_line->len;
    l->count++;
    return true;
}

struct span line_content(struct span line)
{
    while (line.len > 0 && (line.s[line.len - 1] == '\n' || line.s[line.len - 1] == '\r'))
        line.len--;
    return line;
}

bool line_is_comment(struct span line)
{
    line = span_trim_left(line);
    return line.len > 0 && line.s[0] == '#';
}

/* Cuts a continuation's escape token off *line and says whether there was one. */
static bool cut_continuation(struct span *line, char escape)
{
    size_t n = line->len;

    while (n > 0 && (line->s[n - 1] == ' ' || line->s[n - 1] == '\t'))
        n--;
    if (n == 0 || line->s[n - 1] != escape || (n > 1 && line->s[n - 2] == escape))
        return false;
    line->len = n - 1;
    return true;
}

/* Where the text would have to end for another line to follow this open one: CRs that would then
 * end the line do not hide an escape token before them.  Cutting a line that holds nothing else
 * would leave the one before it open. */
static void note_open(const struct lines *l, struct span content, char escape,
                      struct logical_line *line)
{
    do {
        content = line_content(content);
    } while (cut_continuation(&content, escape));
    if (span_trim_left(content).len > 0 || line->open_at == NOT_OPEN)
        line->open_at = (size_t)(content.s + content.len - l->text);
}

/* Adds a physical line to a logical one; true if the next belongs to it too. */
static bool add_line(const struct lines *l, struct span content, char escape,
                     struct logical_line *line)
{
    bool open = cut_continuation(&content, escape);

    buf_add(&line->text, content.s, content.len);
    if (open)
        note_open(l, content, escape, line);
    else
        line->open_at = NOT_OPEN;
    return open;
}

static void add_continuations(struct lines *l, char escape, struct logical_line *line)
{
    struct span raw;
    bool open = true;

    while (open && lines_next(l, &raw)) {
        struct span content = line_content(raw);

        if (line_is_comment(content))
            continue;
        if (span_trim_left(content).len == 0) {
            line->empty_continuation = true;
            continue;
        }
        open = add_line(l, content, escape, line);
    }
}

static struct span without_bom(struct span line)
{
    if (line.len >= 3 && memcmp(line.s, "\xef\xbb\xbf", 3) == 0)
        return (struct span){line.s + 3, line.len - 3};
    return line;
}

/* Keeps a comment for the instruction below it, without the first character of its line: BuildKit
 * takes that for the "#", so an indented comment keeps it and says nothing to the checks. */
static void note_comment(struct span raw, struct arena *arena, struct logical_line *line)
{
    struct span text = span_trim((struct span){raw.s + 1, raw.len - 1});

    if (text.len == 0)
        line->comments = (struct argv)ARGV_INIT;
    else
        arena_push(arena, &line->comments, arena_string(arena, text.s, text.len));
}

int lines_next_logical(struct lines *l, struct directives *directives, struct logical_line *line,
                       bool *ret_end, struct arena *arena, struct fault *fault, struct error *err)
{
    struct span raw, content;

    buf_clear(&line->text);
    line->open_at = NOT_OPEN;
    line->empty_continuation = false;
    if (!lines_next(l, &raw)) {
        *ret_end = true;
        return 0;
    }
    if (l->count == 1)
        raw = without_bom(raw);
    content = span_trim_left(line_content(raw));
    if (directives_read_line(directives, content, arena, err) < 0) {
        *fault = (struct fault){.line = l->count, .buildkit_line = l->count - 1};
        return -1;
    }
    line->first_line = l->count;
    if (line_is_comment(content)) {
        if (directives->done)
            note_comment(raw, arena, line);
    } else if (add_line(l, content, directives->escape, line)) {
        add_continuations(l, directives->escape, line);
    }
    line->last_line = l->count;
    *ret_end = false;
    return 0;
}
