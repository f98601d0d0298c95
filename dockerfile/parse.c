/* dockerfile/parse — the first step of parsing, and the way through both. */
#include "dockerfile/parse.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/directives.h"
#include "dockerfile/grammar.h"
#include "dockerfile/heredoc.h"
#include "dockerfile/lines.h"

/* The line is BuildKit's limit, and buildah stops there without a word; the other numbers are far
 * above what people write, and far below what would hurt. */
const struct dockerfile_limits dockerfile_limits_default = {
    .text_max = 1 << 20,
    .line_max = 65535,
    .instructions_max = 1000,
    .stages_max = 64,
};

/* The rest of the way counts on text without NULs and in UTF-8: images, registries and JSON do not
 * take anything else either. */
static int check_characters(const char *text, size_t len, struct fault *fault, struct error *err)
{
    struct lines l = {.text = text, .len = len, .line_max = len};
    struct span line;

    if (!memchr(text, 0, len) && text_is_utf8(text, len))
        return 0;
    while (lines_next(&l, &line)) {
        bool nul = memchr(line.s, 0, line.len);

        if (!nul && text_is_utf8(line.s, line.len))
            continue;
        *fault = (struct fault){l.count, l.count};
        return error_set(err, ERR_INPUT,
                         nul ? "the line holds a NUL character" : "the line is not valid UTF-8");
    }
    return 0;
}

static int refuse_long_line(const struct lines *l, struct fault *fault, struct error *err)
{
    *fault = (struct fault){.line = l->count + 1, .buildkit_line = l->count};
    return error_set(err, ERR_LIMIT, "dockerfile line greater than max allowed size of %zu",
                     l->line_max);
}

static int add_instruction(struct dockerfile *d, struct lines *l, const struct logical_line *line,
                           struct error *err)
{
    struct dockerfile_instruction i = {.comments = line->comments,
                                       .first_line = line->first_line,
                                       .text_end = line->last_line,
                                       .empty_continuation = line->empty_continuation};

    if (d->n_instructions == d->limits.instructions_max)
        return error_set(err, ERR_LIMIT, "more than %zu instructions", d->limits.instructions_max);
    if (grammar_read(d, buf_str(&line->text), line->text.len, &i, err) < 0)
        return -1;
    if (strstr(i.original, "<<") && grammar_takes_heredocs(&i) &&
        heredoc_read(&d->arena, l, &i, err) < 0)
        return -1;
    i.last_line = l->count;
    d->open_at = line->open_at;
    d->instructions = arena_grow(&d->arena, d->instructions, d->n_instructions,
                                 &d->cap_instructions, sizeof(*d->instructions));
    if (!d->instructions)
        return arena_check(&d->arena, err);
    d->instructions[d->n_instructions++] = i;
    return 0;
}

static int read_lines(struct dockerfile *d, struct lines *l, struct logical_line *line,
                      struct fault *fault, struct error *err)
{
    for (;;) {
        bool end = false;

        if (lines_next_logical(l, &d->directives, line, &end, &d->arena, fault, err) < 0)
            return -1;
        if (end)
            return 0;
        if (buf_check(&line->text, "instruction", err) < 0)
            return -1;
        if (line->text.len == 0 && line->open_at == NOT_OPEN)
            continue;
        *fault = (struct fault){line->first_line, line->first_line};
        if (add_instruction(d, l, line, err) < 0)
            return -1;
        line->comments = (struct argv)ARGV_INIT;
    }
}

int parse_text(struct dockerfile *d, const char *text, size_t len,
               const struct dockerfile_limits *limits, struct fault *fault, struct error *err)
{
    struct lines l = {.len = len, .line_max = limits->line_max};
    struct logical_line line = {.text = BUF_INIT(limits->text_max)};
    int r;

    d->limits = *limits;
    d->directives = (struct directives)DIRECTIVES_INIT;
    d->open_at = NOT_OPEN;
    d->len = len;
    *fault = (struct fault){0, 0};
    if (len > limits->text_max)
        return error_set(err, ERR_LIMIT, "the file is larger than %zu bytes", limits->text_max);
    d->text = l.text = arena_string(&d->arena, text, len);
    if (arena_check(&d->arena, err) < 0 || check_characters(d->text, len, fault, err) < 0)
        return -1;
    r = read_lines(d, &l, &line, fault, err);
    buf_release(&line.text);
    if (l.too_long) {
        /* An instruction cut short by it may have failed for another reason. */
        int buildkit_line = r < 0 ? fault->buildkit_line : l.count;

        (void)refuse_long_line(&l, fault, err);
        fault->buildkit_line = buildkit_line;
        return -1;
    }
    if (r == 0 && d->n_instructions == 0) {
        *fault = (struct fault){.line = 0, .buildkit_line = l.count};
        return error_set(err, ERR_INPUT, "file with no instructions");
    }
    return r;
}

static int locate(const struct fault *fault, struct error *err)
{
    if (fault->line == 0)
        return error_wrap(err, "dockerfile parse error");
    return error_wrap(err, "dockerfile parse error on line %d", fault->line);
}

int dockerfile_parse(const char *text, size_t len, const struct dockerfile_limits *limits,
                     struct dockerfile **ret, struct error *err)
{
    struct dockerfile *d = calloc(1, sizeof(*d));
    struct fault fault;

    if (!d)
        return error_set(err, ERR_SYSTEM, "parse the Dockerfile: out of memory");
    if (parse_text(d, text, len, limits, &fault, err) < 0 || stages_build(d, &fault, err) < 0) {
        dockerfile_free(d);
        return locate(&fault, err);
    }
    if (d->n_stages == 0) {
        dockerfile_free(d);
        return error_set(err, ERR_INPUT,
                         "dockerfile parse error: dockerfile contains no stages to build");
    }
    *ret = d;
    return 0;
}

void dockerfile_free(struct dockerfile *d)
{
    if (!d)
        return;
    arena_release(&d->arena);
    free(d);
}

const char *dockerfile_syntax(const struct dockerfile *d)
{
    return d->directives.syntax;
}

const struct dockerfile_stage *dockerfile_stages(const struct dockerfile *d, size_t *ret_n)
{
    *ret_n = d->n_stages;
    return d->stages;
}
