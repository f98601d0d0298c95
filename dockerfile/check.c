/* dockerfile/check — rules look at what reading and evaluating left, as far as these went. */
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/directives.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/lines.h"
#include "dockerfile/rules/rule.h"
#include "dockerfile/runes.h"

#define WARNINGS_MAX 2000   /* more than that nobody reads */
#define DETAIL_MAX   (4096) /* bytes of one */

/* ---- which rules count ---- */

static bool skipped_by(const struct check_options *o, const struct rule *rule)
{
    if (rule->experimental)
        return !o->experimental_all && !argv_contains(&o->experimental, rule->name);
    return o->skip_all || argv_contains(&o->skip, rule->name);
}

/* What stands behind "hadolint ignore="; NULL: the comment is about something else. */
static const char *hadolint_ignores(const char *comment)
{
    static const char *const words[] = {"hadolint", "ignore", "="};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!text_starts(comment, words[i]))
            return NULL;
        comment += strlen(words[i]);
        while (is_blank(*comment))
            comment++;
    }
    return comment;
}

/* What stands behind "check=", read as if it stood at the top of the file; NULL likewise. */
static const char *check_directive_of(const char *comment, struct arena *arena)
{
    struct directives directives = DIRECTIVES_INIT;
    CLEANUP(buf_release) struct buf line = BUF_INIT(1 << 20);
    struct error ignored;

    buf_addf(&line, "#%s", comment);
    if (line.full || directives_read_line(&directives, (struct span){buf_str(&line), line.len},
                                          arena, &ignored) < 0)
        return NULL;
    return directives.check;
}

/* What the comments above the instruction say: the first that is about checks counts. */
static void note_comments(struct check *c)
{
    const struct argv *comments = &c->about->comments;
    struct arena *arena = &c->out->arena;
    bool found = false;

    c->noted = c->about;
    c->here = (struct check_options){.skip_all = false};
    for (size_t k = 0; k < comments->n; k++) {
        const char *ignores = hadolint_ignores(comments->v[k]);
        const char *check = found ? NULL : check_directive_of(comments->v[k], arena);
        struct error ignored;

        found = found || check;
        if (check && check_options_read_comment(check, arena, &c->here, &ignored) < 0)
            continue; /* it says nothing, and no other does */
        if (ignores)
            check_options_skip(ignores, arena, &c->here);
    }
}

/* Comments may turn a rule off for the instruction, or an experimental one on. */
static bool skipped_here(struct check *c)
{
    bool skipped = skipped_by(&c->options, c->rule);

    if (c->noted != c->about)
        note_comments(c);
    return c->rule->experimental ? skipped && skipped_by(&c->here, c->rule)
                                 : skipped || skipped_by(&c->here, c->rule);
}

void check_warn(struct check *c, int first_line, int last_line, const char *fmt, ...)
{
    bool inline_counts = c->about && c->about->comments.n > 0 && !c->rule->whole_file;
    struct dockerfile_findings *out = c->out;
    char detail[DETAIL_MAX];
    va_list args;

    if (out->n == WARNINGS_MAX ||
        (inline_counts ? skipped_here(c) : skipped_by(&c->options, c->rule)))
        return;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    out->warnings =
        arena_grow(&out->arena, out->warnings, out->n, &out->cap, sizeof(*out->warnings));
    if (out->warnings)
        out->warnings[out->n++] = (struct dockerfile_warning){
            .rule = c->rule->name,
            .detail = arena_string(&out->arena, detail, strlen(detail)),
            .url = c->rule->url,
            .description = c->rule->description,
            .advice = c->rule->advice,
            .first_line = first_line,
            .last_line = last_line,
        };
}

/* ---- what they look at ---- */

static void look_at_text(struct check *c)
{
    for (size_t k = 0; c->rule->line && k < c->d->n_instructions; k++) {
        c->about = &c->d->instructions[k];
        c->rule->line(c, c->about);
    }
    for (size_t k = 0; c->rule->instruction && k < c->d->n_checked; k++) {
        c->about = &c->d->instructions[k];
        c->rule->instruction(c, c->about);
    }
}

static void look_at_stages(struct check *c)
{
    for (size_t k = 0; c->rule->stage && k < c->e->graph.n_read; k++) {
        c->stage = k;
        c->about = c->d->stages[k].instructions;
        c->rule->stage(c, k);
    }
}

static void look_at_steps(struct check *c)
{
    for (size_t s = 0; c->rule->step && s < c->e->n; s++) {
        c->stage = s;
        c->outcome = &c->e->outcomes[s];
        for (size_t k = 0; k < c->outcome->n_steps; k++) {
            c->about = c->outcome->steps[k].instruction;
            c->rule->step(c, &c->outcome->steps[k]);
        }
    }
}

