/* dockerfile/trigger — what ONBUILD kept becomes instructions of the stage built FROM it.
 *
 * A trigger is a text: an image's configuration holds it as one, and one kept in the same file is
 * read the same way, with the default escape token. */
#include <string.h>
#include <strings.h>

#include "dockerfile/evaluator.h"
#include "dockerfile/grammar.h"
#include "dockerfile/runes.h"

static const char *skip_keyword(const char *s)
{
    while (is_ascii_space(*s))
        s++;
    if (strncasecmp(s, "ONBUILD", 7) == 0)
        s += 7;
    while (is_ascii_space(*s))
        s++;
    return s;
}

const char *trigger_text(const struct dockerfile_instruction *i, struct arena *arena)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(dockerfile_limits_default.text_max);

    buf_adds(&text, skip_keyword(i->original));
    for (size_t k = 0; k < i->n_heredocs; k++)
        buf_addf(&text, "\n%s%s", i->heredocs[k].content, i->heredocs[k].name);
    return arena_string(arena, buf_str(&text), text.len);
}

static int add_command(struct dockerfile_evaluation *e, size_t stage, struct command command,
                       struct error *err)
{
    struct stage_work *w = &e->work[stage];

    if (e->n_steps == STEPS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d steps", STEPS_MAX);
    e->n_steps++;
    w->commands =
        arena_grow(&e->arena, w->commands, w->n_commands, &w->cap_commands, sizeof(command));
    if (!w->commands)
        return arena_check(&e->arena, err);
    w->commands[w->n_commands++] = command;
    return 0;
}

static int read_trigger(struct dockerfile *t, const char *text, struct error *err)
{
    struct fault fault;

    if (parse_text(t, text, strlen(text), &dockerfile_limits_default, &fault, err) < 0)
        return -1;
    if (t->n_instructions != 1)
        return error_set(err, ERR_INPUT, "onbuild trigger should be a single expression");
    if (strcmp(t->instructions[0].keyword, "FROM") == 0)
        return error_set(err, ERR_INPUT, "FROM isn't allowed as an ONBUILD trigger");
    return grammar_check(&t->instructions[0], err);
}

/* The file lives as long as the evaluation. */
static int new_trigger(struct dockerfile_evaluation *e, struct dockerfile **ret, struct error *err)
{
    e->triggers = arena_grow(&e->arena, e->triggers, e->n_triggers, &e->cap_triggers,
                             sizeof(struct dockerfile *));
    if (!e->triggers)
        return arena_check(&e->arena, err);
    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return error_set(err, ERR_SYSTEM, "read a trigger: out of memory");
    e->triggers[e->n_triggers++] = *ret;
    return 0;
}

static int add_trigger(struct dockerfile_evaluation *e, size_t stage, const char *text,
                       struct error *err)
{
    int line = e->d->stages[stage].instructions->first_line;
    struct dockerfile *t;

    if (!text)
        return arena_check(&e->arena, err);
    if (new_trigger(e, &t, err) < 0)
        return -1;
    if (read_trigger(t, text, err) < 0)
        return fail_at_line(line, err);
    if (graph_collect(&e->graph, e->d, stage, t->instructions, line, err) < 0)
        return -1;
    return add_command(e, stage,
                       (struct command){.instruction = t->instructions, .triggered = true}, err);
}

static int add_triggers(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    struct argv *kept = &e->work[stage].state.config.on_build;
    size_t base = e->graph.nodes[stage].base_stage;

    for (size_t i = 0; i < kept->n; i++)
        if (add_trigger(e, stage, kept->v[i], err) < 0)
            return -1;
    *kept = (struct argv)ARGV_INIT;
    for (size_t k = 1; base != NO_STAGE && k < e->d->stages[base].n_instructions; k++) {
        const struct dockerfile_instruction *i = &e->d->stages[base].instructions[k];

        if (i->trigger && add_trigger(e, stage, trigger_text(i, &e->arena), err) < 0)
            return -1;
    }
    return 0;
}

int trigger_prepare(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    const struct dockerfile_stage *s = &e->d->stages[stage];

    if (e->graph.nodes[stage].needed && add_triggers(e, stage, err) < 0)
        return -1;
    for (size_t k = 1; k < s->n_instructions; k++)
        if (add_command(e, stage, (struct command){.instruction = &s->instructions[k]}, err) < 0)
            return -1;
    return 0;
}
