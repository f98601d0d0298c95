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
#include "dockerfile/expand.h"
#include "dockerfile/flags.h"
#include "dockerfile/quote.h"
#include "dockerfile/suggest.h"
#include "dockerfile/vars.h"

#define VALUE_MAX (64 << 10) /* bytes of an expanded ARG, base or platform */

#ifdef __aarch64__
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "amd64"
#endif

void graph_release(struct graph *g)
{
    arena_release(&g->arena);
}

int graph_fail_at(const struct dockerfile_instruction *i, struct error *err)
{
    return error_wrap(err, "dockerfile parse error on line %d", i->first_line);
}

/* ---- the global scope ---- */

static int set_platform_args(struct vars *vars, struct error *err)
{
    static const char *const pairs[][2] = {
        {"BUILDPLATFORM", "linux/" ARCHITECTURE},
        {"BUILDOS", "linux"},
        {"BUILDOSVERSION", ""},
        {"BUILDARCH", ARCHITECTURE},
        {"BUILDVARIANT", ""},
        {"TARGETPLATFORM", "linux/" ARCHITECTURE},
        {"TARGETOS", "linux"},
        {"TARGETOSVERSION", ""},
        {"TARGETARCH", ARCHITECTURE},
        {"TARGETVARIANT", ""},
        {"TARGETSTAGE", "default"},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (vars_set(vars, pairs[i][0], strlen(pairs[i][0]), pairs[i][1], err) < 0)
            return -1;
    return 0;
}

static const char *build_arg(const struct argv *build_args, const char *name, size_t len)
{
    for (size_t i = build_args->n; i-- > 0;)
        if (strncmp(build_args->v[i], name, len) == 0 && build_args->v[i][len] == '=')
            return build_args->v[i] + len + 1;
    return NULL;
}

/* A platform argument needs no ARG to be overridden. */
static int override_platform_args(struct vars *vars, const struct argv *build_args,
                                  struct error *err)
{
    for (size_t i = 0; i < build_args->n; i++) {
        const char *pair = build_args->v[i];
        size_t len = strcspn(pair, "=");

        if (pair[len] && vars_get(vars, pair, len) &&
            vars_set(vars, pair, len, pair + len + 1, err) < 0)
            return -1;
    }
    return 0;
}

struct scope {
    struct vars vars;
    struct expander expander;
    char unset[64]; /* the variable last asked for in vain, cut short */
};

static const char *scope_get(void *self, const char *name, size_t len)
{
    struct scope *scope = self;
    const char *value = vars_get(&scope->vars, name, len);

    if (!value)
        (void)snprintf(scope->unset, sizeof(scope->unset), "%.*s", (int)(len > 63 ? 63 : len),
                       name);
    return value;
}

static void scope_release(struct scope *s)
{
    vars_release(&s->vars);
}

static int expand_into(struct scope *scope, const char *word, struct arena *arena, char **ret,
                       struct error *err)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(VALUE_MAX);

    if (expand_word(&scope->expander, word, &out, err) < 0)
        return -1;
    *ret = arena_string(arena, buf_str(&out), out.len);
    return arena_check(arena, err);
}

/* One "k" or "k=v" of a global ARG. */
static int declare(struct scope *scope, const char *word, const struct argv *build_args,
                   struct arena *arena, struct error *err)
{
    size_t len = strcspn(word, "=");
    const char *given = build_arg(build_args, word, len);
    char *value;

    if (given)
        return vars_set(&scope->vars, word, len, given, err);
    if (!word[len])
        return 0;
    if (expand_into(scope, word + len + 1, arena, &value, err) < 0)
        return -1;
    return vars_set(&scope->vars, word, len, value, err);
}

static int fill_scope(const struct dockerfile *d, const struct argv *build_args, bool lenient,
                      struct scope *scope, struct arena *arena, struct error *err)
{
    scope->expander = (struct expander){
        .escape = d->directives.escape, .get = scope_get, .self = scope, .work = EXPAND_WORK};
    if (set_platform_args(&scope->vars, err) < 0 ||
        override_platform_args(&scope->vars, build_args, err) < 0)
        return -1;
    for (size_t k = 0; k < d->n_global; k++) {
        const struct dockerfile_instruction *arg = &d->instructions[k];

        for (size_t w = 0; w < arg->words.n; w++)
            if (declare(scope, arg->words.v[w], build_args, arena, err) < 0 && !lenient)
                return graph_fail_at(arg, err);
    }
    return 0;
}

