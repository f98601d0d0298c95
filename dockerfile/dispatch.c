/* dockerfile/dispatch — what single instructions do to the image's configuration. */
#include <string.h>

#include "base/path.h"
#include "dockerfile/evaluator.h"
#include "dockerfile/runes.h"

#define UNSET_MAX 1000 /* noted in one evaluation */
#define HINTS_MAX 32   /* of them with a hint: each looks at all variables there are */

/* ---- for all of them ---- */

static bool is_no_variable(const char *arg)
{
    return strcmp(arg, "BUILDKIT_SBOM_SCAN_CONTEXT") == 0 ||
           strcmp(arg, "BUILDKIT_SBOM_SCAN_STAGE") == 0;
}

static int note_one(struct dispatcher *d, const char *name, struct error *err)
{
    struct dockerfile_evaluation *e = d->e;
    struct dockerfile_step *step = d->step;
    char hint[SUGGEST_SIZE] = "";

    if (e->n_unset == UNSET_MAX)
        return 0;
    if (e->n_unset++ < HINTS_MAX)
        (void)scope_hint(&e->scope, name, "$", hint);
    step->unset =
        arena_grow(&e->arena, step->unset, step->n_unset, &step->cap_unset, sizeof(*step->unset));
    if (!step->unset)
        return arena_check(&e->arena, err);
    step->unset[step->n_unset++] = (struct dockerfile_unset){
        .name = name, .hint = arena_string(&e->arena, hint, strlen(hint))};
    return arena_check(&e->arena, err);
}

int dispatch_note_unset(struct dispatcher *d, struct error *err)
{
    const struct argv *missing = &d->e->scope.names.missing;

    for (size_t i = 0; i < missing->n; i++) {
        const char *name = missing->v[i];

        if (vars_get(&d->state->args, name, strlen(name)) || is_no_variable(name))
            continue;
        if (note_one(d, name, err) < 0)
            return -1;
    }
    return 0;
}

int dispatch_expand(struct dispatcher *d, const char *word, char **ret, struct error *err)
{
    struct error memory;

    if (scope_expand(&d->e->scope, word, ret, err) == 0)
        return dispatch_note_unset(d, err);
    /* That it failed says enough, whether or not there is memory for this. */
    (void)!dispatch_note_unset(d, &memory);
    return -1;
}

static int push_expanded(struct dispatcher *d, const char *word, struct error *err)
{
    char *expanded;

    if (dispatch_expand(d, word, &expanded, err) < 0)
        return -1;
    arena_push(&d->e->arena, &d->step->words, expanded);
    return arena_check(&d->e->arena, err);
}

struct buf *dispatch_line(struct dispatcher *d)
{
    buf_clear(&d->e->line);
    buf_adds(&d->e->line, d->step->instruction->keyword);
    return &d->e->line;
}

int dispatch_commit(struct dispatcher *d, struct error *err)
{
    const struct buf *line = &d->e->line;
    struct arena *arena = &d->e->arena;

    if (buf_check(line, "a line of the image's history", err) < 0)
        return -1;
    d->e->history_len += line->len;
    if (d->e->history_len > HISTORY_MAX)
        return error_set(err, ERR_LIMIT, "the image's history is larger than %d bytes",
                         HISTORY_MAX);
    arena_push(arena, &d->state->config.history, arena_string(arena, buf_str(line), line->len));
    return arena_check(arena, err);
}

void dispatch_add_pair(struct buf *line, const char *key, const char *value)
{
    buf_addc(line, ' ');
    buf_adds(line, key);
    if (!value)
        return;
    buf_addc(line, '=');
    buf_adds(line, value);
}

/* "KEYWORD text" */
static int commit(struct dispatcher *d, const char *text, struct error *err)
{
    struct buf *line = dispatch_line(d);

    buf_addc(line, ' ');
    buf_adds(line, text);
    return dispatch_commit(d, err);
}

static int commit_list(struct dispatcher *d, const struct argv *words, bool quoted,
                       struct error *err)
{
    struct buf *line = dispatch_line(d);

    buf_addc(line, ' ');
    add_list(line, words, quoted);
    return dispatch_commit(d, err);
}

char *workdir_join(struct arena *arena, const char *current, const char *path)
{
    CLEANUP(buf_release) struct buf joined = BUF_INIT(1 << 20);

    if (*path == '/')
        return arena_string(arena, path, strlen(path));
    if (!*path && *current == '/')
        return arena_string(arena, current, strlen(current));
    path_join(&joined, current, path);
    return joined.full ? NULL : arena_string(arena, buf_str(&joined), joined.len);
}

