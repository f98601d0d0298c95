/* dockerfile/graph — global ARGs are expanded into the FROM lines, names are looked up.
 *
 * FROM sees the stages before it and compares names to the letter; COPY --from sees all, by index
 * or by name in any case, but may use only those before it; a mount's from has no index.  What
 * ONBUILD keeps for later is not looked into. */
#include "dockerfile/graph.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/csv.h"
#include "dockerfile/flags.h"
#include "dockerfile/platform.h"
#include "dockerfile/quote.h"

void graph_release(struct graph *g)
{
    scope_release(&g->scope);
    arena_release(&g->arena);
}

int graph_fail_at(const struct dockerfile_instruction *i, struct error *err)
{
    return fail_at_line(i->first_line, err);
}

/* ---- bases ---- */

static int expand_platform(struct graph *g, const char *written, struct graph_node *node,
                           struct error *err)
{
    char *platform;
    struct platform parsed;
    char hint[SUGGEST_SIZE] = "";
    struct error failure;
    int r = scope_expand(&g->scope, written, &platform, err);

    node->platform_names = g->scope.names;
    if (r < 0)
        return error_wrap(err, "failed to process arguments for platform");
    node->platform = platform;
    if (node->platform_names.missing.n > 0)
        (void)scope_hint(&g->scope, node->platform_names.missing.v[0], "", hint);
    if (!*platform)
        return error_set(err, ERR_INPUT, "empty platform value from expression %.200s%s", written,
                         hint);
    if (platform_parse(platform, &parsed, &failure) < 0)
        return error_set(err, ERR_INPUT, "failed to parse platform %.200s: %.700s%s", written,
                         failure.msg, hint);
    return 0;
}

static int expand_base(struct graph *g, const struct dockerfile_stage *stage,
                       struct graph_node *node, struct error *err)
{
    char *base;
    int r = scope_expand(&g->scope, stage->base, &base, err);

    node->base_names = g->scope.names;
    if (r < 0)
        return -1;
    if (!*base)
        return error_set(err, ERR_INPUT, "base name (%.200s) should not be blank", stage->base);
    node->base = base;
    if (!stage->platform || !*stage->platform)
        return 0;
    return expand_platform(g, stage->platform, node, err);
}

/* ---- uses ---- */

static int add_use(struct graph *g, struct graph_node *node, struct graph_use use,
                   struct error *err)
{
    node->uses = arena_grow(&g->arena, node->uses, node->n_uses, &node->cap_uses, sizeof(use));
    if (!node->uses)
        return arena_check(&g->arena, err);
    node->uses[node->n_uses++] = use;
    return 0;
}

/* What strconv.Atoi takes for a number. */
static bool is_index(const char *from, int64_t *ret)
{
    const char *digits = from + (*from == '-' || *from == '+');
    uint64_t n;

    if (*digits < '0' || *digits > '9' || !text_to_u64(digits, INT64_MAX, &n))
        return false;
    *ret = *from == '-' ? -(int64_t)n : (int64_t)n;
    return true;
}

/* Would expansion change it?  Then its author expects one that does not happen. */
static bool would_expand(const struct dockerfile *d, const char *from, struct arena *arena)
{
    CLEANUP(scope_release) struct scope none;
    struct error ignored;
    char *expanded;

    scope_init(&none, d->directives.escape, arena);
    return scope_expand(&none, from, &expanded, &ignored) < 0 || strcmp(expanded, from) != 0;
}

/* The stage that --from names, by index or name; NO_STAGE for an image. */
static int resolve_copy(const struct dockerfile *d, const char *from, struct arena *arena,
                        size_t *ret, struct error *err)
{
    int64_t index;

    if (would_expand(d, from, arena))
        return error_set(err, ERR_INPUT,
                         "variable expansion is not supported for --from, define a new stage "
                         "with FROM using ARG from global scope as a workaround");
    if (is_index(from, &index)) {
        if (index < 0 || (uint64_t)index >= d->n_stages)
            return error_set(err, ERR_INPUT, "invalid stage index %.40s", from);
        *ret = (size_t)index;
        return 0;
    }
    *ret = stages_find(d, from, d->n_stages, true);
    return 0;
}

static int collect_copy(struct graph *g, const struct dockerfile *d, size_t current,
                        struct graph_use use, bool lenient, struct error *err)
{
    use.from = flags_value(&use.instruction->flags, "from");
    if (!use.from || !*use.from)
        return 0;
    if (resolve_copy(d, use.from, &g->arena, &use.stage, err) < 0) {
        if (!lenient)
            return fail_at_line(use.line, err);
        use.stage = NO_STAGE;
    }
    return add_use(g, &g->nodes[current], use, err);
}

