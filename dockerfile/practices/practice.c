/* dockerfile/practices/practice — each instruction before the rules for its keyword, stage by
 * stage. */
#include "dockerfile/practices/practice.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define NAME_MAX_BYTES 128 /* of a variable that is remembered */

static const struct practice_rule *const tables[] = {practice_bases,    practice_values,
                                                     practice_copies,   practice_packages,
                                                     practice_commands, practice_sources};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

/* ---- for the rules ---- */

void practice_found_at(struct practice *p, const struct dockerfile_instruction *at, const char *fmt,
                       ...)
{
    char detail[512];
    va_list ap;

    /* Each finding is held against all comments above: one for each rule is enough to read. */
    if (p->last.rule == p->check->rule && p->last.at == at)
        return;
    p->last.rule = p->check->rule;
    p->last.at = at;
    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    p->check->about = at;
    CHECK_WARN_HERE(p->check, at, "%s", detail);
}

const char *practice_base(const struct practice *p)
{
    const struct dockerfile_evaluation *e = p->check->e;

    return e && p->index < e->graph.n_read ? e->graph.nodes[p->index].base
                                           : p->stages[p->index].base;
}

const char *practice_flag(const struct dockerfile_instruction *i, const char *name)
{
    size_t len = strlen(name);

    for (size_t k = 0; k < i->flags.n; k++) {
        const char *flag = i->flags.v[k];

        if (text_starts(flag, "--") && text_starts(flag + 2, name) && flag[2 + len] == '=')
            return flag + 2 + len + 1;
    }
    return NULL;
}

size_t practice_stage_named(const struct practice *p, const char *from)
{
    uint64_t index;

    for (size_t k = p->index; k-- > 0;)
        if (p->stages[k].name && strcasecmp(p->stages[k].name, from) == 0)
            return k;
    return text_to_u64(from, p->n_stages, &index) && index < p->index ? (size_t)index : p->n_stages;
}

/* ---- RUN ---- */

static bool is_posix_shell(const char *name)
{
    return strcmp(name, "sh") == 0 || strcmp(name, "bash") == 0 || strcmp(name, "dash") == 0 ||
           strcmp(name, "ash") == 0 || strcmp(name, "zsh") == 0 || strcmp(name, "ksh") == 0;
}

/* "#!/bin/sh -e": a script for a POSIX shell, as one without the line is. */
static bool is_shell_script(const char *text)
{
    size_t end = strcspn(text, "\n");
    char line[128];

    if (!text_starts(text, "#!"))
        return true;
    (void)snprintf(line, sizeof(line), "%.*s", (int)(end < 120 ? end : 120), text);
    return strstr(line, "sh") && !strstr(line, "fish") && !strstr(line, "csh") &&
           !strstr(line, "pwsh");
}

/* `RUN <<EOF` and `RUN bash <<EOF`: the heredoc is the script; before any other it is input. */
static bool is_heredoc_script(const struct dockerfile_instruction *i)
{
    const char *text = i->text + strspn(i->text, " \t");
    size_t name = strcspn(text, " \t<");
    char word[32];

    if (i->n_heredocs != 1)
        return false;
    if (text_starts(text, "<<"))
        return true;
    (void)snprintf(word, sizeof(word), "%.*s", (int)(name < 31 ? name : 31), text);
    return is_posix_shell(shell_name(word));
}

/* ["sh", "-c", "script"]; any other list is one command. */
static void read_json(struct practice *p, const struct argv *words)
{
    if (words->n >= 3 && is_posix_shell(shell_name(words->v[0])) && words->v[1][0] == '-' &&
        text_ends(words->v[1], "c"))
        shell_split(&p->script_arena, words->v[2], &p->script);
    else
        shell_add(&p->script_arena, words, &p->script);
}

static void read_script(struct practice *p, const struct dockerfile_instruction *i)
{
    p->script = (struct shell_script){.n = 0};
    if (!instruction_is(i, "RUN"))
        return;
    if (i->json)
        read_json(p, &i->words);
    else if (!is_heredoc_script(i))
        shell_split(&p->script_arena, i->text, &p->script);
    else if (is_shell_script(i->heredocs[0].content))
        shell_split(&p->script_arena, i->heredocs[0].content, &p->script);
}

/* ---- the stage ---- */

static void remember_names(struct practice *p, const struct dockerfile_instruction *i)
{
    for (size_t k = 0; k < i->words.n && p->stage.names.n < PRACTICE_NAMES_MAX; k++) {
        size_t len = strcspn(i->words.v[k], "=");

        if (len <= NAME_MAX_BYTES)
            arena_push(&p->arena, &p->stage.names, arena_string(&p->arena, i->words.v[k], len));
        if (i->legacy)
            break;
    }
}

static void remember_shell(struct practice *p, const struct argv *words)
{
    bool posix = words->n > 0 && is_posix_shell(shell_name(words->v[0]));

    p->stage.pipefail = !posix;
    for (size_t k = 0; k < words->n; k++)
        if (strstr(words->v[k], "pipefail"))
            p->stage.pipefail = true;
}

static void remember(struct practice *p, const struct dockerfile_instruction *i)
{
    if (instruction_is(i, "ENV") || instruction_is(i, "ARG"))
        remember_names(p, i);
    else if (instruction_is(i, "SHELL"))
        remember_shell(p, &i->words);
}

/* ---- all of the file ---- */

static void look(struct practice *p, const struct dockerfile_instruction *i)
{
    read_script(p, i);
    for (size_t t = 0; t < TABLES; t++)
        for (const struct practice_rule *row = tables[t]; row->keyword; row++) {
            p->check->rule = &row->rule;
            if (instruction_is(i, row->keyword))
                row->look(p, i);
        }
    if (p->script_arena.failed)
        p->arena.failed = true;
    arena_release(&p->script_arena);
}

/* A SHELL is part of the image that the stage begins with. */
static void begin_stage(struct practice *p)
{
    const struct dockerfile_evaluation *e = p->check->e;
    const struct dockerfile_outcome *base;

    p->stage = (struct practice_stage){.pipefail = false};
    if (!e || p->index >= e->n || e->outcomes[p->index].base_stage >= e->n)
        return;
    base = &e->outcomes[e->outcomes[p->index].base_stage];
    if (base->evaluated && base->config.shell.n > 0)
        remember_shell(p, &base->config.shell);
}

static void look_at_stage(struct practice *p)
{
    const struct dockerfile_stage *stage = &p->stages[p->index];

    begin_stage(p);
    for (size_t k = 0; k < stage->n_instructions; k++) {
        p->at = &stage->instructions[k];
        look(p, p->at->trigger ? p->at->trigger : p->at);
        remember(p, p->at);
    }
}

/* Stages that the target does not need are looked at when all were asked for. */
static bool is_asked_for(const struct practice *p)
{
    const struct dockerfile_evaluation *e = p->check->e;

    return p->check->request->all_stages || !e || p->index >= e->n || e->outcomes[p->index].needed;
}

void practice_apply(struct check *c)
{
    struct practice p = {.check = c};

    p.stages = dockerfile_stages(c->d, &p.n_stages);
    for (p.index = 0; p.index < p.n_stages; p.index++)
        if (is_asked_for(&p))
            look_at_stage(&p);
    if (p.arena.failed)
        c->out->arena.failed = true;
    arena_release(&p.arena);
}