void dispatch_shell(struct dispatcher *d, const char *command, struct argv *ret)
{
    const struct argv *shell = &d->state->config.shell;
    struct arena *arena = &d->e->arena;

    for (size_t i = 0; i < shell->n; i++)
        arena_push(arena, ret, shell->v[i]);
    if (shell->n == 0) {
        arena_push(arena, ret, arena_string(arena, "/bin/sh", 7));
        arena_push(arena, ret, arena_string(arena, "-c", 2));
    }
    arena_push(arena, ret, arena_string(arena, command, strlen(command)));
}

/* ---- ENV, LABEL, ARG ---- */

static int expand_pairs(struct dispatcher *d, struct error *err)
{
    const struct dockerfile_instruction *i = d->step->instruction;

    for (size_t k = 0; k < i->words.n; k++) {
        const char *word = i->words.v[k];
        size_t len = i->legacy ? strlen(word) : strcspn(word, "=");
        char *key = arena_string(&d->e->arena, word, len);

        if (!key)
            return arena_check(&d->e->arena, err);
        if (push_expanded(d, key, err) < 0 ||
            (!i->legacy && push_expanded(d, word + len + 1, err) < 0))
            return -1;
    }
    return 0;
}

static int set_pairs(struct dispatcher *d, struct vars *also, struct vars *vars, struct error *err)
{
    struct buf *line = dispatch_line(d);
    const struct argv *words = &d->step->words;

    for (size_t k = 0; k + 1 < words->n; k += 2) {
        const char *key = words->v[k], *value = words->v[k + 1];

        dispatch_add_pair(line, key, value);
        if (vars_set(vars, key, strlen(key), value, err) < 0 ||
            (also && vars_set(also, key, strlen(key), value, err) < 0))
            return -1;
    }
    return dispatch_commit(d, err);
}

static int dispatch_env(struct dispatcher *d, struct error *err)
{
    if (expand_pairs(d, err) < 0)
        return -1;
    return set_pairs(d, &d->e->scope.vars, &d->state->env, err);
}

static int dispatch_label(struct dispatcher *d, struct error *err)
{
    return expand_pairs(d, err) < 0 ? -1 : set_pairs(d, NULL, &d->state->labels, err);
}

/* What counts for an ARG: the build's argument, else its own default, else what a global ARG of
 * that name has; NULL when there is none of these. */
static int arg_value(struct dispatcher *d, const char *word, size_t len, const char **ret,
                     struct error *err)
{
    char *expanded;

    *ret = build_arg(d->e->request->build_args, word, len);
    if (*ret)
        return 0;
    if (!word[len]) {
        *ret = vars_get(&d->e->graph.scope.vars, word, len);
        return 0;
    }
    if (dispatch_expand(d, word + len + 1, &expanded, err) < 0)
        return -1;
    *ret = expanded;
    return 0;
}

static int declare(struct dispatcher *d, const char *word, struct buf *line, struct error *err)
{
    size_t len = strcspn(word, "=");
    struct arena *arena = &d->e->arena;
    const char *value;
    char *key = arena_string(arena, word, len);

    if (!key)
        return arena_check(arena, err);
    if (arg_value(d, word, len, &value, err) < 0)
        return -1;
    if (value && !is_no_variable(key) && vars_set(&d->e->scope.vars, word, len, value, err) < 0)
        return -1;
    if (vars_set(&d->state->args, word, len, value ? value : "", err) < 0)
        return -1;
    dispatch_add_pair(line, key, value);
    return 0;
}

static int dispatch_arg(struct dispatcher *d, struct error *err)
{
    struct buf *line = dispatch_line(d);
    const struct argv *words = &d->step->instruction->words;

    for (size_t k = 0; k < words->n; k++) {
        size_t before = line->len + 1;

        if (declare(d, words->v[k], line, err) < 0)
            return -1;
        if (!line->full)
            arena_push(&d->e->arena, &d->step->words,
                       arena_string(&d->e->arena, line->data + before, line->len - before));
    }
    return dispatch_commit(d, err);
}

/* ---- those that set one field ---- */

static int dispatch_user(struct dispatcher *d, struct error *err)
{
    if (push_expanded(d, d->step->instruction->words.v[0], err) < 0)
        return -1;
    d->state->config.user = d->step->words.v[0];
    return commit(d, d->state->config.user, err);
}

