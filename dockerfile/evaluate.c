/* dockerfile/evaluate — stages are gone through in the order of the file, so that each finds its
 * base finished. */
#include <string.h>

#include "dockerfile/evaluator.h"
#include "dockerfile/quote.h"
#include "dockerfile/reference.h"

/* ---- what the stages are made from ---- */

static int check_reference(const char *image, int line, struct error *err)
{
    struct dockerfile_reference r;
    char quoted[QUOTE_SIZE];

    if (reference_is_scratch(image) || reference_read(image, &r, err) == 0)
        return 0;
    (void)!reference_refuse_transport(image, err); /* says more, where it is one */
    (void)error_wrap(err, "failed to parse stage name %s", quote_short(image, quoted));
    return fail_at_line(line, err);
}

/* Names of images are looked at wherever they stand, needed or not. */
static int check_references(const struct dockerfile_evaluation *e, struct error *err)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct graph_node *node = &e->graph.nodes[i];

        if (node->base_stage == NO_STAGE &&
            check_reference(node->base, e->d->stages[i].instructions->first_line, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < e->n; i++) {
        const struct graph_node *node = &e->graph.nodes[i];

        for (size_t k = 0; k < node->n_uses; k++)
            if (node->uses[k].stage == NO_STAGE &&
                check_reference(node->uses[k].from, node->uses[k].line, err) < 0)
                return -1;
    }
    return 0;
}

static int prepare(struct dockerfile_evaluation *e, size_t i, struct error *err)
{
    const struct graph_node *node = &e->graph.nodes[i];

    e->work[i].prepared = true;
    if (node->base_stage == NO_STAGE) {
        if (reference_is_scratch(node->base))
            base_scratch(e, i);
        else if (base_load(e, i, err) < 0)
            return graph_fail_at(e->d->stages[i].instructions, err);
    }
    if (trigger_prepare(e, i, err) < 0)
        return -1;
    /* A trigger may need stages that nothing needed so far. */
    for (size_t k = 0; node->needed && k < node->n_uses; k++)
        if (node->uses[k].stage != NO_STAGE)
            graph_mark_needed(&e->graph, node->uses[k].stage);
    return 0;
}

static int prepare_those(struct dockerfile_evaluation *e, bool all, struct error *err)
{
    bool again = true;

    while (again) {
        again = false;
        for (size_t i = 0; i < e->n; i++) {
            if (e->work[i].prepared || !(all || e->graph.nodes[i].needed))
                continue;
            if (prepare(e, i, err) < 0)
                return -1;
            again = true;
        }
    }
    return 0;
}

/* Those that are needed first: only their triggers run, and may bring in names of images. */
static int prepare_all(struct dockerfile_evaluation *e, bool all, struct error *err)
{
    if (check_references(e, err) < 0 || prepare_those(e, false, err) < 0 ||
        (all && prepare_those(e, true, err) < 0))
        return -1;
    return e->n_triggers > 0 ? check_references(e, err) : 0;
}

/* ---- one stage ---- */

struct ports *own_ports(struct state *s, struct arena *arena)
{
    if (s->ports_owned)
        return s->ports_owned;
    s->ports_owned = arena_alloc(arena, sizeof(*s->ports_owned));
    if (s->ports_owned && s->ports)
        *s->ports_owned = *s->ports;
    s->ports = s->ports_owned;
    return s->ports_owned;
}

/* A stage on another has all its variables once more: without a limit, a megabyte could become
 * gigabytes. */
static int spend_inherited(struct dockerfile_evaluation *e, const struct state *base,
                           struct error *err)
{
    const struct vars *all[] = {&base->scope, &base->args, &base->env, &base->labels,
                                &base->volumes};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        e->inherited_len += vars_size(all[i]);
    if (e->inherited_len > INHERITED_MAX)
        return error_set(err, ERR_LIMIT, "the stages inherit too many variables");
    return 0;
}

static int inherit(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    struct state *s = &e->work[stage].state;
    const struct state *base = &e->work[e->graph.nodes[stage].base_stage].state;
    struct argv history = ARGV_INIT;

    if (spend_inherited(e, base, err) < 0)
        return -1;
    for (size_t i = 0; i < base->config.history.n; i++)
        arena_push(&e->arena, &history, base->config.history.v[i]);
    s->config = base->config;
    s->config.history = history;
    s->config.on_build = (struct argv)ARGV_INIT;
    s->ports = base->ports;
    s->workdir_set = base->workdir_set;
    if (vars_copy(&s->scope, &base->scope, err) < 0 || vars_copy(&s->args, &base->args, err) < 0 ||
        vars_copy(&s->env, &base->env, err) < 0 || vars_copy(&s->labels, &base->labels, err) < 0)
        return -1;
    return vars_copy(&s->volumes, &base->volumes, err);
}