static int collect_mount(struct graph *g, const struct dockerfile *d, size_t current,
                         struct graph_use use, const char *mount, struct error *err)
{
    CLEANUP(argv_release) struct argv fields = ARGV_INIT;

    if (csv_read(mount, &fields, err) < 0)
        return fail_at_line(use.line, err);
    for (size_t k = 0; k < fields.n; k++) {
        const char *from = fields.v[k] + 5;

        if (strncasecmp(fields.v[k], "from=", 5) != 0 || !*from)
            continue;
        use.from = arena_string(&g->arena, from, strlen(from));
        if (!use.from)
            return arena_check(&g->arena, err);
        use.stage = stages_find(d, use.from, d->n_stages, true);
        if (add_use(g, &g->nodes[current], use, err) < 0)
            return -1;
    }
    return 0;
}

static int collect(struct graph *g, const struct dockerfile *d, size_t current,
                   struct graph_use use, bool lenient, struct error *err)
{
    const struct dockerfile_instruction *i = use.instruction;
    const char *mount;

    if (instruction_is(i, "COPY"))
        return collect_copy(g, d, current, use, lenient, err);
    if (!instruction_is(i, "RUN"))
        return 0;
    for (size_t at = 0; (mount = flags_next(&i->flags, "mount", &at));)
        if (collect_mount(g, d, current, use, mount, err) < 0)
            return -1;
    return 0;
}

int graph_collect(struct graph *g, const struct dockerfile *d, size_t stage,
                  const struct dockerfile_instruction *i, int line, struct error *err)
{
    return collect(g, d, stage, (struct graph_use){.instruction = i, .line = line}, false, err);
}

/* ---- order ---- */

enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

/* The use that closes a circle on a way from here; NULL when none does.  Bases lead to no circle:
 * FROM sees only the stages before it. */
static const struct graph_use *find_circle(const struct graph *g, size_t at, enum visit *visits)
{
    const struct graph_node *node = &g->nodes[at];

    visits[at] = VISIT_OPEN;
    for (size_t k = 0; k < node->n_uses; k++) {
        const struct graph_use *use = &node->uses[k], *deeper;

        if (use->stage == NO_STAGE || visits[use->stage] == VISIT_DONE)
            continue;
        if (visits[use->stage] == VISIT_OPEN)
            return use;
        deeper = find_circle(g, use->stage, visits);
        if (deeper)
            return deeper;
    }
    visits[at] = VISIT_DONE;
    return NULL;
}

void graph_stage_label(const struct dockerfile *d, size_t stage, char text[STAGE_LABEL_SIZE])
{
    if (d->stages[stage].name)
        (void)snprintf(text, STAGE_LABEL_SIZE, "%s", d->stages[stage].name);
    else
        (void)snprintf(text, STAGE_LABEL_SIZE, "stage-%zu", stage);
}

static int refuse_circles(const struct dockerfile *d, struct graph *g, struct error *err)
{
    enum visit *visits = arena_alloc(&g->arena, (g->n + 1) * sizeof(*visits));
    char label[STAGE_LABEL_SIZE];

    if (!visits)
        return arena_check(&g->arena, err);
    for (size_t i = 0; i < g->n; i++) {
        const struct graph_use *use = visits[i] == VISIT_NEW ? find_circle(g, i, visits) : NULL;

        if (!use)
            continue;
        graph_stage_label(d, i, label);
        (void)error_set(err, ERR_INPUT, "circular dependency detected on stage: %s", label);
        return fail_at_line(use->line, err);
    }
    return 0;
}

int graph_refuse_later(const struct dockerfile *d, const char *from, size_t stage,
                       struct error *err)
{
    char quoted[QUOTE_SIZE], label[STAGE_LABEL_SIZE];

    graph_stage_label(d, stage, label);
    return error_set(err, ERR_INPUT,
                     "cannot copy from stage %s, it needs to be defined before current stage "
                     "\"%s\"",
                     quote_short(from, quoted), label);
}

static int refuse_later_stages(const struct dockerfile *d, const struct graph *g, struct error *err)
{
    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = 0; g->nodes[i].needed && k < g->nodes[i].n_uses; k++) {
            const struct graph_use *use = &g->nodes[i].uses[k];

            if (use->stage == NO_STAGE || use->stage < i)
                continue;
            (void)graph_refuse_later(d, use->from, i, err);
            return fail_at_line(use->line, err);
        }
    }
    return 0;
}

