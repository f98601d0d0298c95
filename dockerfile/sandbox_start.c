/* dockerfile/sandbox_start — ENTRYPOINT and CMD as a build leaves them: an ENTRYPOINT clears the
 * CMD that comes from another stage or from the base image, but not one of its own stage. */
#include "dockerfile/sandbox_start.h"

#include <string.h>

#include "dockerfile/base.h"
#include "dockerfile/sandbox.h"

/* ---- the stages ---- */

static void set(struct arena *a, struct sandbox_command *command,
                const struct dockerfile_instruction *i, bool inherited)
{
    *command = (struct sandbox_command){
        .shell = !i->json && i->words.n > 0, .instruction = i, .inherited = inherited};
    for (size_t k = 0; k < i->words.n; k++)
        arena_push(a, &command->words, i->words.v[k]);
}

static void follow_stage(struct arena *a, const struct dockerfile_stage *stage, bool last,
                         struct sandbox_start *start)
{
    bool cmd_set = false;

    for (size_t k = 1; k < stage->n_instructions; k++) {
        const struct dockerfile_instruction *i = &stage->instructions[k];

        if (instruction_is(i, "ENTRYPOINT")) {
            set(a, &start->entrypoint, i, !last);
            if (!cmd_set)
                start->cmd = (struct sandbox_command){.instruction = NULL};
        } else if (instruction_is(i, "CMD")) {
            set(a, &start->cmd, i, !last);
            cmd_set = true;
        } else if (instruction_is(i, "SHELL")) {
            start->shell = i->words;
        }
    }
}

static int start_with_base(struct arena *a, const char *config, struct sandbox_start *start,
                           struct error *err)
{
    struct base_commands base;

    if (!config)
        return 0;
    if (base_commands(a, config, &base, err) < 0)
        return -1;
    start->entrypoint = (struct sandbox_command){.words = base.entrypoint, .inherited = true};
    start->cmd = (struct sandbox_command){.words = base.cmd, .inherited = true};
    start->shell = base.shell;
    start->base_known = true;
    return 0;
}

int sandbox_start_find(const struct dockerfile *d, struct graph *g, const char *config,
                       struct sandbox_start *ret, struct error *err)
{
    struct sandbox_start start = {.shell = ARGV_INIT};
    size_t n;
    const size_t *chain = graph_chain(g, &n);

    if (!chain)
        return arena_check(&g->arena, err);
    if (start_with_base(&g->arena, config, &start, err) < 0)
        return -1;
    while (n-- > 0)
        follow_stage(&g->arena, &d->stages[chain[n]], n == 0, &start);
    if (start.shell.n == 0) {
        arena_push(&g->arena, &start.shell, arena_string(&g->arena, "/bin/sh", 7));
        arena_push(&g->arena, &start.shell, arena_string(&g->arena, "-c", 2));
    }
    if (arena_check(&g->arena, err) < 0)
        return -1;
    *ret = start;
    return 0;
}

/* ---- names ---- */

static bool is_path_character(char c)
{
    return c && !strchr(" \t\r\n\"'`$;&|()<>{}=,:", c);
}

const char *sandbox_start_named(struct arena *a, const struct argv *words)
{
    for (size_t i = 0; i < words->n; i++) {
        const char *begin = words->v[i];
        const char *at = strstr(begin, SANDBOX_WORD);
        const char *end;

        if (!at)
            continue;
        for (end = at; is_path_character(*end); end++)
            ;
        while (at > begin && is_path_character(at[-1]))
            at--;
        return arena_string(a, at, (size_t)(end - at));
    }
    return NULL;
}