static int start(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    struct state *s = &e->work[stage].state;

    if (e->graph.nodes[stage].base_stage != NO_STAGE && inherit(e, stage, err) < 0)
        return -1;
    if (!vars_get(&s->env, "PATH", 4) && vars_set(&s->env, "PATH", 4, DEFAULT_PATH, err) < 0)
        return -1;
    /* Once more after an inherited ARG of the same name. */
    if (vars_copy(&s->scope, &s->env, err) < 0)
        return -1;
    if (s->config.working_dir && *s->config.working_dir)
        s->config.working_dir =
            workdir_join(&e->arena, s->config.working_dir, s->config.working_dir);
    return arena_check(&e->arena, err);
}

static struct dockerfile_pairs pairs_of(struct arena *arena, const struct vars *vars)
{
    struct dockerfile_pairs pairs = {.v = arena_alloc(arena, (vars->n + 1) * sizeof(*pairs.v))};

    for (size_t i = 0; pairs.v && i < vars->n; i++)
        pairs.v[pairs.n++] = (struct dockerfile_pair){vars->v[i].name, vars->v[i].value};
    return pairs;
}

static int list_ports(struct dockerfile_evaluation *e, const struct ports *ports, struct argv *ret,
                      struct error *err)
{
    char text[32];

    for (unsigned p = 0; p < PROTOCOLS; p++) {
        for (unsigned n = 0; (n = ports_next(ports, (enum protocol)p, n)) != PORTS_END; n++) {
            if (++e->n_ports > PORTS_MAX)
                return error_set(err, ERR_LIMIT, "the stages expose too many ports");
            (void)snprintf(text, sizeof(text), "%u/%s", n, protocol_names[p]);
            arena_push(&e->arena, ret, arena_string(&e->arena, text, strlen(text)));
        }
    }
    return 0;
}

/* Most stages have no ports, or those of their base. */
static int finish_ports(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    const struct ports *ports = e->work[stage].state.ports;
    size_t base = e->graph.nodes[stage].base_stage;
    struct argv *ret = &e->outcomes[stage].config.exposed_ports;

    if (!ports)
        return 0;
    if (base == NO_STAGE || ports != e->work[base].state.ports)
        return list_ports(e, ports, ret, err);
    *ret = e->outcomes[base].config.exposed_ports;
    return 0;
}

static int finish(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    const struct state *s = &e->work[stage].state;
    struct dockerfile_outcome *outcome = &e->outcomes[stage];

    outcome->config = s->config;
    outcome->config.env = pairs_of(&e->arena, &s->env);
    outcome->config.labels = pairs_of(&e->arena, &s->labels);
    if (finish_ports(e, stage, err) < 0)
        return graph_fail_at(e->d->stages[stage].instructions, err);
    for (size_t i = 0; i < s->volumes.n; i++)
        arena_push(&e->arena, &outcome->config.volumes, (char *)s->volumes.v[i].name);
    outcome->evaluated = true;
    return arena_check(&e->arena, err);
}

static int run_command(struct dockerfile_evaluation *e, size_t stage, const struct command *c,
                       struct error *err)
{
    const struct dockerfile_instruction *from = e->d->stages[stage].instructions;
    struct dockerfile_outcome *outcome = &e->outcomes[stage];
    struct dockerfile_step *step = &outcome->steps[outcome->n_steps++];
    struct state *s = &e->work[stage].state;
    struct dispatcher d = {.e = e, .stage = stage, .state = s, .step = step};
    size_t n_history = s->config.history.n;

    *step = (struct dockerfile_step){
        .instruction = c->instruction,
        .triggered = c->triggered,
        .first_line = c->triggered ? from->first_line : c->instruction->first_line,
        .last_line = c->triggered ? from->last_line : c->instruction->last_line,
        .from = "",
        .from_stage = DOCKERFILE_NO_STAGE,
        .chown = "",
        .chmod = "",
        .checksum = "",
        .unpack = "",
        .network = "",
        .security = "",
        .shell_set = s->config.shell.n > 0,
        .workdir_set = s->workdir_set,
    };
    if (dispatch(&d, err) < 0 || arena_check(&e->arena, err) < 0)
        return fail_at_line(step->first_line, err);
    if (s->config.history.n > n_history)
        step->history = s->config.history.v[n_history];
    step->user = s->config.user ? s->config.user : "";
    step->working_dir =
        s->config.working_dir && *s->config.working_dir ? s->config.working_dir : "/";
    step->done = true;
    return 0;
}