const size_t *graph_chain(struct graph *g, size_t *ret_n)
{
    size_t *chain = arena_alloc(&g->arena, g->n * sizeof(*chain));

    *ret_n = 0;
    for (size_t at = g->n - 1; chain && at != NO_STAGE; at = g->nodes[at].base_stage)
        chain[(*ret_n)++] = at;
    return chain;
}

void graph_mark_needed(struct graph *g, size_t at)
{
    struct graph_node *node = &g->nodes[at];

    if (node->needed)
        return;
    node->needed = true;
    if (node->base_stage != NO_STAGE)
        graph_mark_needed(g, node->base_stage);
    for (size_t k = 0; k < node->n_uses; k++)
        if (node->uses[k].stage != NO_STAGE)
            graph_mark_needed(g, node->uses[k].stage);
}

/* ---- all of it ---- */

static int fill_nodes(const struct dockerfile *d, bool lenient, struct graph *g, struct error *err)
{
    for (size_t i = 0; i < g->n; i++) {
        struct graph_node *node = &g->nodes[i];

        node->base = d->stages[i].base;
        node->base_stage = NO_STAGE;
        g->n_read = i + 1;
        if (expand_base(g, &d->stages[i], node, err) < 0 && !lenient)
            return graph_fail_at(d->stages[i].instructions, err);
        node->base_stage = stages_find(d, node->base, i, false);
    }
    return 0;
}

static int fill_uses(const struct dockerfile *d, bool lenient, struct graph *g, struct error *err)
{
    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = 1; k < d->stages[i].n_instructions; k++) {
            const struct dockerfile_instruction *one = &d->stages[i].instructions[k];

            if (collect(g, d, i, (struct graph_use){.instruction = one, .line = one->first_line},
                        lenient, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* SOURCE_DATE_EPOCH is a number of seconds, or names what has a time. */
static int check_epoch(struct graph *g, const struct dockerfile *d, const struct argv *build_args,
                       struct error *err)
{
    const char *name = "SOURCE_DATE_EPOCH";
    const char *value = build_arg(build_args, name, strlen(name));
    const char *global = vars_get(&g->scope.vars, name, strlen(name));
    const char *digits;

    if (!value)
        value = global;
    if (!value || !*value || strcmp(value, "context") == 0)
        return 0;
    digits = value + (*value == '-' || *value == '+');
    if (*digits && strspn(digits, "0123456789") == strlen(digits) && strlen(digits) < 19)
        return 0;
    if (stages_find(d, value, d->n_stages, true) != NO_STAGE)
        return 0;
    return error_set(err, ERR_INPUT, "invalid SOURCE_DATE_EPOCH: %.200s", value);
}

static int find_target(const struct dockerfile *d, const char *target, size_t *ret,
                       struct error *err)
{
    char quoted[QUOTE_SIZE];
    uint64_t index;

    *ret = d->n_stages - 1;
    if (!target || !*target)
        return 0;
    *ret = stages_find(d, target, d->n_stages, true);
    if (*ret != NO_STAGE)
        return 0;
    if (!text_to_u64(target, d->n_stages - 1, &index))
        return error_set(err, ERR_INPUT, "target stage %s could not be found",
                         quote_short(target, quoted));
    *ret = (size_t)index;
    return 0;
}

int graph_build(struct graph *g, const struct dockerfile *d, const struct graph_request *request,
                struct error *err)
{
    const char *target =
        request->target && *request->target ? request->target : d->stages[d->n_stages - 1].name;
    bool lenient = request->lenient;

    scope_init(&g->scope, d->directives.escape, &g->arena);
    g->n = d->n_stages;
    g->nodes = arena_alloc(&g->arena, g->n * sizeof(*g->nodes));
    if (!g->nodes)
        return arena_check(&g->arena, err);
    if (scope_fill_global(&g->scope, d, request->build_args, target, lenient, err) < 0 ||
        (request->epoch && check_epoch(g, d, request->build_args, err) < 0) ||
        fill_nodes(d, lenient, g, err) < 0 ||
        find_target(d, request->target, &g->target, err) < 0 || fill_uses(d, lenient, g, err) < 0)
        return -1;
    if (!lenient && refuse_circles(d, g, err) < 0)
        return -1;
    graph_mark_needed(g, g->target);
    return lenient || request->any_order ? 0 : refuse_later_stages(d, g, err);
}