/* ---- bases ---- */

static int refuse_blank_platform(struct scope *scope, const char *platform, struct error *err)
{
    const char **names = calloc(scope->vars.n + 1, sizeof(*names));
    char hint[SUGGEST_SIZE] = "";

    for (size_t i = 0; names && i < scope->vars.n; i++)
        names[i] = scope->vars.v[i].name;
    if (names && *scope->unset)
        (void)suggest(scope->unset, names, false, hint);
    free(names);
    return error_set(err, ERR_INPUT, "empty platform value from expression %.200s%s", platform,
                     hint);
}

static int expand_base(struct scope *scope, const struct dockerfile_stage *stage,
                       struct graph_node *node, struct arena *arena, struct error *err)
{
    char *base, *platform;

    if (expand_into(scope, stage->base, arena, &base, err) < 0)
        return -1;
    if (!*base)
        return error_set(err, ERR_INPUT, "base name (%.200s) should not be blank", stage->base);
    node->base = base;
    if (!stage->platform || !*stage->platform)
        return 0;
    *scope->unset = '\0';
    if (expand_into(scope, stage->platform, arena, &platform, err) < 0)
        return error_wrap(err, "failed to process arguments for platform");
    if (!*platform)
        return refuse_blank_platform(scope, stage->platform, err);
    return 0;
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

/* The stage that --from names, by index or name; NO_STAGE for an image. */
static int resolve_copy(const struct dockerfile *d, const char *from, size_t *ret,
                        struct error *err)
{
    uint64_t index;

    *ret = NO_STAGE;
    if (text_to_u64(from, UINT64_MAX, &index)) {
        if (index >= d->n_stages)
            return error_set(err, ERR_INPUT, "invalid stage index %.40s", from);
        *ret = (size_t)index;
        return 0;
    }
    *ret = stages_find(d, from, d->n_stages, true);
    if (*ret == NO_STAGE && strchr(from, '$'))
        return error_set(err, ERR_INPUT,
                         "variable expansion is not supported for --from, define a new stage "
                         "with FROM using ARG from global scope as a workaround");
    return 0;
}

static int collect_copy(const struct dockerfile *d, struct graph *g, size_t current,
                        const struct dockerfile_instruction *i, bool lenient, struct error *err)
{
    struct graph_use use = {.instruction = i, .from = flags_value(&i->flags, "from")};

    if (!use.from || !*use.from)
        return 0;
    if (resolve_copy(d, use.from, &use.stage, err) < 0) {
        if (!lenient)
            return graph_fail_at(i, err);
        use.stage = NO_STAGE;
    }
    return add_use(g, &g->nodes[current], use, err);
}

static int collect_mount(const struct dockerfile *d, struct graph *g, size_t current,
                         const struct dockerfile_instruction *i, const char *mount,
                         struct error *err)
{
    CLEANUP(argv_release) struct argv fields = ARGV_INIT;

    if (csv_read(mount, &fields, err) < 0)
        return graph_fail_at(i, err);
    for (size_t k = 0; k < fields.n; k++) {
        struct graph_use use = {.instruction = i, .from = fields.v[k] + 5};

        if (strncasecmp(fields.v[k], "from=", 5) != 0 || !*use.from)
            continue;
        use.from = arena_string(&g->arena, use.from, strlen(use.from));
        if (!use.from)
            return arena_check(&g->arena, err);
        use.stage = stages_find(d, use.from, d->n_stages, true);
        if (add_use(g, &g->nodes[current], use, err) < 0)
            return -1;
    }
    return 0;
}

static int collect_uses(const struct dockerfile *d, struct graph *g, size_t current, bool lenient,
                        struct error *err)
{
    const struct dockerfile_stage *stage = &d->stages[current];

