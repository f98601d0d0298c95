/* dockerfile/dispatch_run — RUN: its mounts, and what the shell is given. */
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "dockerfile/evaluator.h"
#include "dockerfile/flags.h"
#include "dockerfile/heredoc.h"
#include "dockerfile/mount.h"
#include "dockerfile/quote.h"

/* ---- mounts ---- */

static int expand_value(void *self, const char *value, char **ret, struct error *err)
{
    return dispatch_expand(self, value, ret, err);
}

static int resolve_from(struct dispatcher *d, struct dockerfile_mount *m, struct error *err)
{
    char from[QUOTE_SIZE], target[QUOTE_SIZE];

    if (!*m->from || m->type == DOCKERFILE_MOUNT_TMPFS)
        return 0;
    m->from_stage = stages_find(d->e->d, m->from, d->e->d->n_stages, true);
    if (m->from_stage == NO_STAGE || m->from_stage < d->stage)
        return 0;
    return error_set(err, ERR_INPUT,
                     "cannot mount from stage %s to %s, stage needs to be defined before current "
                     "command",
                     quote_short(m->from, from), quote_short(m->target, target));
}

/* A mount's place as the command sees it; secrets and sockets have places of their own. */
static int check_target(struct dispatcher *d, const struct dockerfile_mount *m, struct error *err)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(1 << 20);
    const char *directory = d->state->config.working_dir;

    if (m->type == DOCKERFILE_MOUNT_SECRET || m->type == DOCKERFILE_MOUNT_SSH)
        return 0;
    if (*m->target == '/')
        path_clean(&clean, m->target);
    else
        path_join(&clean, directory ? directory : "", m->target);
    if (strcmp(buf_str(&clean), "/") == 0)
        return error_set(err, ERR_INPUT, "invalid mount target \"/\"");
    return buf_check(&clean, "a mount's target", err);
}

static int add_mounts(struct dispatcher *d, struct error *err)
{
    const struct argv *flags = &d->step->instruction->flags;
    struct mount_expander x = {expand_value, d};
    struct dockerfile_step *step = d->step;
    size_t cap = 0;
    const char *text;

    for (size_t at = 0; (text = flags_next(flags, "mount", &at));) {
        step->mounts =
            arena_grow(&d->e->arena, step->mounts, step->n_mounts, &cap, sizeof(*step->mounts));
        if (!step->mounts)
            return arena_check(&d->e->arena, err);
        if (mount_parse(text, &x, &step->mounts[step->n_mounts], err) < 0)
            return -1;
        step->n_mounts++;
    }
    for (size_t k = 0; k < step->n_mounts; k++)
        if (resolve_from(d, &step->mounts[k], err) < 0 ||
            check_target(d, &step->mounts[k], err) < 0)
            return -1;
    return 0;
}

/* ---- the command ---- */

/* A command that is one heredoc and nothing else is its content, run by the shell, or as a file of
 * its own when it says with what. */
static void run_heredoc(struct dispatcher *d, const struct dockerfile_heredoc *doc)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(1 << 20);

    if (!text_starts(doc->content, "#!")) {
        dispatch_shell(d, doc->content, &d->step->words);
        return;
    }
    path_join(&path, "dev/pipes", doc->name);
    d->step->script = doc->content;
    dispatch_shell(d, buf_str(&path), &d->step->words);
}

/* All others are put together again, for the shell to read. */
static int run_shell(struct dispatcher *d, const char *text, struct error *err)
{
    const struct dockerfile_instruction *i = d->step->instruction;
    CLEANUP(buf_release) struct buf whole = BUF_INIT(HISTORY_MAX);

    if (i->n_heredocs == 0) {
        dispatch_shell(d, text, &d->step->words);
        return 0;
    }
    buf_adds(&whole, text);
    for (size_t k = 0; k < i->n_heredocs; k++)
        buf_addf(&whole, "\n%s%s", i->heredocs[k].content, i->heredocs[k].name);
    dispatch_shell(d, buf_str(&whole), &d->step->words);
    return buf_check(&whole, "a command", err);
}

static int set_command(struct dispatcher *d, struct error *err)
{
    const struct dockerfile_instruction *i = d->step->instruction;
    const char *text = i->words.n ? i->words.v[0] : "";
    struct dockerfile_heredoc doc;
    struct error ignored;
    bool is = false;

    if (i->json) {
        d->step->words = i->words;
        return 0;
    }
    if (i->n_heredocs > 0 && heredoc_parse_word(&d->e->arena, text, &is, &doc, &ignored) == 0 &&
        is) {
        run_heredoc(d, &i->heredocs[0]);
        return 0;
    }
    return run_shell(d, text, err);
}

/* "RUN |1 NAME=value /bin/sh -c …": the arguments it may see come first. */
static int commit(struct dispatcher *d, struct error *err)
{
    struct buf *line = dispatch_line(d);
    const struct vars *args = &d->state->args;

    if (args->n)
        buf_addf(line, " |%zu", args->n);
    for (size_t k = 0; k < args->n; k++) {
        const char *name = args->v[k].name;
        const char *value = vars_get(&d->e->scope.vars, name, strlen(name));

        dispatch_add_pair(line, name, value ? value : args->v[k].value);
    }
    for (size_t k = 0; k < d->step->words.n; k++) {
        buf_addc(line, ' ');
        buf_adds(line, d->step->words.v[k]);
    }
    buf_adds(line, " # buildkit");
    return dispatch_commit(d, err);
}

/* The image's environment and the arguments declared so far. */
static int set_environment(struct dispatcher *d, struct error *err)
{
    struct dockerfile_evaluation *e = d->e;
    const struct vars *vars = &e->scope.vars;

    e->env_len += vars_size(vars);
    if (e->env_len > ENV_MAX)
        return error_set(err, ERR_LIMIT, "the environments of all RUNs are larger than %d bytes",
                         ENV_MAX);
    for (size_t i = 0; i < vars->n; i++) {
        size_t name = strlen(vars->v[i].name), value = strlen(vars->v[i].value);
        char *pair = arena_room(&e->arena, name + value + 2);

        if (!pair)
            break;
        memcpy(pair, vars->v[i].name, name);
        pair[name] = '=';
        memcpy(pair + name + 1, vars->v[i].value, value + 1);
        arena_push(&e->arena, &d->step->env, pair);
    }
    return arena_check(&e->arena, err);
}

static void set_options(struct dispatcher *d)
{
    const struct argv *flags = &d->step->instruction->flags;
    const char *network = flags_value(flags, "network"), *security = flags_value(flags, "security");

    d->step->network = network ? network : "";
    d->step->security = security ? security : "";
}

int dispatch_run(struct dispatcher *d, struct error *err)
{
    set_options(d);
    if (add_mounts(d, err) < 0 || set_command(d, err) < 0)
        return -1;
    if (d->e->request->to_build && set_environment(d, err) < 0)
        return -1;
    return commit(d, err);
}