/* good: all instructions are. */
static void apply(struct check *c, bool good)
{
    look_at_text(c);
    c->about = NULL;
    if (good && c->rule->file)
        c->rule->file(c);
    if (!c->e)
        return;
    look_at_stages(c);
    look_at_steps(c);
}

static void apply_all(struct check *c, bool good)
{
    for (size_t i = 0; i < rule_sets_n; i++) {
        if (rule_sets[i].hadolint && !c->request->hadolint)
            continue;
        if (good && rule_sets[i].apply)
            rule_sets[i].apply(c);
        for (size_t k = 0; k < rule_sets[i].n; k++) {
            c->rule = &rule_sets[i].rules[k];
            apply(c, good);
        }
    }
}

/* ---- the way through ---- */

/* The directive as BuildKit's linter finds it, which is not how its parser does: also behind a
 * first line "#!…", and not when it is indented. */
static const char *check_directive(struct check *c)
{
    struct directives directives = DIRECTIVES_INIT;
    bool bom = text_starts(c->d->text, "\xef\xbb\xbf");
    struct lines l = {.text = c->d->text,
                      .len = c->d->len,
                      .pos = bom ? 3 : 0,
                      .line_max = c->d->limits.line_max};
    struct error ignored;
    struct span line;

    if (text_starts(l.text + l.pos, "#!") && !lines_next(&l, &line))
        return NULL;
    while (!directives.done && lines_next(&l, &line))
        if (directives_read_line(&directives, line_content(line), &c->out->arena, &ignored) < 0)
            return NULL;
    return directives.check;
}

static int read_options(struct check *c, struct error *err)
{
    const char *argument = build_arg(c->request->build.build_args, "BUILDKIT_DOCKERFILE_CHECK", 25);
    const char *directive = argument ? NULL : check_directive(c);

    if (argument)
        return check_options_read(argument, &c->out->arena, &c->options, err);
    return directive ? check_options_read_comment(directive, &c->out->arena, &c->options, err) : 0;
}

static void name_rules(const struct dockerfile_findings *f, struct buf *out)
{
    for (size_t i = 0; i < f->n; i++) {
        bool seen = false;

        for (size_t k = 0; k < i && !seen; k++)
            seen = f->warnings[k].rule == f->warnings[i].rule;
        if (!seen)
            buf_addf(out, "%s%s", out->len ? ", " : "", f->warnings[i].rule);
    }
}

static void refuse_warnings(struct dockerfile_findings *f)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(4096);

    name_rules(f, &names);
    f->fatal = true;
    (void)error_set(&f->failure, ERR_INPUT, "lint violation found for rules: %s", buf_str(&names));
}

/* Anything but the user's fault is the caller's to hear of. */
static int keep_failure(struct dockerfile_findings *f, const struct error *failure,
                        struct error *err)
{
    if (error_may_retry(failure->kind)) {
        *err = *failure;
        return -1;
    }
    f->failure = *failure;
    f->failure_line = dockerfile_error_line(failure);
    return 0;
}

static int evaluate(struct check *c, struct dockerfile_evaluation *e, struct error *err)
{
    struct error failure = ERROR_INIT;

    if (evaluation_run(e, c->d, &c->request->build, c->request->all_stages, &failure) < 0)
        return keep_failure(c->out, &failure, err);
    return 0;
}

int rules_run(const struct dockerfile *d, bool good, const struct dockerfile_check_request *request,
              struct dockerfile_findings *out, struct error *err)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    struct check c = {.d = d, .request = request, .out = out};
    struct error failure = ERROR_INIT;

    if (read_options(&c, &failure) < 0)
        return keep_failure(out, &failure, err);
    good = good && d->n_stages > 0;
    if (good) {
        e = calloc(1, sizeof(*e));
        if (!e)
            return error_set(err, ERR_SYSTEM, "check the Dockerfile: out of memory");
        if (evaluate(&c, e, err) < 0)
            return -1;
        c.e = e;
    }
    apply_all(&c, good);
    if (c.options.error && out->n > 0 && !out->failure.kind)
        refuse_warnings(out);
    return arena_check(&out->arena, err);
}

int dockerfile_check(const struct dockerfile *d, const struct dockerfile_check_request *request,
                     struct dockerfile_findings *ret, struct error *err)
{
    struct dockerfile_findings f = {.warnings = NULL};

    if (rules_run(d, true, request, &f, err) < 0) {
        dockerfile_findings_release(&f);
        return -1;
    }
    *ret = f;
    return 0;
}

void dockerfile_findings_release(struct dockerfile_findings *f)
{
    arena_release(&f->arena);
    *f = (struct dockerfile_findings){.warnings = NULL};
}