static int run_stage(struct dockerfile_evaluation *e, size_t stage, struct error *err)
{
    struct stage_work *w = &e->work[stage];
    struct dockerfile_outcome *outcome = &e->outcomes[stage];

    outcome->steps = arena_alloc(&e->arena, (w->n_commands + 1) * sizeof(*outcome->steps));
    if (!outcome->steps)
        return arena_check(&e->arena, err);
    if (start(e, stage, err) < 0)
        return graph_fail_at(e->d->stages[stage].instructions, err);
    for (size_t i = 0; i < w->n_commands; i++) {
        int r;

        e->scope.vars = w->state.scope;
        r = run_command(e, stage, &w->commands[i], err);
        w->state.scope = e->scope.vars;
        e->scope.vars = (struct vars){.arena = &e->arena};
        if (r < 0)
            return -1;
    }
    return finish(e, stage, err);
}

/* ---- all of it ---- */

static void describe(struct dockerfile_evaluation *e)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct graph_node *node = &e->graph.nodes[i];
        struct dockerfile_outcome *outcome = &e->outcomes[i];

        outcome->stage = &e->d->stages[i];
        outcome->base = node->base;
        outcome->platform = node->platform;
        outcome->base_stage = node->base_stage;
        outcome->needed = node->needed;
    }
}

static void state_init(struct state *s, struct arena *arena)
{
    s->scope.arena = s->args.arena = s->env.arena = arena;
    s->labels.arena = s->volumes.arena = arena;
}

static int run(struct dockerfile_evaluation *e, bool all, struct error *err)
{
    struct graph_request request = {.build_args = e->request->build_args,
                                    .target = e->request->target,
                                    .any_order = true,
                                    .epoch = true};

    if (graph_build(&e->graph, e->d, &request, err) < 0)
        return -1;
    e->n = e->graph.n;
    e->outcomes = arena_alloc(&e->arena, e->n * sizeof(*e->outcomes));
    e->work = arena_alloc(&e->arena, e->n * sizeof(*e->work));
    if (!e->outcomes || !e->work) {
        e->n = 0;
        return arena_check(&e->arena, err);
    }
    for (size_t i = 0; i < e->n; i++)
        state_init(&e->work[i].state, &e->arena);
    describe(e);
    if (prepare_all(e, all, err) < 0)
        return -1;
    describe(e);
    for (size_t i = 0; i < e->n; i++)
        if ((all || e->graph.nodes[i].needed) && run_stage(e, i, err) < 0)
            return -1;
    return 0;
}

int evaluation_run(struct dockerfile_evaluation *e, const struct dockerfile *d,
                   const struct dockerfile_request *request, bool all, struct error *err)
{
    int r;

    e->d = d;
    e->request = request;
    e->line = (struct buf)BUF_INIT(HISTORY_MAX);
    scope_init(&e->scope, d->directives.escape, &e->arena);
    r = run(e, all, err);
    e->request = NULL;
    return r;
}

int dockerfile_evaluate(const struct dockerfile *d, const struct dockerfile_request *request,
                        struct dockerfile_evaluation **ret, struct error *err)
{
    struct dockerfile_evaluation *e = calloc(1, sizeof(*e));

    if (!e)
        return error_set(err, ERR_SYSTEM, "evaluate the Dockerfile: out of memory");
    if (evaluation_run(e, d, request, false, err) < 0) {
        dockerfile_evaluation_free(e);
        return -1;
    }
    *ret = e;
    return 0;
}

void dockerfile_evaluation_free(struct dockerfile_evaluation *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_triggers; i++)
        dockerfile_free(e->triggers[i]);
    scope_release(&e->scope);
    buf_release(&e->line);
    graph_release(&e->graph);
    arena_release(&e->arena);
    free(e);
}

const struct dockerfile_outcome *dockerfile_outcomes(const struct dockerfile_evaluation *e,
                                                     size_t *ret_n, size_t *ret_target)
{
    *ret_n = e->n;
    *ret_target = e->graph.target;
    return e->outcomes;
}