static int dispatch_workdir(struct dispatcher *d, struct error *err)
{
    struct dockerfile_config *c = &d->state->config;

    if (push_expanded(d, d->step->instruction->words.v[0], err) < 0)
        return -1;
    d->state->workdir_set = true;
    c->working_dir =
        workdir_join(&d->e->arena, c->working_dir ? c->working_dir : "", d->step->words.v[0]);
    if (!c->working_dir)
        return error_set(err, ERR_LIMIT, "the working directory's path is too long");
    return commit(d, c->working_dir, err);
}

static int dispatch_maintainer(struct dispatcher *d, struct error *err)
{
    d->step->words = d->step->instruction->words;
    d->state->config.author = d->step->words.v[0];
    return commit(d, d->state->config.author, err);
}

static int dispatch_volume(struct dispatcher *d, struct error *err)
{
    const struct argv *words = &d->step->instruction->words;

    for (size_t k = 0; k < words->n; k++) {
        struct span word = span_trim((struct span){words->v[k], strlen(words->v[k])});
        char *trimmed = arena_string(&d->e->arena, word.s, word.len);

        if (!trimmed)
            return arena_check(&d->e->arena, err);
        if (push_expanded(d, trimmed, err) < 0)
            return -1;
    }
    for (size_t k = 0; k < d->step->words.n; k++) {
        const char *path = d->step->words.v[k];

        if (!*path)
            return error_set(err, ERR_INPUT, "VOLUME specified can not be an empty string");
        if (vars_set(&d->state->volumes, path, strlen(path), "", err) < 0)
            return -1;
    }
    return commit_list(d, &d->step->words, false, err);
}

/* ---- those that keep what is to be run ---- */

static void set_command(struct dispatcher *d)
{
    const struct dockerfile_instruction *i = d->step->instruction;

    if (i->json)
        d->step->words = i->words;
    else
        dispatch_shell(d, i->words.n ? i->words.v[0] : "", &d->step->words);
}

static int dispatch_cmd(struct dispatcher *d, struct error *err)
{
    set_command(d);
    d->state->cmd_set = true;
    d->state->config.cmd = d->step->words;
    d->state->config.args_escaped = true;
    return commit_list(d, &d->step->words, true, err);
}

static int dispatch_entrypoint(struct dispatcher *d, struct error *err)
{
    set_command(d);
    d->state->config.entrypoint = d->step->words;
    if (!d->state->cmd_set)
        d->state->config.cmd = (struct argv)ARGV_INIT;
    return commit_list(d, &d->step->words, true, err);
}

static int dispatch_shell_instruction(struct dispatcher *d, struct error *err)
{
    d->step->words = d->step->instruction->words;
    d->state->config.shell = d->step->words;
    return commit_list(d, &d->step->words, false, err);
}

static int dispatch_onbuild(struct dispatcher *d, struct error *err)
{
    struct arena *arena = &d->e->arena;

    d->step->words = d->step->instruction->words;
    arena_push(arena, &d->state->config.on_build,
               (char *)trigger_text(d->step->instruction, arena));
    return arena_check(arena, err);
}

/* ---- the table ---- */

static const struct dispatch_row {
    const char *keyword;
    int (*run)(struct dispatcher *d, struct error *err);
} table[] = {
    {"ADD", dispatch_copy},
    {"ARG", dispatch_arg},
    {"CMD", dispatch_cmd},
    {"COPY", dispatch_copy},
    {"ENTRYPOINT", dispatch_entrypoint},
    {"ENV", dispatch_env},
    {"EXPOSE", dispatch_expose},
    {"HEALTHCHECK", dispatch_healthcheck},
    {"LABEL", dispatch_label},
    {"MAINTAINER", dispatch_maintainer},
    {"ONBUILD", dispatch_onbuild},
    {"RUN", dispatch_run},
    {"SHELL", dispatch_shell_instruction},
    {"STOPSIGNAL", dispatch_stopsignal},
    {"USER", dispatch_user},
    {"VOLUME", dispatch_volume},
    {"WORKDIR", dispatch_workdir},
};

int dispatch(struct dispatcher *d, struct error *err)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (instruction_is(d->step->instruction, table[i].keyword))
            return table[i].run(d, err);
    return error_set(err, ERR_INPUT, "unknown instruction: %.200s", d->step->instruction->written);
}
