/* dockerfile/generate/draft — the Dockerfile that is being written. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/generator.h"
#include "dockerfile/quote.h"

#define LINE_MAX_BYTES 16384 /* of one generated line; a start command may be long */

static const char default_port[] = "8080";

/* Reasons, notes and warnings quote names that come from the project, or the first bytes of them.
 * A control character would end the line that it stands in, and becomes a blank; what is not UTF-8
 * no Dockerfile and no JSON can hold, and its bytes beyond ASCII become "?". */
static void make_quotable(char *text)
{
    bool ascii_only = !text_is_utf8(text, strlen(text));

    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
        else if (ascii_only && (unsigned char)*c > 0x7f)
            *c = '?';
    }
}

static void add_comment(struct buf *out, const char *why)
{
    CLEANUP_FREE char *text = strdup(why);

    if (!text) {
        out->full = true;
        return;
    }
    make_quotable(text);
    buf_addf(out, "# %s\n", text);
}

static bool is_same_reason(struct generator *g, const char *why)
{
    if (strcmp(g->last_why, why) == 0)
        return true;
    (void)snprintf(g->last_why, sizeof(g->last_why), "%s", why);
    return false;
}

void draft_line(struct generator *g, const char *why, const char *fmt, ...)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES);
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        text = NULL;
    if (*why && !is_same_reason(g, why))
        add_comment(&line, why);
    if (text)
        buf_adds(&line, text);
    buf_addc(&line, '\n');
    if (!text || line.full)
        g->out->text.full = true;
    buf_add(&g->out->text, buf_str(&line), line.len);
    free(text);
    buf_release(&line);
}

void draft_gap(struct generator *g)
{
    g->last_why[0] = '\0';
    buf_addc(&g->out->text, '\n');
}

void draft_json(struct generator *g, const char *why, const char *keyword, const struct argv *words)
{
    CLEANUP(buf_release) struct buf array = BUF_INIT(LINE_MAX_BYTES);

    quote_json_words(&array, words);
    if (array.full)
        g->out->text.full = true;
    draft_line(g, why, "%s %s", keyword, buf_str(&array));
}

void draft_start(struct generator *g)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;

    if (!g->start.shell) {
        draft_json(g, g->start.why, "CMD", &g->start.words);
        return;
    }
    argv_push(&words, "/bin/sh", "-c", g->start.words.n ? g->start.words.v[0] : "", NULL);
    draft_json(g, g->start.why, "CMD", &words);
}

bool generator_is_root(const struct generator *g)
{
    return strcmp(g->type, "sandbox") == 0;
}

void draft_service(struct generator *g)
{
    if (strcmp(g->type, "job") != 0) {
        draft_line(g, "where the server listens, until the platform sets its own",
                   "ENV HOST=0.0.0.0 PORT=%s", default_port);
        draft_line(g, "", "EXPOSE %s", default_port);
    }
    if (!generator_is_root(g))
        draft_line(g, "not root: nothing here needs it", "USER 1000:1000");
}

static void push_line(struct argv *lines, const char *fmt, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0) {
        lines->failed = true;
        return;
    }
    make_quotable(text);
    argv_push1(lines, text);
    free(text);
}

void generator_note(struct generator *g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    push_line(&g->out->notes, fmt, ap);
    va_end(ap);
}

void generator_warn(struct generator *g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    push_line(&g->out->warnings, fmt, ap);
    va_end(ap);
}