    for (size_t k = 1; k < stage->n_instructions; k++) {
        const struct dockerfile_instruction *i = &stage->instructions[k];
        const char *mount;

        if (strcmp(i->keyword, "COPY") == 0 && collect_copy(d, g, current, i, lenient, err) < 0)
            return -1;
        if (strcmp(i->keyword, "RUN") != 0)
            continue;
        for (size_t at = 0; (mount = flags_next(&i->flags, "mount", &at));)
            if (collect_mount(d, g, current, i, mount, err) < 0)
                return -1;
    }
    return 0;
}

/* ---- order ---- */

enum visit { VISIT_NEW, VISIT_OPEN, VISIT_DONE };

/* True when a way from here leads back here. */
static bool in_circle(const struct graph *g, size_t at, enum visit *visits)
{
    const struct graph_node *node = &g->nodes[at];

    visits[at] = VISIT_OPEN;
    for (size_t k = 0; k <= node->n_uses; k++) {
        size_t next = k < node->n_uses ? node->uses[k].stage : node->base_stage;

        if (next == NO_STAGE || visits[next] == VISIT_DONE)
            continue;
        if (visits[next] == VISIT_OPEN || in_circle(g, next, visits))
            return true;
    }
    visits[at] = VISIT_DONE;
    return false;
}

static void stage_label(const struct dockerfile *d, size_t i, char *text, size_t size)
{
    if (d->stages[i].name)
        (void)snprintf(text, size, "%s", d->stages[i].name);
    else
        (void)snprintf(text, size, "stage-%zu", i);
}

static int refuse_circles(const struct dockerfile *d, struct graph *g, struct error *err)
{
    enum visit *visits = arena_alloc(&g->arena, (g->n + 1) * sizeof(*visits));
    char label[128];

    if (!visits)
        return arena_check(&g->arena, err);
    for (size_t i = 0; i < g->n; i++) {
        if (visits[i] != VISIT_NEW || !in_circle(g, i, visits))
            continue;
        stage_label(d, i, label, sizeof(label));
        (void)error_set(err, ERR_INPUT, "circular dependency detected on stage: %s", label);
        return graph_fail_at(d->stages[i].instructions, err);
    }
    return 0;
}

static int refuse_later_stages(const struct dockerfile *d, const struct graph *g, struct error *err)
{
    char from[QUOTE_SIZE], label[128];

    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = 0; g->nodes[i].needed && k < g->nodes[i].n_uses; k++) {
            const struct graph_use *use = &g->nodes[i].uses[k];

            if (use->stage == NO_STAGE || use->stage < i)
                continue;
            stage_label(d, i, label, sizeof(label));
            (void)error_set(err, ERR_INPUT,
                            "cannot copy from stage %s, it needs to be defined before current "
                            "stage \"%s\"",
                            quote_short(use->from, from), label);
            return graph_fail_at(use->instruction, err);
        }
    }
    return 0;
}

static void mark_needed(struct graph *g, size_t at)
{
    struct graph_node *node = &g->nodes[at];

    if (node->needed)
        return;
    node->needed = true;
    if (node->base_stage != NO_STAGE)
        mark_needed(g, node->base_stage);
    for (size_t k = 0; k < node->n_uses; k++)
        if (node->uses[k].stage != NO_STAGE)
            mark_needed(g, node->uses[k].stage);
}

/* ---- all of it ---- */

static int fill_nodes(const struct dockerfile *d, struct scope *scope, bool lenient,
                      struct graph *g, struct error *err)
{
    for (size_t i = 0; i < g->n; i++) {
        struct graph_node *node = &g->nodes[i];

        node->base = d->stages[i].base;
        if (expand_base(scope, &d->stages[i], node, &g->arena, err) < 0 && !lenient)
            return graph_fail_at(d->stages[i].instructions, err);
        node->base_stage = stages_find(d, node->base, i, false);
    }
    for (size_t i = 0; i < g->n; i++)
        if (collect_uses(d, g, i, lenient, err) < 0)
            return -1;
    return 0;
}

static int build(const struct dockerfile *d, const struct argv *build_args, bool lenient,
                 struct graph *g, struct error *err)
{
    CLEANUP(scope_release) struct scope scope = {.vars = {.v = NULL}};

    g->n = d->n_stages;
    g->nodes = arena_alloc(&g->arena, g->n * sizeof(*g->nodes));
    if (!g->nodes)
        return arena_check(&g->arena, err);
    if (fill_scope(d, build_args, lenient, &scope, &g->arena, err) < 0 ||
        fill_nodes(d, &scope, lenient, g, err) < 0)
        return -1;
    if (!lenient && refuse_circles(d, g, err) < 0)
        return -1;
    mark_needed(g, g->n - 1);
    return lenient ? 0 : refuse_later_stages(d, g, err);
}

int graph_build(const struct dockerfile *d, const struct argv *build_args, bool lenient,
                struct graph *ret, struct error *err)
{
    struct graph g = {.nodes = NULL};

    if (build(d, build_args, lenient, &g, err) < 0) {
        graph_release(&g);
        return -1;
    }
    *ret = g;
    return 0;
}
